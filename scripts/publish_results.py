r"""Write the tables of docs/results.md from the summaries of two runs: real models, next to the demo's.

    python scripts/publish_results.py --summary docs/results/summary.json --demo docs/results/demo.json \
        --reported report/reported.yaml --others docs/results/other_runs.yaml docs/results.md
"""

import argparse
from pathlib import Path

import yaml

from nli.base.atomic import write_text
from nli.base.errors import StudyError, run_main
from nli.reporting.published import published_page
from nli.reporting.summary_schema import read_summary


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--summary", type=Path, required=True, help="summary.json of the real models' run")
    parser.add_argument("--demo", type=Path, required=True, help="summary.json of a demo")
    parser.add_argument("--reported", type=Path, required=True, help="what the original found: reported.yaml")
    parser.add_argument("--others", type=Path, required=True, help="other public runs (YAML)")
    parser.add_argument("page", type=Path, help="the page, whose marked part is replaced")
    args = parser.parse_args()
    if not args.page.exists():
        raise StudyError(f"{args.page}: no such page; its marked part is replaced, the rest is written by hand")
    reported, others = (yaml.safe_load(path.read_text(encoding="utf-8")) for path in (args.reported, args.others))
    page = published_page(
        args.page.read_text(encoding="utf-8"), read_summary(args.summary), read_summary(args.demo), reported, others
    )
    write_text(args.page, page)
    print(f"{args.page}: written from {args.summary}")


if __name__ == "__main__":
    run_main(main)
