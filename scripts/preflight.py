"""Check that this machine has what the study needs: GPU, memory, disk, cache, token, network, data, software.

By hand: python scripts/preflight.py --study results/paper/study.json
"""

import argparse
from pathlib import Path

from nli.base.errors import run_main
from nli.base.files import read_json
from nli.launch.preflight import Launch, preflight
from nli.study.schema import Study


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--study", type=Path, required=True, help="the resolved study (JSON)")
    parser.add_argument("--remote", action="store_true", help="jobs run on other machines")
    parser.add_argument("--containers", action="store_true", help="jobs run in containers")
    parser.add_argument("--locks", type=Path, nargs="*", default=[], help="lock files of the environment")
    args = parser.parse_args()
    study = Study.model_validate(read_json(args.study))
    preflight(study, Launch(remote=args.remote, containers=args.containers), args.locks)


if __name__ == "__main__":
    run_main(main)
