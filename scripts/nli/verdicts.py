"""What became of a rung's claim, from the rung's figures as `nli.ladders` measures them.

A claim is supported or refuted only where a test or an interval says so; everything else is "no evidence".
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from nli.metrics import COLLAPSE_SHARE
from nli.paired import LEVEL


def above_chance(rung: Mapping[str, Any], baselines: Sequence[Mapping[str, Any]]) -> str | None:
    """ "yes" if the rung beats every baseline, "no" if one beats it, else "no evidence"; None without a comparison.

    Each comparison is McNemar's, Holm-adjusted over the ladder's rungs and baselines, and of one sign under all seeds.
    """
    steps = [rung["baselines"].get(baseline["experiment"]) for baseline in baselines]
    if not steps or None in steps:
        return None
    settled = [step["p_holm"] < LEVEL and agrees(step) for step in steps]
    if all(beyond and step["difference"] > 0 for beyond, step in zip(settled, steps, strict=True)):
        return "yes"
    if any(beyond and step["difference"] < 0 for beyond, step in zip(settled, steps, strict=True)):
        return "no"
    return "no evidence"


def verdict(rung: Mapping[str, Any]) -> str:
    """What became of a rung's claim: "supported", "refuted", "no evidence", "not tested", or "no claim"."""
    expects = rung["expects"]
    if expects is None:
        return "no claim"
    if expects == "one_class":
        return unanimous(verdict_one_class(scores) for scores in every_seed(rung))
    if expects == "at_chance":
        return unanimous(verdict_at_chance(scores, rung["margin"]) for scores in every_seed(rung))
    if expects == "above_chance":
        return {"yes": "supported", "no": "refuted", None: "not tested"}.get(rung["above_chance"], "no evidence")
    return verdict_difference(expects, rung["step"], rung["margin"])


def every_seed(rung: Mapping[str, Any]) -> list[Mapping[str, Any] | None]:
    """The rung's scores under each seed; one None where it has no answers."""
    return list(rung["scores_by_seed"].values()) or [None]


def unanimous(verdicts: Iterable[str]) -> str:
    """The verdict that all seeds give, else "no evidence"."""
    said = set(verdicts)
    return said.pop() if len(said) == 1 else "no evidence"


def verdict_one_class(scores: Mapping[str, Any] | None) -> str:
    """By the 95% interval of the share of the most frequent answer, beside the share that is called a collapse."""
    if not scores or not scores["top_interval"]:
        return "not tested"
    low, high = scores["top_interval"]
    return "supported" if low > COLLAPSE_SHARE else "refuted" if high < COLLAPSE_SHARE else "no evidence"


def verdict_at_chance(scores: Mapping[str, Any] | None, margin: float) -> str:
    """By the 95% interval of the accuracy, beside the share of the most frequent label and the margin around it."""
    if not scores or not scores["interval"]:
        return "not tested"
    (low, high), chance = scores["interval"], scores["majority_accuracy"]
    if chance - margin < low and high < chance + margin:
        return "supported"
    return "no evidence" if low <= chance <= high else "refuted"


def verdict_difference(expects: str, step: Mapping[str, Any] | None, margin: float) -> str:
    """By the Holm-adjusted test; "no_difference" is supported where the interval lies within the margin."""
    if not step:
        return "not tested"
    difference, sign = step["difference"], {"higher": 1, "lower": -1}.get(expects)
    if step["same_answers"]:
        inside, settled = abs(difference) < margin, difference != 0
    else:
        inside = -margin < step["interval"][0] and step["interval"][1] < margin
        settled = step["p_holm"] < LEVEL
    settled = settled and agrees(step)
    if sign is None:
        near = all(abs(value) < margin for value in known_differences(step))
        return "supported" if inside and near else "refuted" if settled and not inside else "no evidence"
    if not settled:
        return "no evidence"
    return "supported" if sign * difference > 0 else "refuted"


def agrees(step: Mapping[str, Any]) -> bool:
    """Whether the difference has the same sign under every seed."""
    return all(value * step["difference"] > 0 for value in known_differences(step))


def known_differences(step: Mapping[str, Any]) -> list[float]:
    return [value for value in step["seeds"]["values"].values() if value is not None]
