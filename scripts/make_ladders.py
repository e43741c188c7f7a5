r"""Measure the study's ladders: paired tests, verdicts on their claims, and comparisons of every pair of methods.

By hand, at the demo scale:
    python scripts/make_ladders.py --results results/demo --study results/demo/study.json \
        --data results/demo/data/description.json --reported report/reported.yaml \
        --output results/demo/report/ladders.json
"""

import argparse
from pathlib import Path

from nli.base.atomic import write_json
from nli.base.errors import run_main
from nli.reporting.results import add_results_arguments, load_results, measure_results


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add_results_arguments(parser)
    parser.add_argument("--output", type=Path, required=True, help="the ladders as measured (JSON)")
    arguments = parser.parse_args()
    results = load_results(arguments.results, arguments.study, arguments.reported, arguments.data)
    measured = measure_results(arguments.results, results)
    write_json(arguments.output, measured)
    print(f"{len(measured['ladders'])} ladders in {arguments.output}")


if __name__ == "__main__":
    run_main(main)
