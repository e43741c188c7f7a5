"""Draw the splits: raw/ -> {train,tune,matched,mismatched,corpus}.parquet, description.json.

By hand: python scripts/sample_data.py --raw-dir raw --train-fraction 0.10 --tune-examples 2000
         --seed 42 --output-dir data
"""

import argparse
import sys
from pathlib import Path

from nli.base.atomic import write_json
from nli.base.errors import run_main
from nli.data.leakage import overlaps
from nli.data.raw import load_raw
from nli.data.sampling import describe_study, draw_splits
from nli.data.splits import write_split


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--raw-dir", type=Path, required=True, help="output of fetch_data.py")
    parser.add_argument("--train-fraction", type=float, required=True, help="of the training rows")
    parser.add_argument("--tune-examples", type=int, required=True, help="rows that share no premise with train")
    parser.add_argument("--train-examples", type=int, help="the largest number (default: no limit)")
    parser.add_argument("--evaluation-examples", type=int, help="of each set (default: all)")
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--output-dir", type=Path, required=True)
    arguments = parser.parse_args()

    request = vars(arguments)
    raw, output_dir = load_raw(request.pop("raw_dir")), request.pop("output_dir")
    splits, warnings = draw_splits(raw, **request)
    for warning in warnings:
        print(f"warning: {warning}", file=sys.stderr)
    for split, frame in splits.items():
        write_split(frame, output_dir / f"{split}.parquet")
    description = describe_study(raw, splits, request, warnings)
    shared = overlaps(splits, splits["train"])
    write_json(output_dir / "description.json", {**description, "overlap": shared})


if __name__ == "__main__":
    run_main(main)
