"""Ask the 4-bit decoder about every pair with one prompt and read the labels in its answers."""

import argparse
import time
from pathlib import Path

import pandas as pd
from nli import runtime
from nli.atomic import write_json
from nli.decoder import generate_answers, load_decoder, load_tokenizer
from nli.errors import run_main
from nli.evaluation import answer_rows, parse_splits, read_sample
from nli.files import read_json
from nli.predictions import write_predictions
from nli.prompts import prompt_text
from nli.records import run_record


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--spec", type=Path, required=True, help="resolved experiment (JSON)")
    parser.add_argument("--model", type=Path, required=True, help="folder of the decoder")
    parser.add_argument("--split", action="append", required=True, metavar="NAME=FILE")
    parser.add_argument("--predictions", type=Path, required=True)
    parser.add_argument("--run", type=Path, required=True, help="the run's record")
    runtime.add_common_arguments(parser)
    args = parser.parse_args()

    started = runtime.start(args.seed, args.threads)
    spec = read_json(args.spec)
    splits = parse_splits(args.split)
    tokenizer = load_tokenizer(args.model)
    model = load_decoder(args.model, spec["quantization"])

    frames = []
    evaluation_started = time.perf_counter()
    for split, path in splits.items():
        rows = read_sample(path, spec["evaluation"]["examples"], spec["sample_seed"])
        prompts = [prompt_text(spec["prompt"], row.premise, row.hypothesis) for row in rows.itertuples()]
        answers = generate_answers(
            model, tokenizer, prompts, spec["generation"], spec["evaluation"]["batch_size"], args.seed
        )
        frames.append(answer_rows(rows, split, answers, spec["prompt"]["answers"], "parsed"))
    evaluation_seconds = time.perf_counter() - evaluation_started

    write_predictions(pd.concat(frames), args.predictions)
    write_json(
        args.run, run_record(spec, args.seed, model, started, evaluation_seconds, splits, args.model, None)
    )


if __name__ == "__main__":
    run_main(main)
