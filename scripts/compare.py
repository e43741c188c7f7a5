r"""Compare two runs of the study: accuracies with paired tests where the pairs match, verdicts, settings, versions.

Prints the comparison and writes it as one self-contained HTML file. By hand:
    python scripts/compare.py results/demo results/small --html results/compare.html
"""

import argparse
from pathlib import Path

from nli.base.errors import StudyError, run_main
from nli.provenance import REPOSITORY
from nli.reporting.compare.page import as_markdown, as_text
from nli.reporting.compare.sections import compare_sides, in_short, sections
from nli.reporting.compare.sides import read_side
from nli.reporting.render import render_page


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("first", metavar="A", help="a scale's results folder, or its summary.json")
    parser.add_argument("second", metavar="B", help="the other one")
    parser.add_argument("--split", default="matched", help="the evaluation set whose accuracies are compared")
    parser.add_argument("--html", type=Path, required=True, help="the page to write")
    arguments = parser.parse_args()
    first, second = read_side(arguments.first), read_side(arguments.second)
    compared = compare_sides(first, second, arguments.split)
    if not any(score for entry in compared for score in entry["scores"]):
        raise StudyError(
            f"{first.name} and {second.name}: no experiment of both answered '{arguments.split}'; choose other runs, "
            "or another --split (make: SPLIT=...)"
        )
    lines, parts = in_short(first, second, compared), sections(first, second, arguments.split, compared)
    subtitle = f"A: {first.name}. B: {second.name}."
    render_page("Two runs, compared", subtitle, as_markdown(lines, parts), arguments.html, REPOSITORY / "report")
    print(as_text(subtitle, lines, parts))
    print(f"\n{arguments.html}")


if __name__ == "__main__":
    run_main(main)
