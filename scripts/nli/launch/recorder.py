"""Writes `nli.base.journal` while Snakemake runs, and keeps status.html beside it.

Snakemake's log has every start, end and failure of a job, on this machine or on a cluster. A handler in Snakemake's own
process writes them down. A second process reads them, and what trainings say about themselves, and writes the page; it
ends with Snakemake. Neither can slow or fail a run: an event that cannot be written is lost, and a page that cannot be
written is left as it is.
"""

import atexit
import json
import logging
import os
import re
import subprocess
import sys
import threading
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from nli.base.atomic import write_text
from nli.base.journal import NAME, as_events, name_of, now, read_journal

PATIENCE = 5  # seconds for the last page
EXIT = re.compile(r"(returned non-zero exit status \d+|died with <Signals\.\w+: \d+>)")


def attach(folder: Path, jobs: int, logger: logging.Logger) -> None:
    """Record the events of Snakemake's `logger` in a results folder, and keep its page, until this process ends.

    Args:
        jobs: how many jobs this run has.
    """
    recorder = Recorder(folder, jobs)
    logger.addHandler(recorder)
    keep_page(folder)
    atexit.register(recorder.write, {"event": "ended"})


class Recorder(logging.Handler):
    """A handler of Snakemake's logger that appends the jobs' events to the journal of a results folder."""

    def __init__(self, folder: Path, jobs: int) -> None:
        super().__init__(logging.INFO)
        self.folder, self.path = folder, folder / NAME
        self.said = threading.local()  # what Snakemake said last about an exception, in each thread
        with suppress(OSError):
            shorten(folder)
            self.path.parent.mkdir(parents=True, exist_ok=True)
        self.write({"event": "run", "jobs": jobs})

    def emit(self, record: logging.LogRecord) -> None:
        """Write the event of a record of Snakemake's log, if it is one of a job."""
        with suppress(Exception):  # whatever another version of Snakemake says
            if event := self.event_of(record, str(getattr(record, "event", ""))):
                self.write(event)

    def event_of(self, record: logging.LogRecord, kind: str) -> dict[str, Any] | None:
        if kind == "job_info":
            log = next(iter(record.log), "")
            about = {"rule": record.rule_name, "name": name_of(record.output, record.rule_name, record.wildcards)}
            return {"event": "started", "job": record.jobid, **about, "log": log and os.path.relpath(log, self.folder)}
        if kind == "job_finished":
            return {"event": "finished", "job": record.job_id}
        if kind == "error":
            self.said.last = record.getMessage()
        if kind == "job_error":
            found = EXIT.search(getattr(self.said, "last", ""))
            self.said.last = ""
            return {"event": "failed", "job": record.jobid, "message": record.rule_msg or (found[1] if found else "")}
        return None

    def write(self, event: Mapping[str, Any]) -> None:
        """Append one event."""
        with suppress(OSError), self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"time": now(), **event}) + "\n")


def shorten(folder: Path) -> None:
    """Keep of earlier runs only the last attempt at every job."""
    if (folder / NAME).exists():
        kept = [event for number, job in enumerate(read_journal(folder).jobs) for event in as_events(job, number)]
        write_text(folder / NAME, "".join(f"{json.dumps(event)}\n" for event in kept))


def keep_page(folder: Path) -> None:
    """Start the process that writes status.html until this one ends."""
    script = Path(__file__).parents[2] / "watch.py"
    with suppress(OSError):
        watch = subprocess.Popen(
            [sys.executable, str(script), str(folder)],
            stdin=subprocess.PIPE,  # closed by the end of this process, whatever ends it
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        atexit.register(end_page, watch)


def end_page(watch: subprocess.Popen) -> None:
    """Let the process write the page for the last time."""
    watch.stdin.close()
    with suppress(subprocess.TimeoutExpired):
        watch.wait(PATIENCE)
