r"""Print which results of a scale were made by code that has changed since.

By hand, at the demo scale:
    python scripts/status.py --results results/demo --study results/demo/study.json \\
        --data results/demo/data/description.json --reported report/reported.yaml --command "snakemake --cores 2"
"""

import argparse

from nli.base.errors import run_main
from nli.provenance import REPOSITORY
from nli.reporting.results import add_results_arguments, load_results
from nli.reporting.status import status_lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add_results_arguments(parser)
    parser.add_argument("--command", required=True, help="the command that makes the study")
    arguments = parser.parse_args()
    results = load_results(arguments.results, arguments.study, arguments.reported, arguments.data, keep_going=True)
    print("\n".join(status_lines(results, REPOSITORY, str(arguments.results), arguments.command)))


if __name__ == "__main__":
    run_main(main)
