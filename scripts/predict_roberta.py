"""Classify the validation splits with a fine-tuned encoder."""

from pathlib import Path

import pandas as pd

from nli import runtime
from nli.base.errors import run_main
from nli.base.files import read_json
from nli.jobs.families import FAMILIES
from nli.jobs.outline import answer_splits, prediction_parser
from nli.models.encoder import build_encoder, load_tokenizer
from nli.models.training import load_trained

FAMILY = FAMILIES["roberta"]


def main() -> None:
    parser = prediction_parser(__doc__)
    parser.add_argument("--trained", type=Path, help="folder of the trained tensors; default: untrained")
    parser.add_argument("--record", type=Path, help="record of the training")
    args = parser.parse_args()

    started = runtime.start(args.seed, args.threads)
    spec = read_json(args.spec)
    tokenizer = load_tokenizer(args.model)
    FAMILY.check(args.model, tokenizer, spec)
    model = build_encoder(args.model, spec).to(runtime.device())
    if args.trained:
        load_trained(model, args.trained)

    def answer(rows: pd.DataFrame, split: str) -> list[pd.DataFrame]:
        return FAMILY.answer(model, tokenizer, rows, split, spec, args.seed)

    answer_splits(args, spec, model, started, answer, args.record)


if __name__ == "__main__":
    run_main(main)
