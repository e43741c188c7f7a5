r"""Print what a study is doing, and which of its results were made by code that has changed since.

By hand, at the demo scale:
    python scripts/status.py --results results/demo --study results/demo/study.json \\
        --data results/demo/data/description.json --reported report/reported.yaml --command "snakemake --cores 2"
"""

import argparse

from nli.base.errors import run_main
from nli.launch.folder_lock import is_held
from nli.launch.live import read_state
from nli.launch.live_page import status_lines as live_lines
from nli.provenance import REPOSITORY
from nli.reporting.results import add_results_arguments, load_results
from nli.reporting.status import status_lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add_results_arguments(parser)
    parser.add_argument("--command", required=True, help="the command that makes the study")
    arguments = parser.parse_args()
    folder = str(arguments.results)
    print("\n".join(live_lines(read_state(arguments.results, is_held(arguments.results)), folder)), flush=True)
    if not arguments.study.exists():
        return
    results = load_results(arguments.results, arguments.study, arguments.reported, arguments.data, keep_going=True)
    print("\n".join(status_lines(results, REPOSITORY, folder, arguments.command)))


if __name__ == "__main__":
    run_main(main)
