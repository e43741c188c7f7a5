"""Classify the validation splits with a linear head on the decoder."""

from pathlib import Path
from typing import Any

import pandas as pd
from transformers import DataCollatorWithPadding

from nli import runtime
from nli.answering.classify import classify
from nli.answering.rows import scored_rows
from nli.base.errors import run_main
from nli.base.files import read_json
from nli.jobs.outline import answer_splits, prediction_parser
from nli.models.compatibility import check_decoder
from nli.models.decoder import load_tokenizer
from nli.models.linear_head import LinearHeadClassifier, StatesRead, build_classifier, tokenize_texts
from nli.models.training import load_trained


def main() -> None:
    parser = prediction_parser(__doc__)
    parser.add_argument("--trained", type=Path, required=True, help="folder of adapter and head")
    parser.add_argument("--record", type=Path, required=True, help="record of the training")
    args = parser.parse_args()

    started = runtime.start(args.seed, args.threads)
    spec = read_json(args.spec)
    tokenizer = load_tokenizer(args.model)
    check_decoder(args.model, tokenizer, spec)
    model = build_classifier(args.model, spec)
    load_trained(model, args.trained)
    states = StatesRead(model) if isinstance(model, LinearHeadClassifier) else None
    details: dict[str, Any] = {}

    def answer(rows: pd.DataFrame, split: str) -> list[pd.DataFrame]:
        dataset = tokenize_texts(rows, tokenizer, spec)
        scores = classify(model, dataset, DataCollatorWithPadding(tokenizer), spec["evaluation"]["batch_size"])
        if states:
            details["states_read"] = states.figures()
        return [scored_rows(rows, split, scores)]

    answer_splits(args, spec, model, started, answer, args.record, details)


if __name__ == "__main__":
    run_main(main)
