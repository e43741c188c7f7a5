"""Merge a QLoRA adapter into the weights of its base and save the merged model with its tokenizer.

Also writes how far the merged model's next-token distributions are from the adapter's, over all answered pairs.
"""

import argparse
import shutil
import tempfile
from pathlib import Path

from nli import runtime
from nli.answering.pairs import question_of
from nli.base.atomic import whole_folder, write_json
from nli.base.errors import run_main
from nli.base.files import read_json
from nli.data.sampling import read_sample
from nli.data.splits import parse_splits
from nli.models.decoder import load_tokenizer, load_with_adapter
from nli.models.merging import MERGES, MergeError, free_memory, load_merged


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--spec", type=Path, required=True, help="resolved experiment (JSON)")
    parser.add_argument("--model", type=Path, required=True, help="folder of the base decoder")
    parser.add_argument("--adapter", type=Path, required=True, help="folder of the adapter")
    parser.add_argument("--output-dir", type=Path, required=True, help="folder for the merged model")
    parser.add_argument("--split", action="append", required=True, metavar="NAME=FILE", help="split that is answered")
    parser.add_argument("--error", type=Path, required=True, help="the merge's error (JSON)")
    runtime.add_common_arguments(parser)
    args = parser.parse_args()

    runtime.start(args.seed, args.threads)
    spec = read_json(args.spec)
    evaluation = spec["evaluation"]
    tokenizer = load_tokenizer(args.model)
    question = question_of(spec)
    prompts = [
        question.ask(row.premise, row.hypothesis)
        for path in parse_splits(args.split).values()
        for row in read_sample(path, evaluation["examples"], spec["sample_seed"]).itertuples()
    ]

    with tempfile.TemporaryDirectory() as scratch:
        error = MergeError(tokenizer, prompts, evaluation["batch_size"], Path(scratch))
        model = load_with_adapter(args.model, spec, args.adapter)
        error.measure_adapter(model)
        del model
        free_memory()
        merged = MERGES[spec["merge_into"]](args.model, spec["quantization"], args.adapter)
        with whole_folder(args.output_dir) as folder:
            merged.save_pretrained(folder)
            tokenizer.save_pretrained(folder)
            shutil.copy(args.model / "source.json", folder / "source.json")
        del merged  # merging may have put it on the CPU; the answering model is on the GPU as far as it fits
        free_memory()
        measured = error.measure_merged(load_merged(args.output_dir, spec))
    write_json(args.error, {"into": spec["merge_into"], **measured})


if __name__ == "__main__":
    run_main(main)
