"""How long Snakemake takes to plan a sweep of many seeds at paper scale: start, DAG and dry run.

PYTHONPATH=scripts:tests python tests/bench_plan.py [SEEDS ...]
"""

import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from bench_rows import seconds

ROOT = Path(__file__).parents[1]
SEEDS = (1, 15, 60)


def jobs_planned(seeds: int) -> int:
    """Plan the paper scale with this many seeds of each experiment; the number of jobs."""
    with tempfile.TemporaryDirectory() as results:
        options = ["--dry-run", "--quiet", "rules", "--cores", "1", "--nolock", "--workflow-profile", "none"]
        config = ["scale=paper", f"seeds={list(range(1, seeds + 1))}", "families={roberta: {seeds: null}}"]
        command = [sys.executable, "-m", "snakemake", *options, "--config", *config, f"results={results}"]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(done.stdout + done.stderr)
    return int(re.search(r"^total\s+(\d+)", done.stdout + done.stderr, flags=re.MULTILINE)[1])


def lines(numbers: tuple[int, ...] = SEEDS) -> Iterator[str]:
    """A Markdown table: for each number of seeds the jobs and the seconds."""
    yield "| seeds | jobs | seconds | jobs a second |"
    yield "|---:|---:|---:|---:|"
    for number in numbers:
        found: list[int] = []
        taken = seconds(lambda number=number, found=found: found.append(jobs_planned(number)))
        yield f"| {number} | {found[0]:,} | {taken:.1f} | {found[0] / taken:,.0f} |"


if __name__ == "__main__":
    print("\n".join(lines(tuple(int(number) for number in sys.argv[1:]) or SEEDS)))
