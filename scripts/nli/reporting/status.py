"""Which files of runs are wrong, which results were made by other code, and the command to remake them."""

import re
from pathlib import Path

from nli.provenance import changed_code
from nli.reporting.results import Results

WRONG = re.compile(r"(\S+/seed\d+/\w+\.(?:json|parquet)): (?!no such file; run the rule)")
MADE = {"training": "history.json", "answering": "run.json"}  # a stage of a run -> a file that it makes


def stale_stages(results: Results, repository: Path) -> list[tuple[str, str, list[str]]]:
    """(run directory, stage, changed code files) of every stage of a run that was made by other code.

    The training of a borrowed adapter counts only for the experiment that trained it.
    """
    stages = [
        (f"{experiment.key}/seed{run.seed}", stage, changed_code(recorded, repository))
        for experiment in results.everything.values()
        for run in experiment.runs
        for stage, recorded in (run.run.get("code") or {}).items()
        if recorded and (stage == "answering" or run.history)
    ]
    return [stage for stage in stages if stage[2]]


def wrong_files(results: Results) -> list[str]:
    """The paths, in the scale's folder, of the files of runs that `load_results` has found missing or wrong.

    Not those that a run has yet to make: the study makes them anyway.
    """
    return [path for experiment in results.everything.values() for path in WRONG.findall(experiment.problem)]


def status_lines(results: Results, repository: Path, folder: str, command: str) -> list[str]:
    """The output of `snakemake status`: a line for each wrong file and each such stage, and the command for them all.

    Args:
        folder: the scale's results folder, as Snakemake names it.
        command: the Snakemake command that makes the study.
    """
    stale, wrong = stale_stages(results, repository), wrong_files(results)
    runs = sum(len(experiment.runs) for experiment in results.everything.values())
    lines = []
    if wrong:
        lines += [f"Missing or wrong files in {folder}:"]
        lines += [f"  {each.problem}" for each in results.everything.values() if WRONG.search(each.problem)]
    if stale:
        lines += [f"{len(stale)} results in {folder} were made by other code. They are kept. Changed files:"]
        lines += [f"  {run}, {stage}: {', '.join(changed)}" for run, stage, changed in stale]
    else:
        lines += [f"{runs} runs in {folder}, all made by the current code."]
    if not (wrong or stale):
        return lines
    targets = " ".join(f"{folder}/{file}" for file in [*wrong, *(f"{run}/{MADE[stage]}" for run, stage, _ in stale)])
    return [*lines, "To remake them and the report:", f"  {command} --forcerun {targets}"]
