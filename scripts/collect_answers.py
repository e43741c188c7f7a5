r"""Collect the answers of all finished runs, with their label scores, in one file.

By hand, at the demo scale:
    python scripts/collect_answers.py --results results/demo --study results/demo/study.json \
        --data results/demo/data/description.json --reported report/reported.yaml \
        --output results/demo/answers.parquet
"""

import argparse
from pathlib import Path

from nli.base.errors import run_main
from nli.data.all_answers import write_all_answers
from nli.reporting.results import add_results_arguments, load_results


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add_results_arguments(parser)
    parser.add_argument("--output", type=Path, required=True, help="the file to write (Parquet)")
    arguments = parser.parse_args()
    results = load_results(arguments.results, arguments.study, arguments.reported, arguments.data)
    runs = {
        (experiment.key, run.seed): arguments.results / experiment.key / f"seed{run.seed}" / "predictions.parquet"
        for experiment in results.experiments.values()
        for run in experiment.runs
    }
    rows = write_all_answers(arguments.output, runs)
    print(f"{rows} answers of {len(runs)} runs in {arguments.output}")


if __name__ == "__main__":
    run_main(main)
