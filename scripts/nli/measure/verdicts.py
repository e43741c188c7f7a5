"""Verdicts on rungs' claims, from the figures of `nli.measure.ladders`.

A claim is supported or refuted only if a test or an interval says so; everything else is "no evidence". Intervals and
tests are clustered by premise and, with several seeds, by seed.
"""

from collections.abc import Mapping
from typing import Any

from nli.measure.metrics import COLLAPSE_SHARE
from nli.measure.paired import LEVEL

OF_STANDING = {"above": "supported", "below": "refuted", "no evidence": "no evidence"}


def standing(test: Mapping[str, Any], chance: bool) -> str:
    """ "above", "below" or "no evidence", by a comparison's adjusted p.

    Below chance means worse than even the worst constant answer, since any constant answer, and guessing, is chance.
    """
    if test["p_holm"] >= LEVEL:
        return "no evidence"
    if test["difference"] > 0:
        return "above"
    level = test["worst"] - test["accuracy"] if chance else 0.0
    return "below" if test["clustered_interval"][1] < level else "no evidence"


def verdict(rung: Mapping[str, Any]) -> str:
    """The verdict on a rung's claim: "supported", "refuted", "no evidence", "not tested", or "no claim"."""
    expects = rung["expects"]
    if expects is None:
        return "no claim"
    if expects == "one_class":
        return verdict_one_class(rung["scores"])
    if expects == "at_chance":
        return verdict_at_chance(rung["chance"], rung["margin"])
    if expects in ("above_chance", "above_hypothesis_only"):
        test = rung["chance" if expects == "above_chance" else "hypothesis_only"]
        return OF_STANDING[test["standing"]] if test else "not tested"
    return verdict_difference(expects, rung["step"], rung["margin"])


def verdict_one_class(scores: Mapping[str, Any] | None) -> str:
    """The verdict by the 95% interval of the most frequent answer's share, compared with COLLAPSE_SHARE."""
    if not scores or not scores["top_interval"]:
        return "not tested"
    low, high = scores["top_interval"]
    return "supported" if low > COLLAPSE_SHARE else "refuted" if high < COLLAPSE_SHARE else "no evidence"


def verdict_at_chance(test: Mapping[str, Any] | None, margin: float) -> str:
    """The verdict of `verdict_near`, with every constant answer from the worst to the best counted as chance."""
    if not test:
        return "not tested"
    low, high = test["clustered_interval"]
    worst = test["worst"] - test["accuracy"]
    if worst - margin < low and high < margin:
        return "supported"
    return "refuted" if low > margin or high < worst - margin else "no evidence"


def verdict_near(test: Mapping[str, Any] | None, margin: float) -> str:
    """The verdict by the 95% interval of a difference: supported if all within the margin, refuted if all outside.

    More rows can then settle an open claim, but never turn one verdict into the other for the same true difference.
    """
    if not test:
        return "not tested"
    if test.get("same_answers"):
        return "supported" if abs(test["difference"]) < margin else "refuted"
    low, high = test["clustered_interval"]
    if -margin < low and high < margin:
        return "supported"
    return "refuted" if low > margin or high < -margin else "no evidence"


def verdict_difference(expects: str, step: Mapping[str, Any] | None, margin: float) -> str:
    """The verdict by the Holm-adjusted test of a difference; "no_difference": by its interval (`verdict_near`)."""
    if not step:
        return "not tested"
    if expects == "no_difference":
        return verdict_near(step, margin)
    settled = step["difference"] != 0 if step["same_answers"] else step["p_holm"] < LEVEL
    if not settled:
        return "no evidence"
    return "supported" if (step["difference"] > 0) == (expects == "higher") else "refuted"
