"""Pretrain the demo's tiny encoder (RoBERTa) or decoder (Llama) and its tokenizer on a corpus of pairs.

By hand:
    python scripts/make_model.py --role encoder --corpus corpus.parquet --spec spec.json --seed 42 --output-dir DIR
"""

import argparse
from pathlib import Path

from nli import runtime
from nli.base.atomic import whole_folder, write_json
from nli.base.errors import run_main
from nli.base.files import model_source, read_json
from nli.data.splits import read_split
from nli.pretraining.decoder import make_decoder
from nli.pretraining.encoder import make_encoder

MAKERS = {"encoder": make_encoder, "decoder": make_decoder}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--role", choices=MAKERS, required=True)
    parser.add_argument("--corpus", type=Path, required=True, help="pairs to pretrain on (Parquet)")
    parser.add_argument("--spec", type=Path, required=True, help="where the model is from, with the recipe (JSON)")
    parser.add_argument("--output-dir", type=Path, required=True)
    runtime.add_common_arguments(parser)
    args = parser.parse_args()

    runtime.start(args.seed, args.threads)
    with whole_folder(args.output_dir) as folder:
        MAKERS[args.role](read_split(args.corpus), folder, read_json(args.spec)["recipe"], args.seed)
        write_json(folder / "source.json", model_source(folder, f"made/{args.role}", None))


if __name__ == "__main__":
    run_main(main)
