"""Print how long the study takes on some numbers of GPUs, by a simulated schedule without waiting times.

By hand, from measured times (`snakemake rehearse` writes them) or from the original's times:
    python scripts/schedule.py --rehearsal results/paper/rehearsal.json --gpus 1 4 16
    python scripts/schedule.py --reported report/reported.yaml --config config.yaml --seeds 5 --gpus 1 4 16
"""

import argparse
from pathlib import Path

import yaml

from nli.base.errors import run_main
from nli.base.files import read_json
from nli.forecast.schedule import jobs_of_rehearsal, jobs_of_report, schedule_table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    times = parser.add_mutually_exclusive_group(required=True)
    times.add_argument("--rehearsal", type=Path, help="rehearsal.json")
    times.add_argument("--reported", type=Path, help="reported.yaml: training times only")
    parser.add_argument("--config", type=Path, default=Path("config.yaml"), help="experiments, for --reported")
    parser.add_argument("--seeds", type=int, help="seeds of each experiment, for --reported (default: config.yaml's)")
    parser.add_argument("--rungs", choices=("core", "all"), default="core", help="steps of the ladders, for --reported")
    parser.add_argument("--gpus", type=int, nargs="+", default=[1, 4, 16], help="numbers of GPUs")
    args = parser.parse_args()

    if args.rehearsal:
        jobs = jobs_of_rehearsal(read_json(args.rehearsal))
    else:
        reported, config = (yaml.safe_load(path.read_text(encoding="utf-8")) for path in (args.reported, args.config))
        jobs = jobs_of_report(reported, config, args.seeds and list(range(1, args.seeds + 1)), args.rungs)
    print(schedule_table(jobs, args.gpus))


if __name__ == "__main__":
    run_main(main)
