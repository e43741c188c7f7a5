"""Which results were made by code that has changed since, and the command to remake them."""

from pathlib import Path

from nli.provenance import changed_code
from nli.reporting.results import Results

MADE = {"training": "history.json", "answering": "run.json"}  # a stage of a run -> a file that it makes


def stale_stages(results: Results, repository: Path) -> list[tuple[str, str, list[str]]]:
    """(run directory, stage, changed code files) of every stage of a run that was made by other code.

    The training of a borrowed adapter counts only for the experiment that trained it.
    """
    stages = [
        (f"{experiment.key}/seed{run.seed}", stage, changed_code(recorded, repository))
        for experiment in results.done()
        for run in experiment.runs
        for stage, recorded in (run.run.get("code") or {}).items()
        if recorded and (stage == "answering" or run.history)
    ]
    return [stage for stage in stages if stage[2]]


def status_lines(results: Results, repository: Path, folder: str, command: str) -> list[str]:
    """The output of `snakemake status`: a line for each wrong file and each such stage, and the command for these.

    Args:
        folder: the scale's results folder, as Snakemake names it.
        command: the Snakemake command that makes the study.
    """
    stale = stale_stages(results, repository)
    runs = sum(len(experiment.runs) for experiment in results.done())
    problems = [experiment.problem for experiment in results.experiments.values() if experiment.problem]
    wrong = [f"Missing or wrong files in {folder}:"] if problems else []
    wrong += [f"  {problem}" for problem in problems]
    if not stale:
        return [*wrong, f"{runs} runs in {folder}, all made by the current code."]
    lines = [*wrong, f"{len(stale)} results in {folder} were made by other code. They are kept. Changed files:"]
    lines += [f"  {run}, {stage}: {', '.join(changed)}" for run, stage, changed in stale]
    targets = " ".join(f"{folder}/{run}/{MADE[stage]}" for run, stage, _ in stale)
    return [*lines, "To remake them and the report:", f"  {command} --forcerun {targets}"]
