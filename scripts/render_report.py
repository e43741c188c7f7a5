r"""Render the report to HTML and PDF from its sources and computed fragments.

By hand, at the demo scale:
    python scripts/render_report.py --source report --fragments results/demo/report \
        --html results/demo/report.html --pdf results/demo/report.pdf --work-dir results/demo/report/build
"""

import argparse
from pathlib import Path

from nli.base.errors import run_main
from nli.reporting.render import ENGINES, assemble, render


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--source", type=Path, required=True, help="folder with study.qmd")
    parser.add_argument("--fragments", type=Path, required=True, help="folder with tables/, figures/")
    parser.add_argument("--html", type=Path, required=True, help="HTML file to write")
    parser.add_argument("--pdf", type=Path, required=True, help="PDF file to write")
    parser.add_argument("--work-dir", type=Path, required=True, help="build folder, emptied first")
    parser.add_argument("--engine", choices=ENGINES, default="auto", help="auto: Quarto if found")
    arguments = parser.parse_args()
    study = assemble(arguments.source, arguments.fragments, arguments.work_dir)
    engine = render(study, arguments.html, arguments.pdf, arguments.engine)
    print(f"{arguments.html} and {arguments.pdf}, rendered with the {engine} engine")


if __name__ == "__main__":
    run_main(main)
