"""Print how long Snakemake takes to plan a sweep of many seeds: start, DAG and dry run, in seconds.

python tests/bench_plan.py [SEEDS]
"""

import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]


def main() -> None:
    seeds = list(range(1, int(sys.argv[1]) + 1)) if len(sys.argv) > 1 else list(range(1, 16))
    with tempfile.TemporaryDirectory() as results:
        options = ["--dry-run", "--quiet", "rules", "--cores", "1", "--nolock", "--workflow-profile", "none"]
        config = ["scale=paper", f"seeds={seeds}", f"results={results}"]
        started = time.perf_counter()
        done = subprocess.run(
            [sys.executable, "-m", "snakemake", *options, "--config", *config], cwd=ROOT, capture_output=True, text=True
        )
        seconds = time.perf_counter() - started
    if done.returncode != 0:
        sys.exit(done.stdout + done.stderr)
    jobs = re.search(r"^total\s+(\d+)", done.stdout + done.stderr, flags=re.MULTILINE)[1]
    print(f"{len(seeds)} seeds: {jobs} jobs planned in {seconds:.1f} s")


if __name__ == "__main__":
    main()
