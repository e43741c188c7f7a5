"""One of two runs to compare: a results folder, or nothing but its summary.json."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nli.base.errors import StudyError
from nli.base.files import read_json
from nli.data.predictions import read_predictions
from nli.data.run_files import check_predictions_file, read_run
from nli.measure.answers import Answers, Frames, frames_of
from nli.measure.two_runs import accuracy_of
from nli.reporting.summary import VERSION
from nli.study.experiments import FAMILIES
from nli.study.selected import is_selected, seeds_of

WANTED = "give the results folder of a scale, such as results/demo, or its summary.json"


@dataclass(frozen=True)
class Side:
    """One of the two runs.

    Attributes:
        name: its path, as given.
        summary: summary.json; {} if the study has not finished.
        study: study.json; {} if there is only a summary.
        runs: the run directories of every experiment by seed; {} if there is only a summary.
        records: run.json of each of them, in the same order.
    """

    name: str
    summary: Mapping[str, Any]
    study: Mapping[str, Any] = field(default_factory=dict)
    runs: Mapping[str, Mapping[int, Path]] = field(default_factory=dict)
    records: tuple[Mapping[str, Any], ...] = ()

    @property
    def experiments(self) -> list[str]:
        """The experiments that have run."""
        if self.study:
            return list(self.runs)
        return [key for key, experiment in self.summary["experiments"].items() if "scores" in experiment]

    def scorer(self, key: str) -> str:
        """The scorer whose numbers represent an experiment."""
        if not self.study:
            return self.summary["experiments"][key]["scorer"]
        spec = self.study["experiments"][key]
        return next(iter(spec.get("scorers") or ()), FAMILIES[spec["family"]].scorer)

    def frames(self, key: str, split: str) -> Frames:
        """An experiment's answers on a split by seed, read by its own scorer; {} if there are none, or no files."""
        frames = {}
        for seed, folder in self.runs.get(key, {}).items():
            frames[seed] = read_predictions(folder / "predictions.parquet")
        return frames_of(Answers("done", frames=frames), split, self.scorer(key))

    def scores(self, key: str, split: str, frames: Frames) -> dict[str, Any] | None:
        """`accuracy_of` an experiment, from its `frames` or the summary; None if it did not answer the split."""
        if self.study:
            return accuracy_of(frames) if frames else None
        scores = self.summary["experiments"][key]["scores"].get(split, {}).get(self.scorer(key))
        if scores is None:
            return None
        return {
            **{name: scores[name] for name in ("n", "accuracy", "interval")},
            "seeds": sorted(map(int, scores["by_seed"])),
        }


def read_side(path: str) -> Side:
    """The run at a path; StudyError if there is none, or if one of its files is broken, edited or another run's."""
    if not path:
        raise StudyError(f"a run to compare is missing; {WANTED}")
    place = Path(path)
    if not place.exists():
        raise StudyError(f"{path}: no such file or folder; {WANTED}")
    if place.is_file():
        return Side(path, read_summary(place))
    summary = read_summary(place / "summary.json") if (place / "summary.json").exists() else {}
    if not (place / "study.json").exists():
        if not summary:
            raise StudyError(f"{path}: holds no study.json and no summary.json; {WANTED}")
        return Side(path, summary)
    study = read_json(place / "study.json")
    if not isinstance(study.get("experiments"), dict):
        raise StudyError(f"{place / 'study.json'}: experiments: missing; {WANTED}")
    runs = {key: found for key in study["experiments"] if (found := finished_runs(place, study, key))}
    if not runs:
        raise StudyError(f"{path}: no experiment has finished; {WANTED}")
    records = tuple(
        check_run(folder, study, key, seed) for key, found in runs.items() for seed, folder in found.items()
    )
    return Side(path, summary, study, runs, records)


def read_summary(path: Path) -> dict[str, Any]:
    """summary.json; StudyError if it is another file or of another version."""
    summary = read_json(path)
    if not {"version", "scale", "experiments", "claims"} <= summary.keys():
        raise StudyError(f"{path}: not a summary of a study; {WANTED}")
    if summary["version"] != VERSION:
        raise StudyError(f"{path}: version {summary['version']}, this code reads {VERSION}; rerun the study's report")
    return summary


def finished_runs(folder: Path, study: Mapping[str, Any], key: str) -> dict[int, Path]:
    """The run directories of an experiment that hold answers, by seed; files of other configurations are left out."""
    spec = study["experiments"][key]
    if not is_selected(study, key, spec):
        return {}
    directories = {seed: folder / key / f"seed{seed}" for seed in seeds_of(study, spec)}
    return {seed: found for seed, found in directories.items() if (found / "run.json").exists()}


def check_run(directory: Path, study: Mapping[str, Any], key: str, seed: int) -> dict[str, Any]:
    """run.json of a run; StudyError if it or its predictions are edited or another run's."""
    family, name = key.split("/")
    wanted = {"family": family, "name": name, "scale": study["scale"], "seed": seed}
    record = read_run(directory / "run.json", wanted)
    check_predictions_file(directory / "predictions.parquet", record)
    return record
