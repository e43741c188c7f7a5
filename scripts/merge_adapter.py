"""Merge a QLoRA adapter into the 4-bit weights of its base and save the merged model, tokenizer included."""

import argparse
import shutil
from pathlib import Path

from nli import runtime
from nli.decoder import load_adapter, load_decoder, load_tokenizer, merge_adapter
from nli.errors import run_main
from nli.files import read_json


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--spec", type=Path, required=True, help="resolved experiment (JSON)")
    parser.add_argument("--model", type=Path, required=True, help="folder of the base decoder")
    parser.add_argument("--adapter", type=Path, required=True, help="folder of the adapter")
    parser.add_argument("--output-dir", type=Path, required=True, help="folder for the merged model")
    runtime.add_common_arguments(parser)
    args = parser.parse_args()

    runtime.start(args.seed, args.threads)
    spec = read_json(args.spec)
    model = load_adapter(load_decoder(args.model, spec["quantization"]), args.adapter)
    merged = merge_adapter(model)
    merged.save_pretrained(args.output_dir)
    load_tokenizer(args.model).save_pretrained(args.output_dir)
    if (args.model / "source.json").exists():
        shutil.copy(args.model / "source.json", args.output_dir / "source.json")


if __name__ == "__main__":
    run_main(main)
