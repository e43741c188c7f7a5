"""How long the study's jobs take on n GPUs with list scheduling, which a cluster's queue follows.

A free GPU takes the ready job with the longest chain of work after it (Graham 1969, "Bounds on multiprocessing timing
anomalies", with critical-path priorities). In real queues, other users' jobs add waiting time.
"""

import heapq
from collections.abc import Mapping
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from typing import Any

from nli.base.errors import StudyError
from nli.reporting.results import reported_training
from nli.study.resolve import load_study
from nli.study.specs import trains

HOUR = 3600.0  # seconds


@dataclass(frozen=True)
class Job:
    """One job of a plan.

    Attributes:
        seconds: run time.
        needs: names of the jobs that must end first.
        gpu: whether it occupies a GPU while it runs; other jobs are limited only by their dependencies.
    """

    seconds: float
    needs: tuple[str, ...] = ()
    gpu: bool = True


def sorter(jobs: Mapping[str, Job]) -> TopologicalSorter:
    """The jobs, sorted by their dependencies.

    Raises:
        StudyError: a job needs one that is not in the plan, or the dependencies are circular.
    """
    for name, job in jobs.items():
        if missing := [need for need in job.needs if need not in jobs]:
            raise StudyError(f"job {name}: needs {missing[0]}, which is not in the plan")
    graph = TopologicalSorter({name: job.needs for name, job in jobs.items()})
    try:
        graph.prepare()
    except CycleError as error:
        raise StudyError(f"circular dependencies between jobs: {', '.join(sorted(set(error.args[1])))}") from None
    return graph


def tails(jobs: Mapping[str, Job]) -> dict[str, float]:
    """Job -> seconds from its start to the end of the longest chain of jobs that begins with it."""
    graph, order = sorter(jobs), []
    while graph.is_active():
        order += (ready := graph.get_ready())
        graph.done(*ready)
    behind = dict.fromkeys(jobs, 0.0)
    for name in reversed(order):
        behind[name] += jobs[name].seconds
        for need in jobs[name].needs:
            behind[need] = max(behind[need], behind[name])
    return behind


def makespan(jobs: Mapping[str, Job], gpus: int) -> float:
    """Seconds until the last of `jobs` ends on `gpus` GPUs.

    Raises:
        StudyError: there is no GPU for jobs that need one; see also `sorter`.
    """
    if gpus < 1 and any(job.gpu for job in jobs.values()):
        raise StudyError(f"{gpus} GPUs: jobs of this plan need at least one")
    priority, graph = tails(jobs), sorter(jobs)
    waiting: list[str] = []
    running: list[tuple[float, str]] = []
    now, free = 0.0, gpus
    while graph.is_active():
        waiting += graph.get_ready()
        for name in sorted(waiting, key=lambda job: (-priority[job], job)):
            if jobs[name].gpu and not free:
                continue
            free -= jobs[name].gpu
            waiting.remove(name)
            heapq.heappush(running, (now + jobs[name].seconds, name))
        now, ended = heapq.heappop(running)
        free += jobs[ended].gpu
        graph.done(ended)
    return now


def gpu_seconds(jobs: Mapping[str, Job]) -> float:
    """Total GPU time of the jobs, in seconds."""
    return sum(job.seconds for job in jobs.values() if job.gpu)


def schedule_table(jobs: Mapping[str, Job], gpus: list[int]) -> str:
    """A Markdown table of wall time by number of GPUs, with the share of the GPUs' time in use."""
    total = gpu_seconds(jobs)
    lines = ["| GPUs | wall time | GPU-hours | GPUs busy |", "|---:|---:|---:|---:|"]
    for count in gpus:
        wall = makespan(jobs, count)
        busy = total / (wall * count) if wall else 0.0
        lines.append(f"| {count} | {wall / HOUR:.1f} h | {total / HOUR:.1f} | {busy:.0%} |")
    return "\n".join(lines)


def jobs_of_rehearsal(rehearsal: Mapping[str, Any]) -> dict[str, Job]:
    """The GPU jobs that rehearsal.json predicts: `jobs: [{name, hours, needs}]`.

    Raises:
        StudyError: there are none, or one has no time because its experiment was not measured.
    """
    planned = rehearsal.get("jobs") or []
    if not planned:
        raise StudyError("the rehearsal predicts no job; run it for the whole study")
    for job in planned:
        if job["hours"] is None:
            raise StudyError(
                f"job {job['name']}: the rehearsal has no time for it; rehearsal.md says why. Rehearse where it can be"
                " measured, or leave it out with only=[...]"
            )
    return {job["name"]: Job(HOUR * job["hours"], tuple(job["needs"])) for job in planned}


def jobs_of_report(
    reported: Mapping[str, Any], config: Mapping[str, Any], seeds: list[int] | None = None, rungs: str = "core"
) -> dict[str, Job]:
    """The paper scale's trainings, with the times that the original reports; it reports none for answering.

    The points of sweeps are left out.

    Args:
        reported: reported.yaml.
        config: config.yaml. An experiment that the original did not run gets the time of the one that it extends; an
            encoder method that extends nothing gets that of full fine-tuning, which is the longest.
        seeds: the seeds of every experiment; None: those in config.yaml.
        rungs: as config.yaml's key `rungs`; "core" leaves out experiments marked `extra: true`, "all" keeps them.
    """
    study = load_study(config, {"scale": "paper", "rungs": rungs, **({"seeds": seeds} if seeds else {})})
    jobs = {}
    for key, experiment in study.experiments.items():
        if not trains(experiment) or key in study.points:
            continue
        source = key
        while source and "seconds" not in reported_training(reported, source):
            source = config["experiments"][source].get("extends")
        if key.startswith("roberta/"):
            source = source or "roberta/full"
        if source:
            seconds = reported_training(reported, source)["seconds"]
            jobs |= {f"train {key} seed {seed}": Job(seconds) for seed in study.seeds_of(experiment)}
    return jobs
