"""Run the benchmarks and write their rows into docs/benchmarks.md.

PYTHONPATH=scripts:tests python tests/bench.py [--repetitions N] [--only NAME ...] [--folders FOLDER ...]

The tables of benchmarks that are not run stay as they are.
"""

import argparse
from collections.abc import Callable, Iterable
from pathlib import Path

import bench_growth
import bench_plan
import bench_qlora
import bench_scoring
import bench_start
import bench_training
from bench_rows import HEADER, Row
from pages import replaced

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs/benchmarks.md"


def table(rows: Iterable[Row]) -> list[str]:
    return [*HEADER, *(row.markdown() for row in rows)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repetitions", type=int, default=3)
    parser.add_argument("--only", nargs="*", help="start, training, qlora, scoring, growth or plan; none: all")
    parser.add_argument("--folders", type=Path, nargs="*", default=[], help="further decoders for the scoring")
    args = parser.parse_args()
    benchmarks: dict[str, Callable[[], list[str]]] = {
        "start": lambda: table(bench_start.rows(args.repetitions)),
        "training": lambda: table(bench_training.rows(args.repetitions)),
        "qlora": lambda: table(bench_qlora.rows(args.repetitions)),
        "scoring": lambda: table(bench_scoring.rows(args.repetitions, args.folders)),
        "growth": lambda: list(bench_growth.lines()),
        "plan": lambda: list(bench_plan.lines()),
    }
    for name in args.only or benchmarks:
        lines = benchmarks[name]()
        PAGE.write_text(replaced(PAGE.read_text(encoding="utf-8"), name, lines), encoding="utf-8")
        print("\n".join(lines), flush=True)


if __name__ == "__main__":
    main()
