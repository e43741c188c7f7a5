"""Let a fine-tuned decoder answer every pair (adapter on the 4-bit base, or merged) and read the labels."""

import argparse
import time
from pathlib import Path

import pandas as pd
from nli import runtime
from nli.atomic import write_json
from nli.decoder import generate_answers, load_adapter, load_decoder, load_tokenizer
from nli.errors import run_main
from nli.evaluation import answer_rows, parse_splits, read_sample
from nli.files import read_json
from nli.language_modeling import evaluation_prompts
from nli.predictions import write_predictions
from nli.records import run_record


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--spec", type=Path, required=True, help="resolved experiment (JSON)")
    parser.add_argument("--model", type=Path, required=True, help="folder of the decoder, base or merged")
    parser.add_argument("--adapter", type=Path, help="folder of the adapter; without it the model answers as it is")
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
    model = load_decoder(args.model, spec["quantization"])
    if args.adapter:
        model = load_adapter(model, args.adapter)
    words = {word: label for label, word in spec["label_words"].items()}

    frames = []
    evaluation_started = time.perf_counter()
    for split, path in splits.items():
        rows = read_sample(path, spec["evaluation"]["examples"], spec["sample_seed"])
        prompts = evaluation_prompts(rows, spec)
        answers = generate_answers(
            model, tokenizer, prompts, spec["generation"], spec["evaluation"]["batch_size"], args.seed
        )
        frames += [answer_rows(rows, split, answers, words, scorer) for scorer in spec["scorers"]]
    evaluation_seconds = time.perf_counter() - evaluation_started

    write_predictions(pd.concat(frames), args.predictions)
    write_json(
        args.run,
        run_record(spec, args.seed, model, started, evaluation_seconds, splits, args.model, read_json(args.record)),
    )


if __name__ == "__main__":
    run_main(main)
