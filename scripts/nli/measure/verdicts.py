"""What became of a rung's claim, from the rung's figures as `nli.measure.ladders` measures them.

A claim is supported or refuted only where a test or an interval says so; everything else is "no evidence". Intervals
and tests are those of the rows as they are: clustered by premise and, with several seeds, by seed.
"""

from collections.abc import Mapping
from typing import Any

from nli.measure.metrics import COLLAPSE_SHARE
from nli.measure.paired import LEVEL

OF_STANDING = {"above": "supported", "below": "refuted", "no evidence": "no evidence"}


def standing(test: Mapping[str, Any], chance: bool) -> str:
    """ "above", "below" or "no evidence": where a method stands by a comparison's adjusted p.

    Below chance is what even the worst constant answer is better than: any constant answer, and guessing, is chance.
    """
    if test["p_holm"] >= LEVEL:
        return "no evidence"
    if test["difference"] > 0:
        return "above"
    level = test["worst"] - test["accuracy"] if chance else 0.0
    return "below" if test["clustered_interval"][1] < level else "no evidence"


def verdict(rung: Mapping[str, Any]) -> str:
    """What became of a rung's claim: "supported", "refuted", "no evidence", "not tested", or "no claim"."""
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
    """By the 95% interval of the share of the most frequent answer and the share that is called a collapse."""
    if not scores or not scores["top_interval"]:
        return "not tested"
    low, high = scores["top_interval"]
    return "supported" if low > COLLAPSE_SHARE else "refuted" if high < COLLAPSE_SHARE else "no evidence"


def verdict_at_chance(test: Mapping[str, Any] | None, margin: float) -> str:
    """As `verdict_near`, where every constant answer from the worst to the best is chance."""
    if not test:
        return "not tested"
    low, high = test["clustered_interval"]
    worst = test["worst"] - test["accuracy"]
    if worst - margin < low and high < margin:
        return "supported"
    return "refuted" if low > margin or high < worst - margin else "no evidence"


def verdict_near(test: Mapping[str, Any] | None, margin: float) -> str:
    """By the 95% interval of a difference: supported within the margin, refuted where all of it lies outside.

    More rows can then settle a claim that was open, and never turn one verdict into the other for one true difference.
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
    """By the Holm-adjusted test of a difference; "no_difference" by its interval (`verdict_near`)."""
    if not step:
        return "not tested"
    if expects == "no_difference":
        return verdict_near(step, margin)
    settled = step["difference"] != 0 if step["same_answers"] else step["p_holm"] < LEVEL
    if not settled:
        return "no evidence"
    return "supported" if (step["difference"] > 0) == (expects == "higher") else "refuted"
