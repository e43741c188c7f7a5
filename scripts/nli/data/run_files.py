"""training.json, run.json and metrics.json: their schemas, and what each file of a run says that it belongs to.

predictions.parquet (in its metadata), run.json and metrics.json name the run (family, name, seed, scale) and hash its
spec, its data and the code that answered. run.json has the SHA-256 of the predictions, metrics.json that of the
predictions that it was computed from. training.json names its experiment and seed, and has the SHA-256 of what its
training wrote beside it; run.json passes that on. All three records have the hash of their own content, so that an edit
shows. A file that does not fit is refused in one line, which says what remakes it. Trainings of earlier versions, which
lack this, are kept.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import pandas as pd
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from nli.base.atomic import write_json
from nli.base.errors import StudyError
from nli.base.files import content_hash, read_json, sha256
from nli.data.predictions import named_run, write_predictions
from nli.study.specs import spec_hash
from nli.study.types import Label, Seed

# What remakes a file, for the end of a message. No training is repeated: its outputs are other files.
ANSWER_AGAIN = "delete it and rerun: the pairs are answered again, nothing is trained again"
TRAIN_AGAIN = "restore it, or delete it and rerun, which trains again"
SCORE_AGAIN = "delete it and rerun: the answers are scored again, which takes seconds"

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
ShortHash = Annotated[str, Field(pattern=r"^[0-9a-f]{12}$")]
Count = Annotated[int, Field(ge=0)]
Positive = Annotated[int, Field(gt=0)]
Finite = Annotated[float, Field(allow_inf_nan=False)]
Share = Annotated[float, Field(ge=0, le=1)]
Interval = Annotated[list[Finite], Field(min_length=2, max_length=2)]


class Part(BaseModel):
    """A part of a file; further keys are allowed."""

    model_config = ConfigDict(strict=True, frozen=True)


class Closed(Part):
    """A part of a file without further keys."""

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid")


class Hashes(Closed):
    """Of the spec that answered, of the hashes of the answered splits' files, and of those of the code's files."""

    spec: ShortHash
    data: ShortHash
    code: ShortHash


class Identity(Part):
    """The run that a file belongs to."""

    family: str
    name: str
    seed: Seed
    scale: str


IDENTITY = tuple(Identity.model_fields)


class NamedRun(Identity):
    """What predictions.parquet says that it belongs to."""

    hashes: Hashes


# ---------------------------------------------------------------------------------------------- records


class Data(Part):
    source: str | None
    revision: str | None
    sha256: dict[str, Sha256]


class Totals(Part):
    total: Count
    trainable: Count
    frozen: Count


class Layer(Part):
    name: str
    parameters: Count
    trainable: Count


class Parameters(Totals):
    as_reported: Totals
    layers: list[Layer]
    trainable_tensors: list[str]
    gradient_tensors: list[str]
    audited_steps: Count | None


class Seconds(Part):
    wall: Finite
    train: Finite | None


class RunSeconds(Seconds):
    evaluation: Finite


class Energy(Part):
    train: Finite | None


class Throughput(Part):
    examples_per_second: Finite | None
    tokens_per_second: Finite | None


class PeakMemory(Part):
    process: Finite | None
    device: Finite | None


class Code(Closed):
    training: dict[str, str] | None
    answering: dict[str, str]


class Work(Part):
    """What a job worked on, and what it took."""

    spec: dict[str, Any]
    parameters: Parameters
    seconds: Seconds
    sessions: Positive | None
    energy_kwh: Energy
    throughput: Throughput
    peak_memory_gib: PeakMemory
    content_sha256: Sha256 | None = None


class Training(Work):
    """training.json; `files` is name -> SHA-256 of what the training wrote beside it."""

    code: dict[str, str]
    base: dict[str, str | None] | None
    seed: Seed | None = None
    files: dict[str, Sha256] = {}


class Record(Work, Identity):
    """run.json; the last three keys are missing in those of earlier versions."""

    seconds: RunSeconds
    device: str
    dtype: str
    versions: dict[str, str]
    data: Data
    model: dict[str, Any] | None
    code: Code
    git_commit: str | None
    trained: dict[str, Sha256] = {}
    hashes: Hashes | None = None
    predictions: Sha256 | None = None

    @model_validator(mode="after")
    def _sealed_or_old(self) -> "Record":
        if len({value is None for value in (self.hashes, self.predictions, self.content_sha256)}) > 1:
            raise ValueError("needs all of hashes, predictions and content_sha256")
        return self


# ---------------------------------------------------------------------------------------------- metrics.json


class LabelScores(Closed):
    precision: Share
    recall: Share
    f1: Share
    support: Count


class Confusion(Closed):
    rows: list[Label]
    columns: list[Label | Literal["unparsed"]]
    counts: list[list[Count]]


class GenreScore(Closed):
    n: Positive
    accuracy: Share


class Scores(Closed):
    """Of one split by one scorer."""

    n: Positive
    parsed: Count
    correct: Count
    accuracy: Share
    interval: Interval
    clustered_interval: Interval
    design_effect: Finite
    premises: Positive
    parsed_accuracy: Share | None
    parsed_interval: Interval | None
    parsed_clustered_interval: Interval | None
    majority_accuracy: Share
    per_class: dict[Label, LabelScores]
    macro_f1: Share
    confusion: Confusion
    answers: dict[Label | Literal["unparsed"], Count]
    collapsed: bool
    calibration_error: Share | None
    genres: dict[str, GenreScore]


class DrawScores(Closed):
    """Of one split by one scorer, by draw of worked examples."""

    n: list[Count]
    accuracy: list[Share | None]
    p_value: Share | None


class Metrics(Identity):
    """metrics.json"""

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid")

    results: Annotated[dict[str, dict[str, Scores]], Field(min_length=1)]
    by_draw: dict[str, dict[str, DrawScores]]
    pairs: dict[str, Sha256] = {}
    hashes: Hashes
    predictions: Sha256
    content_sha256: Sha256


# ---------------------------------------------------------------------------------------------- writing


def write_answers(
    predictions: Path, run: Path, frame: pd.DataFrame, record: Mapping[str, Any], spec: Mapping[str, Any]
) -> None:
    """Write a run's predictions.parquet and then its run.json, each with what it belongs to.

    Args:
        predictions, run: the files to write.
        frame: the rows of every split and scorer.
        record: run.json, without what is added here.
        spec: the prediction job's.
    """
    belongs = {**identity_of(record), "hashes": hashes_of(record, spec)}
    write_predictions(frame, predictions, belongs)
    _write(run, {**record, **belongs, "predictions": sha256(predictions)}, Record)


def write_metrics(
    path: Path, predictions: Path, scores: Mapping[str, Any], record: Mapping[str, Any], spec: Mapping[str, Any]
) -> None:
    """Write metrics.json.

    Args:
        predictions: the file that `scores` (`results`, `by_draw` and `pairs`) were computed from.
        record: run.json of the run.
        spec: the prediction job's.
    """
    belongs = {**identity_of(record), "hashes": hashes_of(record, spec), "predictions": sha256(predictions)}
    _write(path, {**belongs, **scores}, Metrics)


def write_training(path: Path, record: Mapping[str, Any], seed: int, files: Sequence[Path]) -> None:
    """Write training.json.

    Args:
        record: its content, without what is added here.
        files: what the training wrote beside it.
    """
    _write(path, {**record, "seed": seed, "files": {file.name: sha256(file) for file in files}}, Training)


def identity_of(record: Mapping[str, Any]) -> dict[str, Any]:
    """`Identity` of a file's content."""
    return {key: record[key] for key in IDENTITY}


def hashes_of(record: Mapping[str, Any], spec: Mapping[str, Any]) -> dict[str, str]:
    """`Hashes` of a run, from its run.json and the spec of its prediction job."""
    made_from = {"spec": spec, "data": record["data"]["sha256"], "code": record["code"]["answering"]}
    return {name: spec_hash(value) for name, value in made_from.items()}


def sealed(content: Mapping[str, Any]) -> dict[str, Any]:
    """A file's content with the hash of itself."""
    return {**content, "content_sha256": content_hash(content)}


def _write(path: Path, content: Mapping[str, Any], schema: type[Part]) -> None:
    content = sealed(content)
    _validate(path, content, schema, "this is an error of the code that writes it")
    write_json(path, content)


# ---------------------------------------------------------------------------------------------- reading


def read_training(path: Path, spec: Mapping[str, Any], seed: int) -> dict[str, Any]:
    """training.json of the training that a prediction job's spec builds on; StudyError if it is another's or edited."""
    content = read_json(path)
    _validate(path, content, Training, TRAIN_AGAIN)
    check_seal(path, content, TRAIN_AGAIN)
    wanted = spec.get("adapter") or f"{spec['family']}/{spec['name']}"
    found = f"{content['spec'].get('family')}/{content['spec'].get('name')}"
    if found != wanted or content.get("seed", seed) != seed:
        by = f", seed {content['seed']}" if "seed" in content else ""
        raise StudyError(f"{path}: it belongs to {found}{by}, not to {wanted}, seed {seed}; {TRAIN_AGAIN}")
    return content


def read_run(path: Path, wanted: Mapping[str, Any]) -> dict[str, Any]:
    """run.json of the run `wanted` (an `Identity`); StudyError if it is another's, edited or not whole."""
    return _read(path, wanted, Record, ANSWER_AGAIN)


def read_metrics(path: Path, record: Mapping[str, Any], spec: Mapping[str, Any]) -> dict[str, Any]:
    """metrics.json of a run; StudyError if it is another's, edited or not whole.

    Args:
        record: run.json of the run.
        spec: the prediction job's.
    """
    metrics = _read(path, identity_of(record), Metrics, SCORE_AGAIN)
    if record.get("predictions") not in (None, metrics["predictions"]):
        raise StudyError(f"{path}: computed from other answers than run.json records (predictions); {SCORE_AGAIN}")
    if metrics["hashes"] != hashes_of(record, spec):
        raise StudyError(f"{path}: of another spec, data or code than run.json (hashes); {SCORE_AGAIN}")
    return metrics


def _read(path: Path, wanted: Mapping[str, Any], schema: type[Identity], remedy: str) -> dict[str, Any]:
    content = read_json(path)
    if schema is Metrics and isinstance(content, dict) and "content_sha256" not in content:
        raise StudyError(f"{path}: it does not say what it was computed from, as in earlier versions; {remedy}")
    _validate(path, content, schema, remedy)
    if identity_of(content) != wanted:
        raise StudyError(f"{path}: it belongs to {in_words(content)}, not to {in_words(wanted)}; {remedy}")
    check_seal(path, content, remedy)
    return content


def check_seal(path: Path, content: Mapping[str, Any], remedy: str) -> None:
    """Raise StudyError if a file's content has a hash of itself that does not fit."""
    seal = content.get("content_sha256")
    if seal and seal != content_hash({key: value for key, value in content.items() if key != "content_sha256"}):
        raise StudyError(f"{path}: edited after it was written (content_sha256 does not fit); {remedy}")


def _validate(path: Path, content: Any, schema: type[Part], remedy: str) -> None:
    """Raise StudyError with the first key that the schema refuses."""
    try:
        schema.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"])) or "its content"
        raise StudyError(f"{path}: {place}: {first['msg']}; {remedy}") from None


def check_predictions_file(path: Path, record: Mapping[str, Any], metrics: Mapping[str, Any] | None = None) -> None:
    """Raise StudyError unless a predictions file is the one that run.json, and metrics.json if given, were made with.

    Where neither it nor run.json says so, both are of an earlier version: `nli.data.answered` compares their pairs.
    """
    named = named_run(path)
    if named is not None:
        _validate(path, named, NamedRun, ANSWER_AGAIN)
    if named and identity_of(named) != identity_of(record):
        raise StudyError(f"{path}: it belongs to {in_words(named)}, not to {in_words(record)}; {ANSWER_AGAIN}")
    made = sha256(path)
    if record.get("predictions", made) != made or (named and named["hashes"] != record.get("hashes")):
        raise StudyError(f"{path}: not the answers that run.json beside it records (SHA-256); {ANSWER_AGAIN}")
    if metrics and metrics["predictions"] != made:
        raise StudyError(
            f"{path}: not the answers that metrics.json was computed from; delete metrics.json and rerun: scoring "
            "takes seconds and checks the answers"
        )


def check_trained(folder: Path, record: Mapping[str, Any]) -> None:
    """Raise StudyError unless the files that a run's own training wrote are those that its run.json names."""
    for name, made in ({} if record["spec"].get("adapter") else record.get("trained", {})).items():
        path = folder / name
        if not path.exists() or sha256(path) != made:
            raise StudyError(f"{path}: not the file that the training wrote (SHA-256); {TRAIN_AGAIN}")


def check_made_from(path: Path, record: Mapping[str, Any], spec: Mapping[str, Any], splits: Mapping[str, Path]) -> None:
    """Raise StudyError if a run.json was made from another spec or other rows than the study's.

    Args:
        path: of run.json.
        spec: the study's, for the run's prediction job.
        splits: name -> file of rows; files that are not there are not compared.
    """
    for key, value in spec.items():
        if key not in record["spec"] or record["spec"][key] != value:
            raise StudyError(f"{path}: made with another '{key}' than the study's; {ANSWER_AGAIN}")
    if record.get("hashes", (here := hashes_of(record, spec))) != here:
        raise StudyError(f"{path}: its hashes are not those of its spec, data and code; {ANSWER_AGAIN}")
    for name in spec["evaluation"]["splits"]:
        used, file = record["data"]["sha256"].get(name), splits[name]
        if used is None or (file.exists() and used != sha256(file)):
            raise StudyError(f"{path}: it did not answer the rows of {file}; {ANSWER_AGAIN}")


def in_words(run: Mapping[str, Any]) -> str:
    return f"{run['family']}/{run['name']}, seed {run['seed']}, scale {run['scale']}"
