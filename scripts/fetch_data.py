"""Fetch the data: hub, files or synthetic -> {train,validation_*}.parquet and source.json.

By hand: python scripts/fetch_data.py --source files --path DIR --seed 42 --output-dir raw
"""

import argparse
import json
from pathlib import Path

from nli.base.atomic import whole_folder
from nli.base.errors import run_main
from nli.data.raw import load_files, load_hub, load_synthetic, save_raw


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--source", choices=["hub", "files", "synthetic"], required=True)
    parser.add_argument("--path", type=Path, help="files: the folder with MultiNLI's files")
    parser.add_argument("--name", help="hub: the data set, such as nyu-mll/multi_nli")
    parser.add_argument("--revision", help="hub: the commit to fetch")
    parser.add_argument("--cache", type=Path, default=Path("cache"), help="hub: folder for fetched files")
    parser.add_argument("--rows", type=json.loads, help='hub: rows that each split must have, {"train": N, ...}')
    parser.add_argument(
        "--sizes",
        type=json.loads,
        help='synthetic: rows of train, tune, matched, mismatched and corpus: {"train": N, ...}',
    )
    parser.add_argument("--seed", type=int, required=True, help="seed of the synthetic data")
    parser.add_argument("--output-dir", type=Path, required=True)
    arguments = parser.parse_args()

    needs = {"hub": ("name", "revision"), "files": ("path",), "synthetic": ("sizes",)}
    for option in needs[arguments.source]:
        if getattr(arguments, option) is None:
            parser.error(f"--source {arguments.source} needs --{option}")
    if arguments.source == "hub":
        raw = load_hub(arguments.name, arguments.revision, arguments.cache, arguments.rows)
    elif arguments.source == "files":
        raw = load_files(arguments.path)
    else:
        raw = load_synthetic(arguments.sizes, arguments.seed)
    with whole_folder(arguments.output_dir) as folder:
        save_raw(raw, folder)
    for split, frame in raw.frames.items():
        print(f"{split}: {len(frame)} rows, {raw.dropped.get(split, 0)} unlabelled rows dropped")


if __name__ == "__main__":
    run_main(main)
