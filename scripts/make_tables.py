r"""Make every table and computed sentence of the report.

By hand, at the demo scale:
    python scripts/make_tables.py --results results/demo --study results/demo/study.json \
        --data results/demo/data/description.json --reported report/reported.yaml \
        --output-dir results/demo/report/tables
"""

import argparse
from pathlib import Path

from nli.errors import run_main
from nli.reporting.results import load_results
from nli.reporting.tables import make_tables


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--results", type=Path, required=True, help="the scale's results folder")
    parser.add_argument("--study", type=Path, required=True, help="study.json of the scale")
    parser.add_argument("--data", type=Path, required=True, help="description.json of the data")
    parser.add_argument("--reported", type=Path, required=True, help="the earlier report's figures")
    parser.add_argument("--output-dir", type=Path, required=True, help="folder for the fragments")
    arguments = parser.parse_args()
    results = load_results(arguments.results, arguments.study, arguments.reported, arguments.data)
    made = make_tables(results, arguments.output_dir)
    print(f"{len(made)} fragments in {arguments.output_dir}")


if __name__ == "__main__":
    run_main(main)
