r"""Make every table and computed sentence of the report.

By hand, at the demo scale:
    python scripts/make_tables.py --results results/demo --study results/demo/study.json \
        --data results/demo/data/description.json --reported report/reported.yaml \
        --ladders results/demo/report/ladders.json \
        --output-dir results/demo/report/tables
"""

import argparse

from nli.base.errors import run_main
from nli.provenance import git_commit
from nli.reporting.addresses import Maker
from nli.reporting.results import add_fragment_arguments, load_results
from nli.reporting.tables.registry import make_table, make_tables


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add_fragment_arguments(parser)
    arguments = parser.parse_args()
    results = load_results(arguments.results, arguments.study, arguments.reported, arguments.data, arguments.ladders)
    if arguments.only:
        make_table(results, arguments.only, arguments.output_dir)
        print(f"{arguments.only} in {arguments.output_dir}")
        return
    maker = Maker("make_tables", "scripts/make_tables.py", git_commit(), arguments.command)
    made = make_tables(results, arguments.output_dir, maker)
    print(f"{len(made)} fragments in {arguments.output_dir}")


if __name__ == "__main__":
    run_main(main)
