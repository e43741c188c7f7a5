"""How often the demo's claims come out the same: five seeds of fine-tuning, each with two sets of CPU instructions.

python tests/bench_claims.py [--results DIR] [--runs N] [--only FAMILY...] [TABLE]

Every run is the core demo, or some families of it, with its own results, DIR/{instructions}-{seed}, up to the ladders;
finished runs are not rerun. Prints a Markdown table, or writes it between the marks of TABLE (docs/demo_models.md).
Rows of families that did not run stay as they are.
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


def run_demo(folder: Path, seed: int, variables: dict[str, str], only: list[str]) -> dict[str, Any]:
    """The ladders of one run of the demo."""
    ladders = folder / "demo/report/ladders.json"
    command = [sys.executable, "-m", "snakemake", str(ladders), "--cores", str(os.cpu_count()), "--quiet", "all"]
    command += ["--nolock", "--config", f"results={folder}", f"seeds=[{seed}]", f"only={json.dumps(only)}"]
    done = subprocess.run(command, cwd=ROOT, env={**os.environ, **variables}, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(done.stdout[-3000:] + done.stderr[-3000:])
    return json.loads(ladders.read_text())


def claims_of(ladders: dict[str, Any]) -> dict[tuple[str, str, str], tuple[str, float]]:
    """(ladder, claim, experiment) -> (verdict, accuracy in percent) of every rung that ran and has a claim."""
    found = {}
    for ladder in ladders["ladders"].values():
        for rung in ladder["rungs"]:
            if rung["claim"] is not None and rung["scores"] is not None:
                key = ladder["title"], rung["claim"], rung["experiment"]
                found[key] = rung["verdict"], 100 * rung["scores"]["accuracy"]
    return found


HEADER = [
    "| ladder | experiment | claim | supported | refuted | no evidence | accuracy, % |",
    "|---|---|---|---:|---:|---:|---:|",
]


def rows(runs: list[dict[str, Any]]) -> dict[str, str]:
    """Ladder, experiment and claim -> how many runs support it, refute it or do neither, and the accuracies."""
    claims = [claims_of(run) for run in runs]
    found = {}
    for key in claims[0]:
        verdicts = Counter(run[key][0] for run in claims)
        accuracies = [run[key][1] for run in claims]
        counts = " | ".join(str(verdicts[verdict]) for verdict in VERDICTS)
        ladder, claim, experiment = key
        found[f"| {ladder} | `{experiment}` | {claim} |"] = (
            f" {counts} | {min(accuracies):.1f} to {max(accuracies):.1f} |"
        )
    return found


def merged(table: str, new: dict[str, str]) -> str:
    """The table with the new rows in the place of theirs, and all others as they were."""
    old = {"|".join(line.split("|")[:4]) + "|": line for line in table.splitlines() if line.startswith("| ")}
    kept = {key: line.removeprefix(key) for key, line in old.items() if line not in HEADER}
    return "\n".join([*HEADER, *(key + counts for key, counts in (kept | new).items())])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--results", type=Path, default=ROOT / "results-claims")
    parser.add_argument("--runs", type=int, default=len(SEEDS) * len(INSTRUCTIONS), help="only the first N of the runs")
    parser.add_argument("--only", nargs="*", default=[], help="families to run, e.g. icl baseline; none: all")
    parser.add_argument("table", type=Path, nargs="?")
    args = parser.parse_args()
    cpu = Path("/proc/cpuinfo")
    if not cpu.exists() or "avx512f" not in cpu.read_text():
        print("this CPU has no AVX-512: both sets of runs take the same instructions", file=sys.stderr)
    plan = [(seed, name) for seed in SEEDS for name in INSTRUCTIONS][: args.runs]
    runs = [run_demo(args.results / f"{name}-{seed}", seed, INSTRUCTIONS[name], args.only) for seed, name in plan]
    if args.table is None:
        print(merged("", rows(runs)))
        return
    before, _, rest = args.table.read_text(encoding="utf-8").partition(START)
    table, _, after = rest.partition(END)
    table = merged(table if args.only else "", rows(runs))
    args.table.write_text(f"{before}{START}\n{table}\n{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    main()
