"""Which runs a study.json has, from its plain content."""

from collections.abc import Mapping
from typing import Any


def seeds_of(plan: Mapping[str, Any], spec: Mapping[str, Any]) -> list[int]:
    """The seeds of an experiment in study.json: its own, or the study's."""
    return spec.get("seeds") or plan.get("seeds") or []


def is_selected(key: str, spec: Mapping[str, Any], only: list[str] | None) -> bool:
    """Whether `only` selects an experiment; files of others may be from another configuration."""
    return not only or bool({key, spec["family"], spec["origin"]} & set(only))
