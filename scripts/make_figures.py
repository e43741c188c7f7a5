r"""Make every figure of the report.

By hand, at the demo scale:
    python scripts/make_figures.py --results results/demo --study results/demo/study.json \
        --data results/demo/data/description.json --reported report/reported.yaml \
        --ladders results/demo/report/ladders.json \
        --output-dir results/demo/report/figures
"""

from nli.base.errors import run_main
from nli.reporting.figures.registry import make_figure, make_figures
from nli.reporting.fragments import make_fragments


def main() -> None:
    make_fragments(__doc__.splitlines()[0], "make_figures", make_figures, make_figure)


if __name__ == "__main__":
    run_main(main)
