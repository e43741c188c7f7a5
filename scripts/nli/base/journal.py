"""What became of the jobs of a results folder: logs/jobs.jsonl, one line per event, which Snakemake's process appends.

=========  ==============================================================================================
event      further keys
=========  ==============================================================================================
run        jobs: how many this run of Snakemake starts if all goes well
started    job (its number in the run), rule, name (`name_of`), log (from the folder)
finished   job
failed     job, message: what Snakemake, or the cluster, says about it
ended      nothing: Snakemake has ended by itself
=========  ==============================================================================================

Every event has its `time`, in seconds since 1970.
"""

import json
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

NAME = Path("logs", "jobs.jsonl")
RUN = re.compile(r"(\w+/\w+/seed\d+)(?:/|$)")  # of a run directory, in the path of an output
TAIL = 64 * 1024  # bytes of a log that are searched for its error
LONGEST = 300  # characters of an error
CONTROL = re.compile(r"\x1b\[[\d;]*[A-Za-z]|[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
EXCEPTION = re.compile(r"[A-Za-z_][\w.]*(:|$)")
TRACEBACK = "Traceback (most recent call last):"
SLURM = {"TIMEOUT": "ran out of time", "OUT_OF_MEMORY": "ran out of memory", "NODE_FAIL": "its node failed"}
SKEW = 60  # seconds by which the clocks of two machines may differ


@dataclass(frozen=True)
class Job:
    """The last attempt at a job; `state` is "running", "finished", "failed" or "interrupted" (Snakemake was killed)."""

    rule: str
    name: str
    log: str
    started: float
    state: str = "running"
    ended: float | None = None
    message: str = ""


@dataclass(frozen=True)
class Journal:
    """What the file says.

    Attributes:
        jobs: the last attempt at every job, over all runs of Snakemake.
        begun, ended: of the last run; None: not yet.
        planned, finished: how many jobs the last run has, and how many of them have finished.
    """

    jobs: tuple[Job, ...] = ()
    begun: float | None = None
    ended: float | None = None
    planned: int = 0
    finished: int = 0


def read_journal(folder: Path) -> Journal:
    """The journal of a results folder; an empty one if there is none. Lines that are not whole are skipped."""
    journal, jobs, numbered = Journal(), {}, {}
    for event in events_in(folder / NAME):
        kind, at, number = event.get("event"), event.get("time"), event.get("job")
        if kind == "run":
            jobs = {key: interrupted(job) for key, job in jobs.items()}
            journal, numbered = Journal(begun=at, planned=event.get("jobs", 0)), {}
        elif kind == "ended":
            journal = replace(journal, ended=at)
            jobs = {key: interrupted(job) for key, job in jobs.items()}
        elif kind == "started":
            job = Job(event.get("rule", ""), event.get("name", ""), event.get("log", ""), at)
            numbered[number] = (job.rule, job.name, job.log)
            jobs[numbered[number]] = job
        elif kind in ("finished", "failed") and number in numbered:
            key = numbered[number]
            jobs[key] = replace(jobs[key], state=kind, ended=at, message=event.get("message", ""))
            journal = replace(journal, finished=journal.finished + (kind == "finished"))
    return replace(journal, jobs=tuple(jobs.values()))


def interrupted(job: Job) -> Job:
    return replace(job, state="interrupted") if job.state == "running" else job


def events_in(path: Path) -> Iterator[dict[str, Any]]:
    with suppress(OSError):
        for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
            with suppress(ValueError):
                event = json.loads(line)
                if isinstance(event, dict) and isinstance(event.get("time"), int | float):
                    yield event


def as_events(job: Job, number: int) -> Iterator[dict[str, Any]]:
    """The events of a job that has ended, to be written again."""
    about = {"rule": job.rule, "name": job.name, "log": job.log}
    yield {"event": "started", "time": job.started, "job": number, **about}
    if job.ended is not None:
        yield {"event": job.state, "time": job.ended, "job": number, "message": job.message}


def name_of(outputs: Sequence[str], rule: str, wildcards: Mapping[str, str]) -> str:
    """The run that a job works for, such as "roberta/lora/seed42", or else its rule with its wildcards."""
    found = (RUN.search(path) for path in outputs)
    return next((match[1] for match in found if match), " ".join([rule, *map(str, wildcards.values())]))


def failures(folder: Path) -> Mapping[str, str]:
    """Why the last attempt at a job failed, by the name of its run: "predict_qlora: ValueError: ..."."""
    jobs = (job for job in read_journal(folder).jobs if job.state == "failed")
    return {job.name: f"{job.rule}: {reason(folder, job)}" for job in jobs}


def reason(folder: Path, job: Job) -> str:
    """Why a job failed, in one line: the error in its log, or what the cluster says if its log has none."""
    status = next((status for status in SLURM if f"'{status}'" in job.message), None)
    if status:
        return f"{SLURM[status]} (SLURM: {status})"
    said = last_error(folder / job.log, since=job.started - SKEW) if job.log else ""
    return said or job.message or "ended without an error in its log"


def last_error(log: Path, since: float = 0.0) -> str:
    """The error that ended a job, in one line, from its log; "" if there is none, or if the log is from before `since`.

    The last exception of a traceback, or the line of a StudyError, whichever is later; or else the last line with
    "error" or "killed" in it. Progress bars and what libraries print while a process ends do not count. Paths of this
    machine are left out, because reports are shared.
    """
    try:
        if log.stat().st_mtime < since:
            return ""
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - TAIL))
            text = file.read().decode("utf-8", errors="replace")
    except OSError:
        return ""
    lines = re.split(r"[\r\n]+|(?<=\])(?=error: |Traceback )", CONTROL.sub("", text))  # an open progress bar ends in ]
    for place in range(len(lines) - 1, -1, -1):
        if lines[place].startswith("error: "):
            return in_short(lines[place].removeprefix("error: "))
        if lines[place].startswith(TRACEBACK) and (said := exception_after(lines[place + 1 :])):
            return in_short(said)
    words = ("error", "killed", "segmentation fault")
    return in_short(next((line for line in reversed(lines) if any(word in line.lower() for word in words)), ""))


def exception_after(lines: list[str]) -> str:
    """The exception below a traceback's first line; with the next line if its own only announces that."""
    place = next((i for i, line in enumerate(lines) if EXCEPTION.match(line)), None)
    if place is None:
        return ""
    more = lines[place + 1].strip() if lines[place].rstrip().endswith(":") and place + 1 < len(lines) else ""
    return f"{lines[place]} {more}"


def in_short(text: str) -> str:
    """One line without this machine's paths."""
    for folder, said in ((Path.cwd(), ""), (Path.home(), "~/")):
        text = text.replace(f"{folder}/", said)
    text = " ".join(text.split())
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"


def duration(seconds: float) -> str:
    """42 -> "42 s"; 4000 -> "1 h 7 min"."""
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"{minutes} min"
    hours = minutes // 60
    return f"{hours} h {minutes % 60} min" if hours < 48 else f"{hours // 24} d {hours % 24} h"


def now() -> float:
    return round(time.time(), 2)
