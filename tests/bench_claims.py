"""How often the demo's claims come out the same: five seeds of fine-tuning, each with two sets of CPU instructions.

python tests/bench_claims.py [--results DIR] [--runs N] [TABLE]

Every run is the core demo with its own results, DIR/{instructions}-{seed}, up to the ladders; finished runs are not
rerun. Prints a Markdown table, or writes it between the marks of TABLE (docs/demo_models.md).
"""

import argparse
import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
SEEDS = range(1, 6)
AVX2 = {"ATEN_CPU_CAPABILITY": "avx2", "ONEDNN_MAX_CPU_ISA": "AVX2", "MKL_ENABLE_INSTRUCTIONS": "AVX2"}
INSTRUCTIONS: dict[str, dict[str, str]] = {"avx512": {}, "avx2": AVX2}
START, END = "<!-- claims -->", "<!-- end of claims -->"
VERDICTS = ("supported", "refuted", "no evidence")


def run_demo(folder: Path, seed: int, variables: dict[str, str]) -> dict[str, Any]:
    """The ladders of one run of the demo."""
    ladders = folder / "demo/report/ladders.json"
    command = [sys.executable, "-m", "snakemake", str(ladders), "--cores", str(os.cpu_count()), "--quiet", "all"]
    command += ["--nolock", "--config", f"results={folder}", f"seeds=[{seed}]"]
    done = subprocess.run(command, cwd=ROOT, env={**os.environ, **variables}, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(done.stdout[-3000:] + done.stderr[-3000:])
    return json.loads(ladders.read_text())


def claims_of(ladders: dict[str, Any]) -> dict[tuple[str, str, str], tuple[str, float]]:
    """(ladder, claim, experiment) -> (verdict, accuracy in percent) of every rung with a claim."""
    found = {}
    for ladder in ladders["ladders"].values():
        for rung in ladder["rungs"]:
            if rung["claim"] is not None:
                key = ladder["title"], rung["claim"], rung["experiment"]
                found[key] = rung["verdict"], 100 * rung["scores"]["accuracy"]
    return found


def table(runs: list[dict[str, Any]]) -> list[str]:
    """A row for every claim: how many runs support it, refute it or do neither, and the range of its accuracies."""
    claims = [claims_of(run) for run in runs]
    lines = ["| ladder | experiment | claim | supported | refuted | no evidence | accuracy, % |"]
    lines.append("|---|---|---|---:|---:|---:|---:|")
    for key in claims[0]:
        verdicts = Counter(run[key][0] for run in claims)
        accuracies = [run[key][1] for run in claims]
        counts = " | ".join(str(verdicts[verdict]) for verdict in VERDICTS)
        lines.append(
            f"| {key[0]} | `{key[2]}` | {key[1]} | {counts} | {min(accuracies):.1f} to {max(accuracies):.1f} |"
        )
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--results", type=Path, default=ROOT / "results-claims")
    parser.add_argument("--runs", type=int, default=len(SEEDS) * len(INSTRUCTIONS), help="only the first N of the runs")
    parser.add_argument("table", type=Path, nargs="?")
    args = parser.parse_args()
    cpu = Path("/proc/cpuinfo")
    if not cpu.exists() or "avx512f" not in cpu.read_text():
        print("this CPU has no AVX-512: both sets of runs take the same instructions", file=sys.stderr)
    plan = [(seed, name) for seed in SEEDS for name in INSTRUCTIONS][: args.runs]
    runs = [run_demo(args.results / f"{name}-{seed}", seed, INSTRUCTIONS[name]) for seed, name in plan]
    lines = [START, *table(runs), END]
    if args.table is None:
        print("\n".join(lines[1:-1]))
        return
    before, _, rest = args.table.read_text(encoding="utf-8").partition(START)
    args.table.write_text(before + "\n".join(lines) + rest.partition(END)[2], encoding="utf-8")


if __name__ == "__main__":
    main()
