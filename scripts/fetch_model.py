"""Fetch a model at a pinned revision from the hub: weights (safetensors only), configuration and tokenizer.

By hand: python scripts/fetch_model.py --name FacebookAI/roberta-large --revision COMMIT --output-dir DIR
"""

import argparse
from pathlib import Path

from nli.errors import run_main
from nli.hub import fetch_model


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--name", required=True, help="model on the hub")
    parser.add_argument("--revision", required=True, help="its commit")
    parser.add_argument("--output-dir", type=Path, required=True)
    args = parser.parse_args()
    fetch_model(args.name, args.revision, args.output_dir)


if __name__ == "__main__":
    run_main(main)
