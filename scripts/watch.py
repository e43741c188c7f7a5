"""Write status.html of a results folder every few seconds until standard input ends, and once more: watch.py FOLDER.

Snakemake starts this process and holds its input, which ends with Snakemake.
"""

import os
import select
import sys
from contextlib import suppress
from pathlib import Path

from nli.base.errors import run_main
from nli.launch.live import read_state
from nli.launch.live_page import EVERY, write_page


def main() -> None:
    folder = Path(sys.argv[1])
    os.nice(10)
    while not select.select([sys.stdin], [], [], EVERY)[0]:
        with suppress(Exception):  # a file that was being written; the next round reads it again
            write_page(folder, read_state(folder, running=True))
    write_page(folder, read_state(folder, running=False))


if __name__ == "__main__":
    run_main(main)
