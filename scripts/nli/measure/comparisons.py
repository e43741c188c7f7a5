"""Accuracies and differences over all seeds of an experiment, and of every pair of experiments."""

import statistics
from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any

import numpy as np

from nli.base.labels import LABELS
from nli.measure.answers import Answers, Frames, arrays, common_pairs, frames_of, require_same_gold
from nli.measure.clustered import compare, estimate, whole
from nli.measure.metrics import collapsed
from nli.measure.paired import holm


def scores_of(frames: Frames, parsed_only: bool) -> dict[str, Any]:
    """Accuracy with its intervals, the counts of answered classes, and the share of the most frequent one."""
    right, parsed, premises = arrays(frames)
    pred = np.array([frame["pred"].to_numpy(dtype=object) for frame in frames.values()])
    given = np.array([[(row == label).sum() for label in LABELS] for row in pred])  # (seeds, labels)
    most = np.array(LABELS, dtype=object)[given.argmax(axis=1)]
    accuracy = estimate(right, premises, parsed if parsed_only else None)
    top = estimate(pred == most[:, None], premises, parsed)
    return {
        "n": accuracy["n"],
        "accuracy": accuracy["value"],
        **{key: accuracy[key] for key in ("interval", "clustered_interval", "design_effect")},
        "premises": len(np.unique(premises)),
        "answered": right.shape[1],
        "parsed": whole(float(parsed.sum(axis=1).mean())),
        "answers": {label: whole(float(n)) for label, n in zip(LABELS, given.mean(axis=0), strict=True)},
        "classes": int((given > 0).sum(axis=1).max()),
        "top_share": top["value"],
        "top_interval": top["clustered_interval"],
        "collapsed": collapsed(top["value"]),
    }


def spread(values: Mapping[str, float | None]) -> dict[str, Any]:
    """Values by seed, their mean and, with two or more seeds, their standard deviation."""
    known = [value for value in values.values() if value is not None]
    return {
        "values": dict(values),
        "mean": statistics.mean(known) if known else None,
        "sd": statistics.stdev(known) if len(known) > 1 else None,
    }


def over_seeds(left: Answers) -> dict[str, dict[str, dict[str, Any]]]:
    """An experiment's accuracies over all of its seeds, {split: {scorer: scores}}, with the keys of metrics.json."""
    asked = {pair for frame in left.frames.values() for pair in zip(frame["split"], frame["scorer"], strict=True)}
    found: dict[str, dict[str, dict[str, Any]]] = {}
    for split, scorer in sorted(asked):
        right, parsed, premises = arrays(frames_of(left, split, scorer))
        strict, lenient = estimate(right, premises), estimate(right, premises, parsed)
        intervals = ("interval", "clustered_interval")
        found.setdefault(split, {})[scorer] = {
            "n": strict["n"],
            "parsed": lenient["n"],
            "correct": whole(float(right.sum(axis=1).mean())),
            "accuracy": strict["value"],
            "design_effect": strict["design_effect"],
            **{key: strict[key] for key in intervals},
            "parsed_accuracy": lenient["value"],
            **{f"parsed_{key}": lenient[key] for key in intervals},
        }
    return found


def compare_frames(
    first: Frames, second: Frames, parsed_only: tuple[bool, bool], same_answers: bool = False
) -> dict[str, Any] | None:
    """Two methods compared over the seeds that both have, pooled; None if there is nothing to compare.

    Args:
        parsed_only: whether unparsed pairs of the first and of the second are left out.
        same_answers: whether the two differ only in how answers are counted; then there is no test.
    """
    seeds = [seed for seed in first if seed in second]
    if not seeds:
        return None
    one, two = ({seed: frames[seed] for seed in seeds} for frames in (first, second))
    if same_answers:
        return count_again(one, parsed_only)
    (right, parsed, premises), (other_right, other_parsed, _) = arrays(one), arrays(two)
    kept = np.ones_like(parsed)
    for answered, restricted in ((parsed, parsed_only[0]), (other_parsed, parsed_only[1])):
        kept &= answered if restricted else True
    if not kept.any():
        return None
    with np.errstate(invalid="ignore"):
        differences = ((other_right.astype(int) - right) * kept).sum(axis=1) / kept.sum(axis=1)
    by_seed = {str(s): None if np.isnan(d) else float(d) for s, d in zip(seeds, differences, strict=True)}
    return {**compare(right, other_right, premises, kept), "same_answers": False, "seeds": spread(by_seed)}


def count_again(frames: Frames, parsed_only: tuple[bool, bool]) -> dict[str, Any] | None:
    """The difference between two ways of counting the same answers."""
    scores = [scores_of(frames, parsed) for parsed in parsed_only]
    if None in (scores[0]["accuracy"], scores[1]["accuracy"]):
        return None
    empty = dict.fromkeys(("lost", "gained", "interval", "p", "design_effect", "clustered_interval", "clustered_p"))
    difference = scores[1]["accuracy"] - scores[0]["accuracy"]
    by_seed = spread(dict.fromkeys(map(str, frames)))
    return {"n": scores[1]["n"], "difference": difference, **empty, "same_answers": True, "seeds": by_seed}


def adjust(steps: Sequence[dict[str, Any] | None]) -> None:
    """Add the Holm-adjusted p to every tested step."""
    tested = [step for step in steps if step and step["clustered_p"] is not None]
    for step, p in zip(tested, holm([step["clustered_p"] for step in tested]), strict=True):
        step["p_holm"] = p
    for step in steps:
        if step:
            step.setdefault("p_holm", None)


def compare_all(
    experiments: Mapping[str, Any], answers: Mapping[str, Answers], scorers: Mapping[str, str], split: str = "matched"
) -> dict[str, Any]:
    """Comparisons of all experiments on the pairs and seeds that both have, with p adjusted over all of them.

    This is exploratory: no claim depends on it. Only pairs within a family get intervals, which take longest.
    """
    found = {key: frames_of(answers[key], split, scorers[key]) for key in experiments}
    done = [key for key in experiments if found[key]]
    comparisons = []
    for first, second in combinations(done, 2):
        seeds = [seed for seed in found[first] if seed in found[second]]
        common = common_pairs(found[key][seed] for key in (first, second) for seed in seeds)
        if not len(common):
            continue
        frames = [{seed: found[key][seed].loc[common] for seed in seeds} for key in (first, second)]
        require_same_gold([(key, side[seeds[0]]) for key, side in zip((first, second), frames, strict=True)])
        (right, _, premises), (other, _, _) = map(arrays, frames)
        family = experiments[first]["family"] == experiments[second]["family"]
        found_here = compare(right, other, premises, intervals=family)
        comparisons.append({"first": first, "second": second, **found_here})
    adjust(comparisons)
    return {"split": split, "experiments": done, "comparisons": comparisons}
