"""Copy a tiny model that the workflow made, and add its model card: recipe, hashes, scores.

By hand:
    python scripts/describe_model.py --role encoder --model DIR --spec spec.json --split matched=matched.parquet \
        --seed 42 --output-dir DIR
"""

import argparse
import shutil
from pathlib import Path

from nli import runtime
from nli.base.atomic import whole_folder
from nli.base.errors import run_main
from nli.base.files import read_json
from nli.data.splits import read_split
from nli.pretraining.card import SCORES, model_files, write_card
from nli.provenance import git_commit


def named_file(text: str) -> tuple[str, Path]:
    name, _, path = text.partition("=")
    return name, Path(path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--role", choices=SCORES, required=True)
    parser.add_argument("--model", type=Path, required=True, help="folder that make_model.py wrote")
    parser.add_argument("--spec", type=Path, required=True, help="where the model is from, with the recipe (JSON)")
    parser.add_argument("--split", type=named_file, action="append", required=True, help="NAME=pairs (Parquet)")
    parser.add_argument("--output-dir", type=Path, required=True)
    runtime.add_common_arguments(parser)
    args = parser.parse_args()

    runtime.start(args.seed, args.threads)
    splits = {name: read_split(path) for name, path in args.split}
    with whole_folder(args.output_dir) as folder:
        for path in model_files(args.model):
            shutil.copy(path, folder)
        write_card(folder, args.role, read_json(args.spec), splits, args.seed, git_commit())


if __name__ == "__main__":
    run_main(main)
