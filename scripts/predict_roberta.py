"""Classify the validation splits with a fine-tuned encoder."""

import argparse
import time
from pathlib import Path

import pandas as pd
from nli import runtime
from nli.atomic import write_json
from nli.classification import classify
from nli.encoder import build_encoder, load_tokenizer, pair_collator, tokenize_pairs
from nli.errors import run_main
from nli.evaluation import classifier_rows, parse_splits, read_sample
from nli.files import read_json
from nli.predictions import write_predictions
from nli.records import run_record
from nli.training import load_trained


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--spec", type=Path, required=True, help="resolved experiment (JSON)")
    parser.add_argument("--model", type=Path, required=True, help="folder of the base encoder")
    parser.add_argument("--trained", type=Path, required=True, help="folder of the trained tensors")
    parser.add_argument("--record", type=Path, required=True, help="record of the training job")
    parser.add_argument("--split", action="append", required=True, metavar="NAME=FILE")
    parser.add_argument("--predictions", type=Path, required=True)
    parser.add_argument("--run", type=Path, required=True, help="the run's record, complete")
    runtime.add_common_arguments(parser)
    args = parser.parse_args()

    started = runtime.start(args.seed, args.threads)
    spec = read_json(args.spec)
    splits = parse_splits(args.split)
    tokenizer = load_tokenizer(args.model)
    model = build_encoder(args.model, spec).to(runtime.device())
    load_trained(model, args.trained)

    frames = []
    evaluation_started = time.perf_counter()
    for split, path in splits.items():
        rows = read_sample(path, spec["evaluation"]["examples"], spec["sample_seed"])
        dataset = tokenize_pairs(rows, tokenizer, spec["tokenization"])
        scores = classify(model, dataset, pair_collator(tokenizer), spec["evaluation"]["batch_size"])
        frames.append(classifier_rows(rows, split, scores))
        print(f"{split}: {len(rows)} pairs classified", flush=True)
    evaluation_seconds = time.perf_counter() - evaluation_started

    write_predictions(pd.concat(frames), args.predictions)
    write_json(
        args.run,
        run_record(spec, args.seed, model, started, evaluation_seconds, splits, args.model, read_json(args.record)),
    )


if __name__ == "__main__":
    run_main(main)
