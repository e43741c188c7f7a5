"""Compares the scores in a metrics.json with those that its predictions give."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from nli.base.errors import StudyError
from nli.data.run_files import SCORE_AGAIN
from nli.measure.metrics import count_rows

# The bootstrap takes long, and rounds differently on other machines.
NOT_COMPARED = ("interval", "clustered_interval", "design_effect", "parsed_interval", "parsed_clustered_interval")


def check_scores(path: Path, results: Mapping[str, Any], frame: pd.DataFrame) -> None:
    """Raise StudyError with the first score of a metrics.json that the predictions do not give.

    Args:
        path: of metrics.json.
        results: its `results`.
        frame: the run's predictions.
    """
    counted: dict[str, dict[str, Any]] = {}
    for (split, scorer), rows in frame.groupby(["split", "scorer"], sort=False):
        counted.setdefault(str(split), {})[str(scorer)] = count_rows(rows)
    if different := first_difference(counted, results):
        place, recounted, stated = different
        raise StudyError(f"{path}: {place} is {stated}, but the predictions give {recounted}; {SCORE_AGAIN}")


def first_difference(counted: Any, stated: Any, place: str = "results") -> tuple[str, Any, Any] | None:
    """The first place where `stated` lacks a value of `counted` or has another, with both; None if there is none."""
    if isinstance(counted, Mapping) and isinstance(stated, Mapping):
        keys = [*counted, *(key for key in stated if key not in counted and key not in NOT_COMPARED)]
        found = (first_difference(counted.get(key), stated.get(key), f"{place}.{key}") for key in keys)
        return next((different for different in found if different), None)
    if isinstance(counted, float) and isinstance(stated, int | float):
        same = math.isclose(counted, stated, rel_tol=1e-9, abs_tol=1e-12)
    else:
        same = counted == stated
    return None if same else (place, counted, stated)
