"""Which runs a study.json has, from its plain content."""

from collections.abc import Mapping
from typing import Any

from nli.study.sweeps import new_points


def seeds_of(plan: Mapping[str, Any], spec: Mapping[str, Any]) -> list[int]:
    """The seeds of an experiment in study.json: its own, or the study's."""
    return spec.get("seeds") or plan.get("seeds") or []


def is_selected(plan: Mapping[str, Any], key: str, spec: Mapping[str, Any]) -> bool:
    """Whether `only` in study.json selects an experiment; files of others may be from another configuration."""
    only = set(plan.get("only") or [])
    return not only or bool({key, spec["family"], spec["origin"]} & (only | _of_sweeps_and_tasks(plan, only)))


def _of_sweeps_and_tasks(plan: Mapping[str, Any], only: set[str]) -> set[str]:
    """The experiments of the sweeps and tasks that `only` names, as `Study.named_in_only` has them."""
    named = set(plan["tasks"]["experiments"]) if "tasks" in only and plan.get("tasks") else set()
    for point, (name, base) in new_points(plan.get("sweeps") or {}, plan["experiments"]).items():
        named |= {point, base} if name in only else set()
    return named
