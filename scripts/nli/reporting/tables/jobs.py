"""The time that the jobs of each rule took."""

from collections.abc import Sequence
from statistics import median

from nli.base.journal import Job, duration
from nli.reporting.markup import counted, escape, table
from nli.reporting.results import Results


def jobs(results: Results) -> str:
    """A sentence, and a row per rule, the longest first: its jobs, their time together, and the longest of them."""
    rules: dict[str, list[Job]] = {}
    for job in (job for job in results.jobs if not job.rule.startswith("write_")):  # these take no time
        rules.setdefault(job.rule, []).append(job)
    if not rules:
        return "@fig-workflow shows the rules of the workflow. The times of their jobs were not recorded.\n"
    ordered = sorted(rules.items(), key=lambda item: -sum(map(seconds, item[1])))
    columns = {"Rule": "l", "Jobs": "r", "Together": "r", "Median": "r", "Longest": "r", "Which": "l"}
    number = counted(sum(map(len, rules.values())), "job")
    caption = (
        f"Time of {number}, each at its last attempt, as Snakemake saw it: on a cluster "
        "with the time in the queue. Where jobs ran side by side, the whole took less."
    )
    text = "@fig-workflow shows the rules of the workflow, and @tbl-jobs the time of their jobs.\n\n"
    return text + table(columns, [row(rule, made) for rule, made in ordered], caption, "tbl-jobs")


def row(rule: str, made: Sequence[Job]) -> list[str]:
    longest = max(made, key=seconds)
    times = (sum(map(seconds, made)), median(map(seconds, made)), seconds(longest))
    return [f"`{rule}`", str(len(made)), *map(duration, times), escape(longest.name.removeprefix(rule).strip())]


def seconds(job: Job) -> float:
    return job.ended - job.started
