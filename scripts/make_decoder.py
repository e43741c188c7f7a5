"""Make the demo's tiny decoder: a Llama (causal language model, grouped-query attention) and its tokenizer, pretrained on a corpus.

    python scripts/make_decoder.py --corpus corpus.parquet --output-dir models/decoder \\
        --spec spec.json --seed 42 --threads 1
"""

import argparse
from pathlib import Path

import pandas as pd
import torch

from nli import pretraining
from nli.errors import run_main


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--corpus", type=Path, required=True, help="premise, hypothesis, label (parquet)")
    parser.add_argument("--output-dir", type=Path, required=True)
    parser.add_argument("--spec", type=Path, required=True, help="JSON object of hyperparameters")
    parser.add_argument("--seed", type=int, default=42)
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()

    torch.set_num_threads(args.threads)
    spec = pretraining.read_spec(args.spec, pretraining.DECODER_SPEC)
    pretraining.make_decoder(pd.read_parquet(args.corpus), args.output_dir, spec, args.seed)


if __name__ == "__main__":
    run_main(main)
