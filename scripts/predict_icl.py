"""Ask the 4-bit decoder about every pair with one prompt and read the labels in its answers."""

from pathlib import Path

import pandas as pd

from nli import runtime
from nli.answering.demonstrations import worked_examples
from nli.answering.pairs import chat_details, generation_details
from nli.base.errors import run_main
from nli.base.files import read_json
from nli.data.leakage import examples_record
from nli.data.splits import read_split
from nli.jobs.families import FAMILIES
from nli.jobs.outline import answer_splits, prediction_parser, rows_to_answer
from nli.models.decoder import load_decoder, load_tokenizer

FAMILY = FAMILIES["icl"]


def main() -> None:
    parser = prediction_parser(__doc__)
    parser.add_argument("--examples", type=Path, help="split that a prompt's worked examples are drawn from")
    args = parser.parse_args()

    started = runtime.start(args.seed, args.threads)
    spec = read_json(args.spec)
    tokenizer = load_tokenizer(args.model)
    FAMILY.check(args.model, tokenizer, spec)
    examples = read_split(args.examples) if args.examples else None
    shown = examples_record(worked_examples(spec, examples, args.seed), rows_to_answer(args, spec))
    model = FAMILY.ready(load_decoder(args.model, spec["quantization"]), spec, tokenizer)

    def answer(rows: pd.DataFrame, split: str) -> list[pd.DataFrame]:
        return FAMILY.answer(model, tokenizer, rows, split, spec, args.seed, examples)

    details = {**generation_details(model, spec), **chat_details(tokenizer, spec), **shown}
    answer_splits(args, spec, model, started, answer, details=details)


if __name__ == "__main__":
    run_main(main)
