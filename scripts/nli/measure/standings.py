"""Tests every experiment against chance, and against a classifier that never sees the premise.

Every table uses one definition of chance: the best constant answer on the pairs that are scored. With three labels it
is never below a third, the accuracy of uniform guessing. Each experiment is tested against chance once for each way in
which a table judges it, and once against the hypothesis-only baseline; the p-values are adjusted (Holm) over all these
tests.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from nli.base.labels import LABELS
from nli.measure.answers import Answers, Frames, arrays, common_pairs, counted_of, frames_of, scorer_of
from nli.measure.clustered import compare, seed_means
from nli.measure.comparisons import adjust, compare_frames
from nli.measure.verdicts import standing
from nli.study.experiments import uses_model


def measure_standings(
    ladders: Mapping[str, Any],
    experiments: Mapping[str, Any],
    answers: Mapping[str, Answers],
    scorers: Mapping[str, str],
) -> list[dict[str, Any]]:
    """Tests of every experiment, and of every other way in which a ladder judges one, against the two baselines.

    Returns:
        experiment, split, scorer and counted of each; `chance` and `hypothesis_only`, each a comparison with its
        adjusted p and its `standing` ("above", "below" or "no evidence"), or None if there is nothing to compare.
    """
    own = [(key, "matched", scorers[key], "all") for key, spec in experiments.items() if uses_model(spec)]
    judged = [
        (rung["experiment"], ladder["split"], scorer_of(rung, scorers), counted_of(rung))
        for ladder in ladders.values()
        for rung in ladder["rungs"]
    ]
    tests = []
    for key, split, scorer, counted in dict.fromkeys(own + judged):
        frames = frames_of(answers[key], split, scorer)
        entry = {"experiment": key, "split": split, "scorer": scorer, "counted": counted}
        beside = against_baseline(frames, split, counted, experiments, answers, scorers)
        tests.append({**entry, "chance": against_chance(frames, counted), "hypothesis_only": beside})
    for name in ("chance", "hypothesis_only"):
        adjust([test[name] for test in tests])
        for test in tests:
            if test[name]:
                test[name]["standing"] = standing(test[name], chance=name == "chance")
    return tests


def against_chance(frames: Frames, counted: str) -> dict[str, Any] | None:
    """The answers compared with the label that is right most often on the same pairs; None without pairs.

    Because the label is chosen on those pairs, it is slightly harder to be above chance. `worst` is the accuracy of the
    constant answer that is right least often.
    """
    if not frames:
        return None
    right, parsed, premises = arrays(frames)
    kept = parsed if counted == "parsed" else np.ones_like(parsed)
    if not kept.any():
        return None
    gold = next(iter(frames.values()))["gold"].to_numpy(dtype=object)
    constants = {name: np.broadcast_to(gold == name, right.shape) for name in LABELS}
    shares = {name: float(seed_means(constant, kept).mean()) for name, constant in constants.items()}
    label = max(LABELS, key=shares.get)
    levels = {"label": label, "accuracy": shares[label], "worst": min(shares.values())}
    return {**levels, **compare(constants[label], right, premises, kept)}


def against_baseline(
    frames: Frames,
    split: str,
    counted: str,
    experiments: Mapping[str, Any],
    answers: Mapping[str, Answers],
    scorers: Mapping[str, str],
) -> dict[str, Any] | None:
    """The answers compared with the hypothesis-only baseline's; None if either did not run.

    The baseline is deterministic, so any of its seeds serves every seed of the experiment.
    """
    key = next((key for key, spec in experiments.items() if spec.get("method") == "hypothesis_only"), None)
    ran = frames_of(answers[key], split, scorers[key]) if key else {}
    if not frames or not ran:
        return None
    baseline = next(iter(ran.values()))
    common = common_pairs([*frames.values(), baseline])
    beside = dict.fromkeys(frames, baseline.loc[common])
    frames = {seed: frame.loc[common] for seed, frame in frames.items()}
    return compare_frames(beside, frames, (False, counted == "parsed"))


def best_constant(frames: Sequence[pd.DataFrame]) -> dict[str, Any] | None:
    """The label that is right most often on a ladder's pairs, and how often; None without pairs."""
    if not frames or frames[0].empty:
        return None
    shares = {label: float((frames[0]["gold"] == label).mean()) for label in LABELS}
    label = max(shares, key=shares.get)
    return {"label": label, "accuracy": shares[label]}
