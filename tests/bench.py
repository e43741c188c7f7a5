"""Run the benchmarks and write their rows into docs/benchmarks.md.

PYTHONPATH=scripts:tests python tests/bench.py [--repetitions N] [--only NAME ...] [--folders FOLDER ...]

The tables of benchmarks that are not run stay as they are.
"""

import argparse
import platform
import subprocess
import time
from collections.abc import Callable, Iterable
from importlib.metadata import version
from pathlib import Path

import bench_growth
import bench_plan
import bench_qlora
import bench_scoring
import bench_start
import bench_training
from bench_rows import HEADER, Row

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs/benchmarks.md"


def table(rows: Iterable[Row]) -> list[str]:
    return [*HEADER, *(row.markdown() for row in rows)]


def machine() -> str:
    """Processor, cores, versions, commit and date, in one line."""
    cpu = next(
        (line.split(":")[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in line),
        platform.processor(),
    )
    cores = subprocess.run(["nproc"], capture_output=True, text=True, check=True).stdout.strip()
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True).stdout
    packages = ", ".join(f"{name} {version(name)}" for name in ("torch", "transformers", "peft", "snakemake"))
    return f"{cpu}, {cores} cores; {packages}; commit {commit.strip()}, {time.strftime('%d %B %Y')}."


def replaced(page: str, name: str, lines: list[str]) -> str:
    """The page with other lines between the marks of a benchmark."""
    start, end = f"<!-- {name} -->", f"<!-- end of {name} -->"
    before, _, rest = page.partition(start)
    return before + "\n".join([start, *lines, "", machine(), end]) + rest.partition(end)[2]


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
