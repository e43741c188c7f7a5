"""The disk that a study takes, folder by folder, and where it can be written."""

import tempfile
from collections.abc import Sequence
from pathlib import Path

from nli import fetched
from nli.fetched import HubItem
from nli.schema import Study
from nli.schema_experiments import UNQUANTIZED, Experiment

# Disk in GB that one run leaves in the results, and that its checkpoints take while it trains: save_total_limit is 1,
# and the new checkpoint is whole before the old one goes, so twice a checkpoint (weights and two Adam moments).
DISK = {
    "roberta/full": (1.5, 8.6),
    "roberta": (1.5, 3.5),  # no or few optimizer moments
    "icl": (0.05, 0.0),
    "qlora/answer": (0.05, 0.0),  # another's adapter
    "qlora/merge": (6.0, 0.0),  # the 4-bit model whole
    "qlora/merge16": (16.5, 0.0),  # the model in 16 bits
    "qlora": (0.2, 0.5),  # 32.5M adapter parameters in float32, moments in 8 bits
    "linear_head": (0.2, 0.5),
}
SMALL_DISK = 0.5  # data, tables, figures and report, and the whole of the demo
TEMPORARY_DISK = 2.0  # the data set while it is read, and the libraries' scratch files


def disk_needs(study: Study, missing: Sequence[HubItem], trains: bool, at_once: bool) -> list[tuple[str, Path, float]]:
    """(what, where, GB still to come) of each folder that grows.

    Args:
        missing: what is still to be fetched.
        trains: the runs that are not finished will be made, not only reported on.
        at_once: all at the same time, as a cluster may; else one after the other.
    """
    results = Path(study.results, study.scale)
    fetches = sum(max(item.gb - fetched.partial_gb(study, item), 0.0) for item in missing)
    needs = [("results", results, SMALL_DISK), ("cache", Path(study.cache), fetches)]
    if study.scale == "paper" and trains:
        runs = [
            DISK.get(kind_of(experiment), DISK[experiment.family])
            for experiment in study.using_models()
            for seed in study.seeds_of(experiment)
            if not (results / experiment.key / f"seed{seed}" / "run.json").exists()
        ]
        checkpoints = [run[1] for run in runs]
        grows = sum(checkpoints) if at_once else max(checkpoints, default=0.0)
        needs[0] = ("results", results, SMALL_DISK + sum(run[0] for run in runs) + grows)
        needs.append(("temporary files", Path(tempfile.gettempdir()), TEMPORARY_DISK))
    return needs


def kind_of(experiment: Experiment) -> str:
    """The key of `DISK` that an experiment may have."""
    kind = f"{experiment.family}/{getattr(experiment, 'method', '')}"
    return f"{kind}16" if getattr(experiment, "merge_into", None) in UNQUANTIZED else kind


def nearest_folder(path: Path) -> Path:
    """`path`, or the nearest folder above it that exists."""
    path = path.expanduser().absolute()
    return next(folder for folder in (path, *path.parents) if folder.exists())


def unwritable(path: Path) -> str:
    """Why nothing can be written to `path`, tried where it is or would be made; empty if it can."""
    folder = nearest_folder(path)
    if not folder.is_dir():
        return f"{path}: {folder.name} is a file, not a folder"
    try:
        with tempfile.TemporaryFile(dir=folder):
            return ""
    except OSError as error:
        return f"{path}: cannot be written to ({error.strerror})"
