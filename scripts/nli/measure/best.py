"""Measures how far each method gets: the candidate that is most accurate on `tune`, on the pairs of another split."""

from collections.abc import Mapping, Sequence
from typing import Any

from nli.measure.answers import Answers, Frames, common_pairs, frames_of, require_same_gold
from nli.measure.comparisons import compare_frames, scores_of
from nli.study.best import CHOSEN_ON


def measure_best(
    study: Mapping[str, Any], answers: Mapping[str, Answers], scorers: Mapping[str, str]
) -> dict[str, dict[str, Any]]:
    """Every method of the resolved study's `best`, by name: see `measure_method`."""
    return {name: measure_method(stated, answers, scorers) for name, stated in (study.get("best") or {}).items()}


def measure_method(
    stated: Mapping[str, Any], answers: Mapping[str, Answers], scorers: Mapping[str, str]
) -> dict[str, Any]:
    """One method.

    Returns:
        title, split, scorer and published, as the config states them; candidates, one for each experiment with its
        accuracy on `tune` (None without answers), on the pairs that all with answers have; n, the number of these
        pairs; chosen, the first of the most accurate (None without any); reported and best, each with experiment,
        accuracy and interval on the split (accuracy None without answers); difference, best minus reported, paired.
    """
    keys = [stated["as_reported"], *stated["candidates"]]
    judged = {key: stated["scorer"] or scorers[key] for key in keys if key in scorers}
    tuning = {key: frames_of(answers[key], CHOSEN_ON, judged[key]) for key in stated["candidates"] if key in answers}
    common = common_pairs(frame for frames in tuning.values() for frame in frames.values())
    accuracies = {
        key: scores_of({seed: frame.loc[common] for seed, frame in frames.items()}, parsed_only=False)["accuracy"]
        for key, frames in tuning.items()
        if frames and len(common)
    }
    chosen = max(accuracies, key=lambda key: accuracies[key], default=None)
    keys = [stated["as_reported"], chosen]
    sides = [frames_of(answers[key], stated["split"], judged[key]) if key in answers else {} for key in keys]
    shared = common_pairs(frame for frames in sides if all(sides) for frame in frames.values())
    sides = [{seed: frame.loc[shared] for seed, frame in frames.items()} if len(shared) else frames for frames in sides]
    return {
        **{key: stated[key] for key in ("title", "split", "scorer", "published")},
        "n": len(common),
        "candidates": [{"experiment": key, "accuracy": accuracies.get(key)} for key in stated["candidates"]],
        "chosen": chosen,
        "reported": _side(keys[0], sides[0]),
        "best": _side(keys[1], sides[1]),
        "difference": _difference(keys, sides) if len(shared) else None,
    }


def _difference(keys: Sequence[str | None], sides: Sequence[Frames]) -> dict[str, Any] | None:
    require_same_gold([(str(key), frame) for key, frames in zip(keys, sides, strict=True) for frame in frames.values()])
    return compare_frames(*sides, (False, False))


def _side(key: str | None, frames: Frames) -> dict[str, Any]:
    if not frames:
        return {"experiment": key, "accuracy": None, "interval": None}
    scores = scores_of(frames, parsed_only=False)
    return {"experiment": key, "accuracy": scores["accuracy"], "interval": scores["clustered_interval"]}
