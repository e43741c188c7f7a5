"""Ladders measured: every rung's accuracy, its difference from the rung it is compared with, the verdict on its claim.

Pure functions from the resolved study and the runs' predictions to `report/ladders.json`, from which tables, figures
and sentences are made. All rungs of a ladder, and the chance baselines beside it, are measured on the pairs that all of
them answered. p-values are adjusted (Holm) over the comparisons of their ladder.

Several seeds: figures and tests are those of the first seed that all rungs of the ladder ran with, because pooling the
seeds' answers would count each pair several times; mean and standard deviation over the seeds stand beside them, and a
claim holds only if every seed says the same. Where the rungs share no seed, a step's own seed and its two accuracies
are stated with it.
"""

import re
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd

from nli.errors import StudyError
from nli.labels import LABELS
from nli.metrics import COLLAPSE_SHARE, wilson_interval
from nli.paired import compare, holm
from nli.verdicts import above_chance, verdict

# Keys of an experiment that name it, or decide nothing about its answers.
NAMES = ("family", "name", "title", "origin", "rung", "adapter")
WITHOUT_EFFECT = ("training.logging_steps", "training.checkpoint_steps", "evaluation.batch_size")
# Parts of a model by the names of their tensors; the first that fits.
PARTS = {
    "prompt": r"prompt_encoder|prompt_embeddings",
    "adapter": r"lora_",
    "head": r"(^|\.)(classifier|score|head|coef|intercept)(\.|$)",
    "word embeddings": r"word_embeddings|embed_tokens",
    "body": "",
}


@dataclass(frozen=True)
class Answers:
    """What an experiment left: predictions by seed, the record of its first run, and its status."""

    status: str  # "done", "failed" or "not run"
    problem: str = ""
    frames: Mapping[int, pd.DataFrame] = field(default_factory=dict)
    record: Mapping[str, Any] = field(default_factory=dict)


def measure_ladders(study: Mapping[str, Any], answers: Mapping[str, Answers], scorers: Mapping[str, str]) -> dict:
    """The content of ladders.json.

    Args:
        study: the resolved study, as in study.json.
        answers: experiment -> what it left.
        scorers: experiment -> the scorer that stands for it.
    """
    return {
        "ladders": {
            name: measure_ladder(ladder, study["experiments"], answers, scorers)
            for name, ladder in (study.get("ladders") or {}).items()
        },
        "pairs": compare_all(study["experiments"], answers, scorers),
    }


# ------------------------------------------------------------------------------------------------ one ladder


def measure_ladder(
    ladder: Mapping[str, Any],
    experiments: Mapping[str, Any],
    answers: Mapping[str, Answers],
    scorers: Mapping[str, str],
) -> dict[str, Any]:
    """One ladder: its baselines and rungs with figures, comparisons and verdicts."""
    split = ladder["split"]
    plain = [{"experiment": key} for key, spec in experiments.items() if spec["family"] == "baseline"]
    stated = [*plain, *ladder["rungs"]]
    found = [seeds_of(rung, split, answers, scorers) for rung in stated]
    common = common_pairs(frame for frames in found for frame in frames.values())
    found = [{seed: frame.loc[common] for seed, frame in frames.items()} for frames in found]
    require_same_gold(
        [(rung["experiment"], frame) for rung, frames in zip(stated, found, strict=True) for frame in frames.values()]
    )
    found = first_shared_seed_first(found)
    measured = [
        measure_rung(rung, frames, answers[rung["experiment"]], experiments[rung["experiment"]])
        for rung, frames in zip(stated, found, strict=True)
    ]
    count = len(plain)
    baselines, rungs = measured[:count], measured[count:]
    for i, rung in enumerate(rungs):
        if ladder["rungs"][i].get("against"):
            below = ladder["rungs"][i]["against"] - 1
            rung["changed"] = changes(ladder["rungs"][below], ladder["rungs"][i], experiments, scorers)
            rung["step"] = compare_rungs(below, ladder["rungs"], i, found[count:])
        rung["baselines"] = {
            beside["experiment"]: compare_frames(
                frames, found[count + i], restrict=(False, counts_parsed(stated[count + i]))
            )
            for beside, frames in zip(baselines, found, strict=False)
        }
    adjust([rung["step"] for rung in rungs])
    adjust([step for rung in rungs for step in rung["baselines"].values()])
    for rung in rungs:
        rung["above_chance"] = above_chance(rung, baselines)
        rung["verdict"] = verdict(rung)
    return {
        **{key: ladder[key] for key in ("title", "question", "split")},
        "n": len(common),
        "baselines": baselines,
        "rungs": rungs,
    }


def seeds_of(
    rung: Mapping[str, Any], split: str, answers: Mapping[str, Answers], scorers: Mapping[str, str]
) -> dict[int, pd.DataFrame]:
    """The rung's rows by seed, indexed by pair_id; {} where it did not run."""
    key = rung["experiment"]
    scorer = rung.get("scorer") or scorers[key]
    frames = {}
    for seed, frame in answers[key].frames.items():
        rows = frame[(frame["split"] == split) & (frame["scorer"] == scorer)]
        if len(rows):
            frames[seed] = rows.set_index("pair_id")
    return frames


def common_pairs(frames: Any) -> pd.Index:
    """The pairs that every frame answers, in the first one's order."""
    common: pd.Index | None = None
    for frame in frames:
        common = frame.index if common is None else common[common.isin(frame.index)]
    return pd.Index([]) if common is None else common


def require_same_gold(frames: Sequence[tuple[str, pd.DataFrame]]) -> None:
    """Raise StudyError if two experiments hold different right labels for a pair: they answered different data."""
    for key, frame in frames[1:]:
        differs = frame["gold"].to_numpy() != frames[0][1]["gold"].to_numpy()
        if differs.any():
            raise StudyError(
                f"{frames[0][0]} and {key}: pair {frame.index[differs][0]} has another right label in each, so they "
                "answered different data; run them again on the same"
            )


def first_shared_seed_first(found: Sequence[Mapping[int, pd.DataFrame]]) -> list[dict[int, pd.DataFrame]]:
    """Each rung's answers by seed, the first seed that all rungs with answers share put first."""
    ran = [frames for frames in found if frames]
    lead = [seed for seed in (ran[0] if ran else ()) if all(seed in frames for frames in ran)][:1]
    return [{**{seed: frames[seed] for seed in lead if frames}, **frames} for frames in found]


def counts_parsed(rung: Mapping[str, Any]) -> bool:
    return rung.get("counted") == "parsed"


def measure_rung(
    rung: Mapping[str, Any], frames: Mapping[int, pd.DataFrame], left: Answers, spec: Mapping[str, Any]
) -> dict[str, Any]:
    """A rung's own figures, of the first seed; those of all seeds beside."""
    stated = {
        key: rung.get(key) for key in ("experiment", "scorer", "counted", "claim", "expects", "margin", "against")
    }
    measured = {
        **stated,
        "title": spec["title"],
        "status": left.status if frames or left.status != "done" else "failed",
        "problem": left.problem if frames or left.status != "done" else "no answers on this split",
        "scores": None,
        "scores_by_seed": {},
        "seeds": None,
        "audit": None,
        "changed": [],
        "step": None,
    }
    if not frames:
        return measured
    parsed = counts_parsed(rung)
    scores = {str(seed): scores_of(frame, parsed) for seed, frame in frames.items()}
    return {
        **measured,
        "scores": next(iter(scores.values())),
        "scores_by_seed": scores,
        "seeds": spread({seed: each["accuracy"] for seed, each in scores.items()}),
        "audit": gradient_audit(left.record),
    }


def scores_of(frame: pd.DataFrame, parsed_only: bool) -> dict[str, Any]:
    """Accuracy with its interval, and what was answered: classes, and the share of the most frequent one."""
    parsed = frame["pred"].notna()
    rows = frame[parsed] if parsed_only else frame
    n, correct = len(rows), int((rows["pred"] == rows["gold"]).sum())
    given = {label: int((frame["pred"] == label).sum()) for label in LABELS}
    most, total = max(given.values()), int(parsed.sum())
    gold = [int((rows["gold"] == label).sum()) for label in LABELS]
    return {
        "n": n,
        "correct": correct,
        "accuracy": correct / n if n else None,
        "interval": wilson_interval(correct, n) if n else None,
        "majority_accuracy": max(gold) / n if n else None,
        "answered": len(frame),
        "parsed": total,
        "answers": given,
        "classes": sum(count > 0 for count in given.values()),
        "top_share": most / total if total else None,
        "top_interval": wilson_interval(most, total) if total else None,
        "collapsed": bool(total) and most > COLLAPSE_SHARE * total,
    }


def spread(values: Mapping[str, float | None]) -> dict[str, Any]:
    """Values by seed, their mean and, from two seeds on, their standard deviation."""
    known = [value for value in values.values() if value is not None]
    return {
        "values": dict(values),
        "mean": statistics.mean(known) if known else None,
        "sd": statistics.stdev(known) if len(known) > 1 else None,
    }


def gradient_audit(record: Mapping[str, Any]) -> list[dict[str, Any]] | None:
    """By part of the model: trainable tensors, and how many of them got a non-zero gradient; None without training."""
    parameters = record.get("parameters") or {}
    names = parameters.get("trainable_tensors") or []
    if not names:
        return None
    moved = set(parameters.get("gradient_tensors") or [])
    parts: dict[str, list[str]] = {}
    for name in names:
        part = next(part for part, pattern in PARTS.items() if re.search(pattern, name))
        parts.setdefault(part, []).append(name)
    return [
        {"part": part, "trainable": len(parts[part]), "with_gradient": sum(name in moved for name in parts[part])}
        for part in PARTS
        if part in parts
    ]


# ------------------------------------------------------------------------------------------------ two rungs


def compare_rungs(
    below: int, rungs: Sequence[Mapping[str, Any]], i: int, found: Sequence[Mapping[int, pd.DataFrame]]
) -> dict[str, Any] | None:
    """Rung i beside the rung below it; None where one of them did not run.

    The same answers counted in another way leave nothing to test: what changes is arithmetic, not chance.
    """
    first, second = rungs[below], rungs[i]
    same = all(first.get(key) == second.get(key) for key in ("experiment", "scorer"))
    step = compare_frames(found[below], found[i], (counts_parsed(first), counts_parsed(second)), same)
    return {"from": below, **step} if step else None


def compare_frames(
    first: Mapping[int, pd.DataFrame],
    second: Mapping[int, pd.DataFrame],
    restrict: tuple[bool, bool],
    same_answers: bool = False,
) -> dict[str, Any] | None:
    """`paired.compare` of the first seed that both have, with the differences under every common seed.

    Args:
        restrict: whether the first's, the second's unparsed pairs are left out, as it is counted.
        same_answers: the two differ in their counting alone; then there is no test.
    """
    seeds = [seed for seed in first if seed in second]
    if not seeds:
        return None
    steps = [compare_seed(first[seed], second[seed], restrict, same_answers) for seed in seeds]
    if steps[0] is None:
        return None
    differences = {str(seed): step and step["difference"] for seed, step in zip(seeds, steps, strict=True)}
    return {**steps[0], "seed": str(seeds[0]), "seeds": spread(differences)}


def compare_seed(
    first: pd.DataFrame, second: pd.DataFrame, restrict: tuple[bool, bool], same_answers: bool
) -> dict[str, Any] | None:
    """One seed's comparison; None where no pair is left."""
    if same_answers:
        scores = [scores_of(frame, parsed) for frame, parsed in zip((first, second), restrict, strict=True)]
        if None in (scores[0]["accuracy"], scores[1]["accuracy"]):
            return None
        difference = scores[1]["accuracy"] - scores[0]["accuracy"]
        empty = dict.fromkeys(("lost", "gained", "interval", "p"))
        return {"n": scores[1]["n"], "difference": difference, **empty, "same_answers": True}
    kept = np.ones(len(first), dtype=bool)
    for frame, parsed_only in zip((first, second), restrict, strict=True):
        if parsed_only:
            kept &= frame["pred"].notna().to_numpy()
    if not kept.any():
        return None
    right = [(frame["pred"] == frame["gold"]).to_numpy(dtype=bool)[kept] for frame in (first, second)]
    return {**compare(*right), "same_answers": False}


def adjust(steps: Sequence[dict[str, Any] | None]) -> None:
    """Enter the Holm-adjusted p of every tested step beside its p."""
    tested = [step for step in steps if step and step["p"] is not None]
    for step, p in zip(tested, holm([step["p"] for step in tested]), strict=True):
        step["p_holm"] = p
    for step in steps:
        if step:
            step.setdefault("p_holm", None)


# ------------------------------------------------------------------------------------------------ what changed


def changes(
    first: Mapping[str, Any], second: Mapping[str, Any], experiments: Mapping[str, Any], scorers: Mapping[str, str]
) -> list[dict[str, Any]]:
    """The keys whose values differ between two rungs' resolved experiments: {"key", "before", "after"} of each."""
    specs = [experiments[rung["experiment"]] for rung in (first, second)]
    if specs[0]["family"] != specs[1]["family"]:
        return [{"key": "experiment", "before": first["experiment"], "after": second["experiment"]}]
    flat = [flatten(spec) for spec in specs]
    for values, rung in zip(flat, (first, second), strict=True):
        values.pop("scorers", None)
        values["scorer"] = rung.get("scorer") or scorers[rung["experiment"]]
        values["counted"] = rung.get("counted", "all")
    keys = [*flat[0], *(key for key in flat[1] if key not in flat[0])]
    return [
        {"key": key, "before": flat[0].get(key), "after": flat[1].get(key)}
        for key in keys
        if flat[0].get(key) != flat[1].get(key) and key.split(".")[0] not in NAMES and key not in WITHOUT_EFFECT
    ]


def flatten(spec: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """{"a": {"b": 1}} -> {"a.b": 1}; what is null is left out, as if it were not there."""
    flat: dict[str, Any] = {}
    for key, value in spec.items():
        if isinstance(value, Mapping):
            flat |= flatten(value, f"{prefix}{key}.")
        elif value is not None:
            flat[f"{prefix}{key}"] = value
    return flat


# ------------------------------------------------------------------------------------------------ all methods


def compare_all(
    experiments: Mapping[str, Any], answers: Mapping[str, Answers], scorers: Mapping[str, str], split: str = "matched"
) -> dict[str, Any]:
    """Every pair of experiments on the pairs that both answered, first common seed; p adjusted over all of them."""
    found = {key: seeds_of({"experiment": key}, split, answers, scorers) for key in experiments}
    done = [key for key in experiments if found[key]]
    comparisons = []
    for first, second in combinations(done, 2):
        shared = next((seed for seed in found[first] if seed in found[second]), None)
        if shared is None:
            continue
        frames = found[first][shared], found[second][shared]
        common = common_pairs(frames)
        if len(common):
            require_same_gold([(first, frames[0].loc[common]), (second, frames[1].loc[common])])
            step = compare_seed(frames[0].loc[common], frames[1].loc[common], (False, False), same_answers=False)
            comparisons.append({"first": first, "second": second, **step})
    adjust(comparisons)
    return {"split": split, "experiments": done, "comparisons": comparisons}
