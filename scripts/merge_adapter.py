"""Merge a QLoRA adapter into the weights of its base and save the merged model, tokenizer included.

Writes beside it how large the merge's error is, in the logits after some prompts, as a share of the adapter's effect.
"""

import argparse
import shutil
from pathlib import Path

from nli import runtime
from nli.atomic import write_json
from nli.data import read_split
from nli.decoder import load_adapter, load_decoder, load_tokenizer
from nli.errors import run_main
from nli.files import read_json
from nli.language_modeling import evaluation_prompts
from nli.merging import MERGES, last_logits, relative_error

COMPARED = 32  # pairs


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--spec", type=Path, required=True, help="resolved experiment (JSON)")
    parser.add_argument("--model", type=Path, required=True, help="folder of the base decoder")
    parser.add_argument("--adapter", type=Path, required=True, help="folder of the adapter")
    parser.add_argument("--output-dir", type=Path, required=True, help="folder for the merged model")
    parser.add_argument("--rows", type=Path, required=True, help="split whose first pairs the logits are compared on")
    parser.add_argument("--error", type=Path, required=True, help="the merge's error (JSON)")
    runtime.add_common_arguments(parser)
    args = parser.parse_args()

    runtime.start(args.seed, args.threads)
    spec = read_json(args.spec)
    tokenizer = load_tokenizer(args.model)
    prompts = evaluation_prompts(read_split(args.rows).head(COMPARED), spec)
    model = load_adapter(load_decoder(args.model, spec["quantization"]), args.adapter)
    adapter = last_logits(model, tokenizer, prompts)
    with model.disable_adapter():
        base = last_logits(model, tokenizer, prompts)
    del model  # a small GPU has no room for two
    merged = MERGES[spec["merge_into"]](args.model, spec["quantization"], args.adapter)
    error = relative_error(last_logits(merged, tokenizer, prompts), adapter, base)
    merged.save_pretrained(args.output_dir)
    tokenizer.save_pretrained(args.output_dir)
    shutil.copy(args.model / "source.json", args.output_dir / "source.json")
    write_json(args.error, {"into": spec["merge_into"], "rows": len(prompts), **error})


if __name__ == "__main__":
    run_main(main)
