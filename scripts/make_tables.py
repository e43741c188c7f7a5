r"""Make every table and computed sentence of the report.

By hand, at the demo scale:
    python scripts/make_tables.py --results results/demo --study results/demo/study.json \
        --data results/demo/data/description.json --reported report/reported.yaml \
        --ladders results/demo/report/ladders.json \
        --output-dir results/demo/report/tables
"""

from nli.base.errors import run_main
from nli.reporting.fragments import make_fragments
from nli.reporting.tables.registry import make_table, make_tables


def main() -> None:
    make_fragments(__doc__.splitlines()[0], "make_tables", make_tables, make_table)


if __name__ == "__main__":
    run_main(main)
