"""Answer every pair with a fine-tuned decoder (adapter on the 4-bit base, or merged) and read the labels."""

from pathlib import Path

import pandas as pd

from nli import runtime
from nli.answering.pairs import generation_details
from nli.base.errors import run_main
from nli.base.files import read_json
from nli.jobs.families import FAMILIES
from nli.jobs.outline import answer_splits, prediction_parser
from nli.models.decoder import load_tokenizer, load_with_adapter
from nli.models.merging import load_merged

FAMILY = FAMILIES["qlora"]


def main() -> None:
    parser = prediction_parser(__doc__)
    parser.add_argument("--adapter", type=Path, help="folder of the adapter; without it the model is a merged one")
    parser.add_argument("--merge-error", type=Path, help="the merge's error, for the record of the run")
    parser.add_argument("--record", type=Path, required=True, help="record of the training")
    args = parser.parse_args()

    started = runtime.start(args.seed, args.threads)
    spec = read_json(args.spec)
    tokenizer = load_tokenizer(args.model)
    FAMILY.check(args.model, tokenizer, spec)
    model = load_with_adapter(args.model, spec, args.adapter) if args.adapter else load_merged(args.model, spec)

    def answer(rows: pd.DataFrame, split: str) -> list[pd.DataFrame]:
        return FAMILY.answer(model, tokenizer, rows, split, spec, args.seed)

    details = generation_details(model, spec)
    if args.merge_error:
        details["merge"] = read_json(args.merge_error)
    answer_splits(args, spec, model, started, answer, args.record, details)


if __name__ == "__main__":
    run_main(main)
