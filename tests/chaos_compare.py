"""Compare the files of two runs of the same study, but for what a clock decides."""

import json
import tempfile
from pathlib import Path

from system.slurm import MEASURED, MEASURED_IN_HISTORY, report_without_measures, without_measures

# Not declared outputs: what runs say of themselves, and what a job leaves for the next.
IGNORED = (".lock", "logs", "benchmarks", "report/build", "status.html")
SNAKEMAKES = ".snakemake_timestamp"  # in a folder that is an output; not written if Snakemake is killed at that moment
CLOCKED = {"run.json": MEASURED, "training.json": MEASURED, "history.json": MEASURED_IN_HISTORY}
SEALS = {"content_sha256", "trained", "files"}  # hashes over times
# They print times. Tables and figures are made again from the records without times, and compared then.
PRINTED = ("report/tables", "report/figures", "report.html", "report.pdf")
ENDS = {"report.html": b"</html>", "report.pdf": b"%%EOF"}


def compare(undisturbed: Path, disturbed: Path) -> tuple[int, list[str]]:
    """The number of files of an undisturbed run, and a line for each that the other lacks, adds or has otherwise."""
    ours, theirs = (files_of(folder) for folder in (undisturbed, disturbed))
    lines = [f"{name}: missing" for name in sorted(ours.keys() - theirs.keys())]
    lines += [f"{name}: left over" for name in sorted(theirs.keys() - ours.keys())]
    both = sorted(ours.keys() & theirs.keys())
    lines += [f"{name}: other content" for name in both if content(name, ours[name]) != content(name, theirs[name])]
    if not lines:
        lines = report_differences(undisturbed, disturbed)
    return len(ours), lines


def files_of(results: Path) -> dict[str, Path]:
    """The files below a results folder by their path in it, without the ignored ones."""
    found = {
        str(path.relative_to(results)): path
        for path in results.rglob("*")
        if not path.is_dir() and path.name != SNAKEMAKES
    }
    return {name: path for name, path in found.items() if not below(name, IGNORED)}


def below(name: str, folders: tuple[str, ...]) -> bool:
    return any(name == folder or name.startswith(f"{folder}/") for folder in folders)


def content(name: str, path: Path) -> object:
    """What two equal runs have in common in a file: its bytes, or its record without times."""
    if path.name in CLOCKED:
        record = without_measures(json.loads(path.read_text()), CLOCKED[path.name])
        return {key: value for key, value in record.items() if key not in SEALS}
    if below(name, PRINTED):
        return path.read_bytes().rstrip().endswith(ENDS.get(name, b"")) or f"{path} is not whole"
    return path.read_bytes()


def report_differences(*results: Path) -> list[str]:
    """A line for each table and figure that differs when everything took one second."""
    with tempfile.TemporaryDirectory() as folder:
        ours, theirs = (report_without_measures(path, Path(folder, str(i))) for i, path in enumerate(results))
    names = sorted(ours.keys() | theirs.keys())
    return [f"{name} without times: other content" for name in names if ours.get(name) != theirs.get(name)]
