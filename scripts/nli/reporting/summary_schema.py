"""The schema of summary.json, which docs/outputs.md explains key by key."""

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError

from nli.base.errors import StudyError
from nli.base.files import read_json
from nli.data.run_files import Closed, Count, Finite, Interval, Part, Sha256, Share

AGAIN = "delete it and rerun: the ladders are measured again"


class Notice(Closed):
    title: str
    detail: str


class Data(Closed):
    source: str | None
    revision: str | None
    sha256: dict[str, Sha256] | None
    rows: dict[str, Count | None]


class Model(Part):
    """Further keys are what the runs recorded about the model: `id`, `revision`, `sha256`."""

    title: str
    licence: str | None


class Scores(Closed):
    n: Count
    parsed: Annotated[float, Field(ge=0)]  # with several seeds, their mean
    accuracy: Share
    parsed_accuracy: Share | None
    macro_f1: Share
    calibration_error: Share | None
    interval: Interval
    parsed_interval: Interval | None
    by_seed: dict[str, Share]


class Parameters(Closed):
    total: Count | None
    trainable: Count | None


class Training(Closed):
    steps: Count | None
    examples: Count | None
    loss: Finite | None


class Experiment(Closed):
    """The keys after `scorer` are missing in one without a finished run."""

    title: str
    origin: str
    family: str
    status: Literal["done", "failed", "not run"]
    problem: str
    scorer: str
    seeds: list[int] | None = None
    parameters: Parameters | None = None
    training: Training | None = None
    scores: dict[str, dict[str, Scores]] | None = None


class Claim(Closed):
    ladder: str
    title: str
    claim: str
    experiment: str
    scorer: str | None
    counted: str | None
    against: Any
    expects: str | None
    margin: Finite | None
    verdict: str | None
    accuracy: Share | None
    difference: Finite | None
    interval: Interval | None
    p: Share | None


class Summary(Closed):
    version: Literal[1]
    scale: str
    notice: Notice | None
    commits: list[str]
    data: Data
    models: dict[str, Model]
    experiments: dict[str, Experiment]
    claims: list[Claim]
    sweeps: dict[str, dict[str, Any]] = Field(default_factory=dict)  # absent in earlier versions
    best: dict[str, dict[str, Any]] = Field(default_factory=dict)  # this and what follows: absent in earlier versions
    elsewhere: dict[str, dict[str, Any]] = Field(default_factory=dict)
    seeds: dict[str, Any] = Field(default_factory=dict)
    tasks: list[dict[str, Any]] = Field(default_factory=list)


def check_summary(summary: Any, path: Path) -> None:
    """Raise StudyError with the first key that the schema refuses."""
    try:
        Summary.model_validate(summary)
    except ValidationError as error:
        first = error.errors()[0]
        raise StudyError(f"{path}: {'.'.join(map(str, first['loc']))}: {first['msg']}; {AGAIN}") from None


def read_summary(path: Path) -> dict[str, Any]:
    """summary.json; StudyError if it is missing, unreadable or breaks its schema."""
    summary = read_json(path)
    check_summary(summary, path)
    return summary
