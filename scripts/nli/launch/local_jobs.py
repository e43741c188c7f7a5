"""Ends the jobs of a run on this machine when Snakemake has ended, even if it was killed.

A killed Snakemake leaves its jobs running. So the shells of the jobs export a mark of the run, which everything that
they start inherits, in containers too. A second process waits for the end of Snakemake, and ends what has the mark.
"""

import os
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import psutil

from nli.base.errors import StudyError

MARK = "NLI_RUN"
PATIENCE = 10  # seconds for a process to end by itself, and again for the system to end it


def watch(run: str) -> str:
    """Start the process that ends the jobs of `run` after this process; return the line that marks them in a shell."""
    script = Path(__file__).parents[2] / "end_jobs.py"
    subprocess.Popen(
        [sys.executable, str(script), run],
        stdin=subprocess.PIPE,  # closed by the end of this process, whatever ends it
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,  # the next run says what could not be ended
        start_new_session=True,  # Ctrl-C is for Snakemake and the jobs
    )
    return f"export {MARK}={run};"


# A shell's `python`, which says what ended a process that could not say so itself, where the job's log has it. After
# Ctrl-C (130) a script has said "interrupted".
EXPLAINED = (
    'python() { command python "$@" || { code=$?; if [ $code = 137 ]; then '
    'echo "error: the job was killed; did the machine run out of memory?" >&2; '
    "elif [ $code -gt 128 ] && [ $code != 130 ]; then "
    'echo "error: the job was ended by the signal $(kill -l $code)" >&2; fi; return $code; }; };'
)


def processes_of(run: str) -> set[psutil.Process]:
    """The processes on this machine with the mark of `run`, except this one."""
    found = set()
    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):  # it has ended, or is another user's
            if process.environ().get(MARK) == run and process.pid != os.getpid():
                found.add(process)
    return found


def end_jobs(run: str) -> int:
    """End every process of `run` on this machine; return how many there were.

    Raises:
        StudyError: one did not end.
    """
    ended: set[psutil.Process] = set()
    start = time.monotonic()
    while found := processes_of(run):
        waited = time.monotonic() - start
        if waited > 2 * PATIENCE:
            pids = ", ".join(str(process.pid) for process in found)
            raise StudyError(f"jobs of a killed run do not end (processes {pids}); end them, then rerun")
        for process in found if waited > PATIENCE else found - ended:
            with suppress(psutil.Error):
                process.kill() if waited > PATIENCE else process.terminate()
        ended |= found
        time.sleep(0.1)
    return len(ended)
