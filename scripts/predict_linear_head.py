"""Classify the validation splits with a linear head on the decoder."""

from pathlib import Path
from typing import Any

import pandas as pd

from nli import runtime
from nli.base.errors import run_main
from nli.base.files import read_json
from nli.jobs.families import FAMILIES
from nli.jobs.outline import answer_splits, prediction_parser
from nli.models.decoder import load_tokenizer
from nli.models.linear_head import LinearHeadClassifier, StatesRead, build_classifier
from nli.models.training import load_trained

FAMILY = FAMILIES["linear_head"]


def main() -> None:
    parser = prediction_parser(__doc__)
    parser.add_argument("--trained", type=Path, required=True, help="folder of adapter and head")
    parser.add_argument("--record", type=Path, required=True, help="record of the training")
    args = parser.parse_args()

    started = runtime.start(args.seed, args.threads)
    spec = read_json(args.spec)
    tokenizer = load_tokenizer(args.model)
    FAMILY.check(args.model, tokenizer, spec)
    model = build_classifier(args.model, spec)
    load_trained(model, args.trained)
    states = StatesRead(model) if isinstance(model, LinearHeadClassifier) else None
    details: dict[str, Any] = {}

    def answer(rows: pd.DataFrame, split: str) -> list[pd.DataFrame]:
        frames = FAMILY.answer(model, tokenizer, rows, split, spec, args.seed)
        if states:
            details["states_read"] = states.figures()
        return frames

    answer_splits(args, spec, model, started, answer, args.record, details)


if __name__ == "__main__":
    run_main(main)
