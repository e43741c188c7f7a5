r"""Make every figure of the report.

By hand, at the demo scale:
    python scripts/make_figures.py --results results/demo --study results/demo/study.json \
        --data results/demo/data/description.json --reported report/reported.yaml \
        --ladders results/demo/report/ladders.json \
        --output-dir results/demo/report/figures
"""

import argparse

from nli.base.errors import run_main
from nli.provenance import git_commit
from nli.reporting.addresses import Maker
from nli.reporting.figures.registry import make_figure, make_figures
from nli.reporting.results import add_fragment_arguments, load_results


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add_fragment_arguments(parser)
    arguments = parser.parse_args()
    results = load_results(arguments.results, arguments.study, arguments.reported, arguments.data, arguments.ladders)
    if arguments.only:
        make_figure(results, arguments.only, arguments.output_dir)
        print(f"{arguments.only} in {arguments.output_dir}")
        return
    maker = Maker("make_figures", "scripts/make_figures.py", git_commit(), arguments.command)
    made = make_figures(results, arguments.output_dir, maker)
    print(f"{len(made)} figures in {arguments.output_dir}")


if __name__ == "__main__":
    run_main(main)
