"""The results of experiments: their answers by seed, and the pairs that several of them answered."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from nli.base.errors import StudyError
from nli.measure.clustered import codes_of

Frames = Mapping[int, pd.DataFrame]  # an experiment's rows by seed, indexed by pair_id


@dataclass(frozen=True)
class Answers:
    """The results of an experiment: predictions by seed, the record of its first run, and its status."""

    status: str  # "done", "failed" or "not run"
    problem: str = ""
    frames: Frames = field(default_factory=dict)
    record: Mapping[str, Any] = field(default_factory=dict)


def scorer_of(rung: Mapping[str, Any], scorers: Mapping[str, str]) -> str:
    return rung.get("scorer") or scorers[rung["experiment"]]


def counted_of(rung: Mapping[str, Any]) -> str:
    return rung.get("counted") or "all"


def frames_of(left: Answers, split: str, scorer: str) -> dict[int, pd.DataFrame]:
    """An experiment's rows of one split and scorer by seed, indexed by pair_id; {} if it did not run.

    Every seed has the same pairs in the same order: those that all of its seeds answered.
    """
    frames = {}
    for seed, frame in left.frames.items():
        rows = frame[(frame["split"] == split) & (frame["scorer"] == scorer)]
        if len(rows):
            frames[seed] = rows.set_index("pair_id")
    common = common_pairs(frames.values())
    return {seed: frame.loc[common] for seed, frame in frames.items()}


def common_pairs(frames: Any) -> pd.Index:
    """The pairs that every frame answers, in the first one's order."""
    common: pd.Index | None = None
    for frame in frames:
        if common is None:
            common = frame.index
        elif not common.equals(frame.index):  # most experiments answer the same pairs
            common = common[frame.index.get_indexer(common) >= 0]
    return pd.Index([]) if common is None else common


def require_same_gold(frames: Sequence[tuple[str, pd.DataFrame]]) -> None:
    """Raise StudyError if two experiments have different gold labels for a pair: they answered different data."""
    for key, frame in frames[1:]:
        differs = frame["gold"].to_numpy() != frames[0][1]["gold"].to_numpy()
        if differs.any():
            raise StudyError(
                f"{frames[0][0]} and {key}: pair {frame.index[differs][0]} has a different gold label in each, so they "
                "answered different data; rerun them on the same data"
            )


def arrays(frames: Frames) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """right and parsed, bool (seeds, pairs), and the pairs' premises, int (pairs,)."""
    right = np.array([(frame["pred"] == frame["gold"]).to_numpy(dtype=bool) for frame in frames.values()])
    parsed = np.array([frame["pred"].notna().to_numpy() for frame in frames.values()])
    return right, parsed, codes_of(next(iter(frames.values()))["premise_id"])
