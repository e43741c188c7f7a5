"""The disk space that a study needs in each folder, and whether a folder is writable."""

import tempfile
from collections.abc import Sequence
from pathlib import Path

from nli.hub import needs
from nli.hub.needs import HubItem
from nli.study.experiments import UNQUANTIZED, Experiment
from nli.study.schema import Study

SMALL_DISK = 0.5  # GB: data, tables, figures and report, or a whole study whose runs leave next to nothing
TEMPORARY_DISK = 2.0  # GB: the data set while it is read, and the libraries' scratch files


def disk_needs(study: Study, missing: Sequence[HubItem], trains: bool, at_once: bool) -> list[tuple[str, Path, float]]:
    """(what, where, GB still needed) for each folder that grows.

    Args:
        missing: what is still to be fetched.
        trains: whether unfinished runs will be started, not only reported on.
        at_once: whether runs may be simultaneous, as on a cluster, or are one after the other.
    """
    results = Path(study.results, study.scale)
    fetches = sum(max(item.gb - needs.partial_gb(study, item), 0.0) for item in missing)
    growing = [("results", results, SMALL_DISK), ("cache", Path(study.cache), fetches)]
    sizes = study.machine.run_disk
    if sizes is not None and trains:
        runs = [
            sizes.get(kind_of(experiment)) or sizes.get(experiment.family, [0.0, 0.0])
            for experiment in study.using_models()
            for seed in study.seeds_of(experiment)
            if not (results / experiment.key / f"seed{seed}" / "run.json").exists()
        ]
        runs += [
            sizes.get(kind_of(study.experiments[key])) or sizes.get("roberta", [0.0, 0.0])
            for key in (study.tasks.experiments if study.tasks else ())
            for task in study.tasks.tasks
            if not (results / "tasks" / study.experiments[key].name / task / "record.json").exists()
        ]
        checkpoints = [run[1] for run in runs]
        grows = sum(checkpoints) if at_once else max(checkpoints, default=0.0)
        growing[0] = ("results", results, SMALL_DISK + sum(run[0] for run in runs) + grows)
        growing.append(("temporary files", Path(tempfile.gettempdir()), TEMPORARY_DISK))
    return growing


def kind_of(experiment: Experiment) -> str:
    """The specific key that an experiment may have in `machine: run_disk:`."""
    kind = f"{experiment.family}/{getattr(experiment, 'method', '')}"
    return f"{kind}16" if getattr(experiment, "merge_into", None) in UNQUANTIZED else kind


def nearest_folder(path: Path) -> Path:
    """`path`, or the nearest folder above it that exists."""
    path = path.expanduser().absolute()
    return next(folder for folder in (path, *path.parents) if folder.exists())


def unwritable(path: Path) -> str:
    """Why `path`, or the folder in which it would be created, is not writable; empty if it is."""
    folder = nearest_folder(path)
    if not folder.is_dir():
        return f"{path}: {folder.name} is a file, not a folder"
    try:
        with tempfile.TemporaryFile(dir=folder):
            return ""
    except OSError as error:
        return f"{path}: cannot be written to ({error.strerror})"
