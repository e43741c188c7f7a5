"""Which runs a study.json has, from its plain content."""

from collections.abc import Mapping
from typing import Any


def seeds_of(plan: Mapping[str, Any], spec: Mapping[str, Any]) -> list[int]:
    """The seeds of an experiment in study.json: its own, or the study's."""
    return spec.get("seeds") or plan.get("seeds") or []


def is_selected(plan: Mapping[str, Any], key: str, spec: Mapping[str, Any]) -> bool:
    """Whether `only` in study.json selects an experiment; files of others may be from another configuration.

    Where it names a sweep or the tasks, every experiment of study.json counts as selected.
    """
    only = set(plan.get("only") or [])
    several = {*(plan.get("sweeps") or {}), "tasks"}
    return not only or bool({key, spec["family"], spec["origin"]} & only) or bool(several & only)
