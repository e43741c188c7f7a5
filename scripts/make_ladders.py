r"""Measure the study's ladders: paired tests, verdicts on their claims, and comparisons of every pair of methods.

Writes them whole, and the summary of all results, as JSON and CSV.

By hand, at the demo scale:
    python scripts/make_ladders.py --results results/demo --study results/demo/study.json \
        --data results/demo/data/description.json --reported report/reported.yaml \
        --output results/demo/report/ladders.json --summary results/demo/summary.json
"""

import argparse
from pathlib import Path

from nli.base.atomic import write_json, write_text
from nli.base.errors import run_main
from nli.reporting.results import add_results_arguments, load_results, measure_results
from nli.reporting.summary import as_csv, summarize
from nli.reporting.summary_schema import check_summary


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add_results_arguments(parser)
    parser.add_argument("--output", type=Path, required=True, help="the ladders as measured (JSON)")
    parser.add_argument("--summary", type=Path, required=True, help="the summary (JSON); its CSV goes beside it")
    arguments = parser.parse_args()
    results = load_results(arguments.results, arguments.study, arguments.reported, arguments.data)
    measured = measure_results(arguments.results, results)
    write_json(arguments.output, measured)
    summary = summarize(
        load_results(arguments.results, arguments.study, arguments.reported, arguments.data, arguments.output)
    )
    check_summary(summary, arguments.summary)
    write_json(arguments.summary, summary)
    write_text(arguments.summary.with_suffix(".csv"), as_csv(summary))
    print(f"{len(measured['ladders'])} ladders in {arguments.output}")


if __name__ == "__main__":
    run_main(main)
