"""Ends a job at its rule's time limit, and says where it stood.

A cluster ends its jobs by itself. On one machine nothing would, so Snakemake passes the limits to the scripts.
"""

import faulthandler
import json
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

VARIABLE = "NLI_LIMITS"  # {"score.py": minutes, ...}
GRACE = 30  # seconds until a script is ended whose Python code no longer runs
ENDED = 124  # as `timeout` reports it


def limit_of(script: str) -> float | None:
    """The minutes that a script may run; None if nothing limits it."""
    return json.loads(os.environ.get(VARIABLE) or "{}").get(Path(script).name)


@contextmanager
def time_limit(script: str) -> Iterator[None]:
    """End this process, with a message, if the block takes longer than the script's limit."""
    minutes = limit_of(script)
    if minutes is None:
        yield
        return
    timer = threading.Timer(60 * minutes, end, [script, minutes])
    timer.daemon = True
    timer.start()
    faulthandler.dump_traceback_later(60 * minutes + GRACE, exit=True)  # its thread needs no running Python code
    try:
        yield
    finally:
        timer.cancel()
        faulthandler.cancel_dump_traceback_later()


def end(script: str, minutes: float) -> None:
    """Say that this process has reached its limit, and where it stood; end it."""
    print(
        f"error: {script}: ended after {minutes:g} minutes, the time limit of its rule. Where it stood is below. If it "
        "was not stuck, raise `runtime` in machine.jobs (config.yaml); a training goes on from its last checkpoint",
        file=sys.stderr,
        flush=True,
    )
    faulthandler.dump_traceback(file=sys.stderr)
    os._exit(ENDED)
