"""Fetch an evaluation set with its own rows: a local file or one on the hub -> {set}.parquet and its description.

By hand: python scripts/fetch_set.py --name hans --spec specs/sets/hans.json --train data/train.parquet
         --rows data/sets/hans.parquet --description data/sets/hans.json
"""

import argparse
import sys
from pathlib import Path

from nli.base.atomic import write_json
from nli.base.errors import run_main
from nli.base.files import read_json
from nli.data.leakage import overlap
from nli.data.raw import load_set
from nli.data.sampling import draw_set
from nli.data.splits import read_split, write_split


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--name", required=True, help="the set's key in data.sets")
    parser.add_argument("--spec", type=Path, required=True, help="its source and sampling (JSON)")
    parser.add_argument("--train", type=Path, required=True, help="training split, to look for its pairs")
    parser.add_argument("--cache", type=Path, default=Path("cache"), help="folder for files fetched from the hub")
    parser.add_argument("--rows", type=Path, required=True, help="Parquet file to write")
    parser.add_argument("--description", type=Path, required=True, help="description of the set (JSON)")
    args = parser.parse_args()

    spec = read_json(args.spec)
    raw = load_set(args.name, spec["source"], args.cache)
    train = read_split(args.train)
    frame, description = draw_set(args.name, raw, train, spec["examples"], spec["seed"])
    for warning in description["warnings"]:
        print(f"warning: {warning}", file=sys.stderr)
    write_split(frame, args.rows, spec["merged"])
    write_json(args.description, {**description, "overlap": overlap(frame, train)})
    print(f"{args.name}: {len(frame)} rows, {description['dropped']} unlabelled rows dropped")


if __name__ == "__main__":
    run_main(main)
