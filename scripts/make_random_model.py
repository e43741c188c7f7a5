"""Make a model of a published architecture with random weights, and a tokenizer from the corpus, fetching nothing.

By hand:
    python scripts/make_random_model.py --role encoder --architecture scripts/nli/hub/architectures/OWNER/NAME.json \
        --corpus corpus.parquet --seed 42 --output-dir DIR
"""

import argparse
from pathlib import Path

from nli import runtime
from nli.base.atomic import whole_folder, write_json
from nli.base.errors import run_main
from nli.base.files import model_source
from nli.data.splits import read_split
from nli.models.weightless import read_architecture
from nli.pretraining.untrained import save_random_model


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--role", choices=["encoder", "decoder"], required=True)
    parser.add_argument("--architecture", type=Path, required=True, help="the configuration (JSON)")
    parser.add_argument("--corpus", type=Path, required=True, help="pairs that the tokenizer is trained on (Parquet)")
    parser.add_argument("--output-dir", type=Path, required=True)
    runtime.add_common_arguments(parser)
    args = parser.parse_args()

    runtime.start(args.seed, args.threads)
    with whole_folder(args.output_dir) as folder:
        save_random_model(args.role, read_architecture(args.architecture), read_split(args.corpus), folder)
        source = model_source(folder, f"random/{args.architecture.stem}", None)
        write_json(folder / "source.json", source)


if __name__ == "__main__":
    run_main(main)
