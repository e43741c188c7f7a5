"""Building blocks of the typed definition: bounded numbers, and sections that refuse unknown keys."""

import difflib
import os
import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

Label = Literal["entailment", "neutral", "contradiction"]
SetName = Annotated[str, Field(pattern=r"^[a-z]\w*$")]
Positive = Annotated[int, Field(gt=0)]
NonNegative = Annotated[int, Field(ge=0)]


def _number(value: Any) -> Any:
    """`value` as a number, because YAML 1.1 reads 1e-3 (no dot) as text."""
    if isinstance(value, str):
        try:
            return float(value)
        except ValueError:
            return value
    return value


Real = Annotated[float, BeforeValidator(_number)]
PositiveFloat = Annotated[Real, Field(gt=0)]
NonNegativeFloat = Annotated[Real, Field(ge=0)]
Probability = Annotated[Real, Field(ge=0, lt=1)]


# Jobs, Snakemake and containers get the expanded path: a shell would expand ~, Snakemake does not, and a container has
# another home folder.
LocalPath = Annotated[str, AfterValidator(os.path.expanduser)]


def _bare_word(path: str) -> str:
    """`path` if the rules' commands can use it without quotes and Snakemake takes it literally; else ValueError."""
    if not path:
        raise ValueError("takes a folder, got an empty name")
    if found := re.search(r"""[\s"'`$\\;&|<>()*?\[\]{}]""", path):
        raise ValueError(
            f"takes a folder without spaces, quotes or shell characters, got {found.group()!r} in {path!r}"
        )
    return path


CommandPath = Annotated[LocalPath, AfterValidator(_bare_word)]


class Strict(BaseModel):
    """A section that refuses unknown keys; the error names the nearest known one."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    @model_validator(mode="before")
    @classmethod
    def _reject_unknown_keys(cls, values: Any) -> Any:
        if isinstance(values, dict):
            for key in values:
                if key not in cls.model_fields:
                    raise ValueError(unknown(str(key), cls.model_fields))
        return values


def unknown(key: str, known: Any) -> str:
    """The message for a name that is not in `known`, with the nearest known one if there is one."""
    near = difflib.get_close_matches(key, list(known), n=1, cutoff=0.6)
    hint = f"did you mean '{near[0]}'?" if near else f"known: {', '.join(known)}"
    return f"unknown name '{key}'; {hint}"


def each_once(values: list[int] | None) -> list[int] | None:
    """`values`; raises ValueError if one of them repeats."""
    if values is not None and len(set(values)) != len(values):
        raise ValueError(f"each seed once, got {values}")
    return values


def require_fields(text: str, *fields: str, where: str = "text") -> None:
    """Raise ValueError if a template lacks one of the `{fields}` that it must have."""
    for field in fields:
        if "{" + field + "}" not in text:
            raise ValueError(f"'{where}' must contain {{{field}}}")
