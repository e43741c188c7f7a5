"""What a study is doing now, from the files of its results folder alone."""

import json
import re
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nli.base.journal import SKEW, Job, Journal, duration, interrupted, now, read_journal, reason
from nli.base.progress import NAME as PROGRESS
from nli.study.selected import is_selected, seeds_of

ANSWERED = re.compile(r"(\d+) of (\d+) answered")  # what a generating job prints after each batch
TAIL = 4096  # bytes of a log that are searched for it
QUIET = 300  # seconds without a sign of life that are mentioned


@dataclass(frozen=True)
class Active:
    """A job that runs, and in words how far it is: its step, and the time left at the speed so far."""

    job: Job
    doing: str


@dataclass(frozen=True)
class State:
    """A moment of a study.

    Attributes:
        scale: of the study.
        running: whether Snakemake runs.
        journal: what became of the jobs.
        active: the running jobs.
        failed: every failed job with its reason.
        runs: run ("roberta/lora/seed42") -> "done", "running", "failed" or "waiting", in the study's order.
        at: seconds since 1970.
    """

    scale: str
    running: bool
    journal: Journal
    active: tuple[Active, ...]
    failed: tuple[tuple[Job, str], ...]
    runs: Mapping[str, str]
    at: float

    @property
    def counts(self) -> Counter[str]:
        return Counter(self.runs.values())


def read_state(folder: Path, running: bool, at: float | None = None) -> State:
    """The state of a results folder; without study.json its runs are those that jobs worked for.

    Args:
        running: whether Snakemake runs; if not, jobs without an end were interrupted.
        at: the time; now if None.
    """
    at, journal, plan = at or now(), read_journal(folder), {}
    with suppress(OSError, ValueError):
        plan = json.loads((folder / "study.json").read_text(encoding="utf-8"))
    jobs = journal.jobs if running else tuple(map(interrupted, journal.jobs))
    active = tuple(Active(job, doing(folder, job, at)) for job in jobs if job.state == "running")
    names = dict.fromkeys([*planned_runs(plan), *(job.name for job in jobs if "/seed" in job.name)])
    runs = {name: (folder / name / "metrics.json").exists() for name in names}
    failed = tuple((job, reason(folder, job)) for job in jobs if job.state == "failed" and not runs.get(job.name))
    states = {job.name: "failed" for job, _ in failed} | {each.job.name: "running" for each in active}
    return State(
        scale=str(plan.get("scale", folder.name)),
        running=running,
        journal=journal,
        active=active,
        failed=failed,
        runs={name: states.get(name, "done" if done else "waiting") for name, done in runs.items()},
        at=at,
    )


def planned_runs(plan: Mapping[str, Any]) -> list[str]:
    """The runs that study.json selects: "roberta/lora/seed42"."""
    experiments = plan.get("experiments") or {}
    selected = {key: spec for key, spec in experiments.items() if is_selected(plan, key, spec)}
    return [f"{key}/seed{seed}" for key, spec in selected.items() for seed in seeds_of(plan, spec)]


def doing(folder: Path, job: Job, at: float) -> str:
    """How far a running job is."""
    log = folder / job.log
    if job.log and not (log.exists() and log.stat().st_mtime >= job.started - SKEW):
        return "no output yet; on a cluster it may wait in the queue"
    found = newest_progress(folder, job)
    if found:
        return training_in_words(*found, at)
    answered = ANSWERED.findall(tail_of(log)) if job.rule.startswith("predict") else []
    return f"{int(answered[-1][0]):,} of {int(answered[-1][1]):,} pairs of a set answered" if answered else ""


def newest_progress(folder: Path, job: Job) -> tuple[dict[str, Any], float] | None:
    """What a training last wrote about itself in this attempt, and when; None if it is no training or has not begun."""
    if not job.rule.startswith("finetune"):
        return None
    with suppress(OSError, ValueError):  # it may end, and delete the file, at any time
        written = {path: path.stat().st_mtime for path in folder.glob(f"checkpoints/{job.name}-*/{PROGRESS}")}
        newest = max(written, key=written.get)
        if written[newest] >= job.started - SKEW:
            return json.loads(newest.read_text(encoding="utf-8")), written[newest]
    return None


def training_in_words(progress: Mapping[str, Any], written: float, at: float) -> str:
    """ "step 740 of 846, 0.03 s each, 3 s left"."""
    step, steps, each = progress["step"], progress["steps"], progress["seconds_per_step"]
    silent = f"; last sign of life {duration(at - written)} ago" if at - written > max(QUIET, 10 * (each or 0)) else ""
    if step >= steps:
        return f"all {steps:,} steps done, saving{silent}"
    if each is None:
        return f"step {step:,} of {steps:,}{silent}"
    left = max(0.0, (steps - step) * each - (at - written))
    return f"step {step:,} of {steps:,}, {each:.2g} s each, {duration(left)} left{silent}"


def tail_of(path: Path) -> str:
    with suppress(OSError), path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - TAIL))
        return file.read().decode("utf-8", errors="replace")
    return ""
