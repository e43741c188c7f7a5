"""Sweeps: one key of some experiments takes several values, and each value is an experiment of its own.

A sweep is one entry of `sweeps:`. `resolve` adds its experiments to the study's, as points of curves; everything that
trains, answers and scores treats them like any other. The curve of an experiment has the experiment itself as a point,
at the value that it has.
"""

import math
import re
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Field, field_validator, model_validator

from nli.study.types import NonNegative, NonNegativeFloat, Seed, SetName, Strict, Title, each_once

Value = NonNegative | NonNegativeFloat
Key = Annotated[str, Field(pattern=r"^[a-z]\w*(\.\w+)*$", max_length=100)]
ALL = 1.0  # what no value means on the axis of a share
SHARES = ("training.examples",)  # keys whose values below 1 are shares of all


class Sweep(Strict):
    """Accuracy against the value of one key: every experiment named here is trained at every value."""

    title: Title = Field(description="what the values are, in the report: the axis of its figure")
    question: str = Field(description="what the sweep answers")
    key: Key = Field(description="the key of an experiment that takes the values, such as lora.r")
    values: list[Value] = Field(
        min_length=1, max_length=50, description="its values, ascending; an experiment's own value is a point as well"
    )
    experiments: list[str] = Field(min_length=1, description="the experiments whose key it is, one curve for each")
    in_proportion: list[Key] = Field(
        default_factory=list, description="further keys that change by the same factor as the value"
    )
    split: SetName = Field("matched", description="set on which the points are compared")
    seeds: list[Seed] | None = Field(
        None, min_length=1, description="seeds of its points; null: those of the experiment"
    )
    log: bool = Field(True, description="whether the axis of the values is logarithmic")
    extra: bool = Field(True, description="whether its points run only with `rungs: all`")

    @field_validator("seeds")
    @classmethod
    def _each_seed_once(cls, seeds: list[int] | None) -> list[int] | None:
        return each_once(seeds)

    @field_validator("values")
    @classmethod
    def _ascending(cls, values: list[float]) -> list[float]:
        if sorted(set(values)) != values:
            raise ValueError(f"takes ascending values, each once, got {values}")
        return values

    @field_validator("experiments")
    @classmethod
    def _each_experiment_once(cls, keys: list[str]) -> list[str]:
        if len(set(keys)) != len(keys):
            raise ValueError(f"takes each experiment once, got {keys}")
        return keys

    @model_validator(mode="after")
    def _axis_shows_every_value(self) -> "Sweep":
        if self.log and not all(self.values):
            raise ValueError("values: a logarithmic axis has no 0; set log: false, or leave the 0 out")
        return self


def points_of(name: str, sweep: Mapping[str, Any], base: str, spec: Mapping[str, Any]) -> dict[float, str]:
    """One curve: value -> experiment, ascending, with the experiment `base` itself at its own value.

    Args:
        sweep: the fields of a `Sweep`.
        spec: the resolved experiment `base`.
    """
    own = own_value(sweep["key"], spec)
    points = {value: f"{base}_{name}_{re.sub(r'[^0-9A-Za-z]', '_', f'{value:g}')}" for value in sweep["values"]}
    return dict(sorted({**points, **({} if own is None else {own: base})}.items()))


def own_value(key: str, spec: Mapping[str, Any]) -> float | None:
    """The value that an experiment has of its own; None if it has none that an axis could show."""
    value = find(spec, key)
    if value is None and key in SHARES:
        return ALL
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def new_points(sweeps: Mapping[str, Any], experiments: Mapping[str, Any]) -> dict[str, tuple[str, str]]:
    """Point -> its sweep and the experiment that it varies, without those experiments themselves."""
    return {
        key: (name, base)
        for name, sweep in sweeps.items()
        for base in sweep["experiments"]
        if base in experiments
        for key in points_of(name, sweep, base, experiments[base]).values()
        if key != base and key in experiments
    }


def find(spec: Mapping[str, Any], key: str) -> Any:
    """The value of a dotted key; None without one."""
    value: Any = spec
    for part in key.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return value


def nested(key: str, value: Any) -> dict[str, Any]:
    """("lora.r", 4) -> {"lora": {"r": 4}}."""
    for part in reversed(key.split(".")):
        value = {part: value}
    return value


def differences(sweep: Sweep, base: Mapping[str, Any], value: float) -> list[dict[str, Any]]:
    """What a point states differently from the experiment that it varies, as sections to merge over it.

    Raises ValueError if the experiment lacks the key's section, or numbers to keep the proportion of.
    """
    name, section = f"{base['family']}/{base['name']}", sweep.key.rpartition(".")[0]
    if section and find(base, section) is None:
        raise ValueError(f"key: '{name}' has no '{section}'; leave it out of this sweep's experiments")
    changed = [nested(sweep.key, value)]
    for key in sweep.in_proportion:
        before, start = own_value(sweep.key, base), own_value(key, base)
        if before is None or start is None:
            raise ValueError(f"in_proportion: '{name}' has no number at {sweep.key} and {key}")
        if not before or not math.isfinite(after := start * value / before):
            raise ValueError(f"in_proportion: '{name}' has {before:g} at {sweep.key}, which has no proportion")
        changed.append(nested(key, int(after) if after == int(after) and isinstance(start, int) else after))
    return changed


def shown_value(key: str, value: float) -> str:
    """A value as a person reads it: "10%" for a share, else its digits."""
    return f"{100 * value:g}%" if key in SHARES and value <= ALL else f"{value:g}"
