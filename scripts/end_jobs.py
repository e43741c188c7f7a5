"""Wait for the end of standard input, then end the jobs of a run on this machine: end_jobs.py RUN.

Snakemake starts this process and holds its input, which ends with Snakemake.
"""

import sys

from nli.base.errors import run_main
from nli.launch.local_jobs import end_jobs


def main() -> None:
    sys.stdin.read()
    end_jobs(sys.argv[1])


if __name__ == "__main__":
    run_main(main)
