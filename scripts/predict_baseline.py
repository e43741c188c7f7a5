"""Fit a chance baseline and classify the validation splits with it."""

import argparse
import time
from pathlib import Path

import pandas as pd

from nli.answering.baselines import baseline_record, fit_baseline, log_probabilities
from nli.answering.rows import as_merged, scored_rows
from nli.base.errors import run_main
from nli.base.files import read_json
from nli.data.run_files import write_answers
from nli.data.sampling import read_sample
from nli.data.splits import merged_labels, parse_splits, read_split


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--spec", type=Path, required=True, help="resolved experiment (JSON)")
    parser.add_argument("--train", type=Path, required=True, help="training split")
    parser.add_argument("--tune", type=Path, required=True, help="split on which the baseline's settings are chosen")
    parser.add_argument("--split", action="append", required=True, metavar="NAME=FILE", help="split to answer")
    parser.add_argument("--seed", type=int, required=True, help="seed of the run; nothing here is drawn at random")
    parser.add_argument("--predictions", type=Path, required=True, help="answers, one row per example")
    parser.add_argument("--run", type=Path, required=True, help="the complete record of the run (JSON)")
    args = parser.parse_args()

    started = time.perf_counter()
    spec = read_json(args.spec)
    baseline = fit_baseline(spec, read_split(args.train), read_split(args.tune))
    evaluation_started = time.perf_counter()
    splits = parse_splits(args.split)
    frames = []
    for split, path in splits.items():
        rows = read_sample(path, spec["evaluation"]["examples"], spec["sample_seed"])
        frame = scored_rows(rows, split, log_probabilities(baseline, rows))
        frames.append(as_merged(frame, merged_labels(path)))
        print(f"{split}: {len(rows)} pairs answered", flush=True)
    seconds = time.perf_counter() - evaluation_started
    record = baseline_record(spec, args.seed, baseline, started, seconds, splits)
    write_answers(args.predictions, args.run, pd.concat(frames), record, spec)


if __name__ == "__main__":
    run_main(main)
