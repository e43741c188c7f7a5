"""Ladders measured: every rung's accuracy, its difference from the rung it is compared with, the verdict on its claim.

Pure functions from the resolved study and the runs' predictions to `report/ladders.json`, from which tables, figures
and sentences are made. All rungs of a ladder, and the hypothesis-only baseline, are measured on the pairs that all of
them answered.

One definition of chance holds in every table: the best constant answer on the very pairs that are scored. Uniform
guessing is right for a third of them, which no set of three labels lets a constant answer stay below. Each experiment
is tested against chance once for each way in which a table judges it, and against the hypothesis-only baseline once;
these p-values are adjusted (Holm) over all such tests, those of steps over the comparisons of their ladder.

Rows of one premise are not independent, and neither are a model's answers under one seed: intervals and tests that
decide come from a bootstrap over premises and seeds (`nli.clustered`); those of independent rows are kept for
comparison. With several seeds every figure is a mean over them.
"""

import re
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd

from nli.clustered import codes_of, compare, estimate, seed_means, whole
from nli.errors import StudyError
from nli.labels import LABELS
from nli.metrics import COLLAPSE_SHARE
from nli.paired import holm
from nli.schema import TOGETHER
from nli.verdicts import standing, verdict

# Keys of an experiment that name it, or decide nothing about its answers.
NAMES = ("family", "name", "title", "origin", "rung", "adapter", "seeds", "sample")
WITHOUT_EFFECT = ("training.logging_steps", "training.checkpoint_steps", "evaluation.batch_size")
# Parts of a model by the names of their tensors; the first that fits.
PARTS = {
    "prompt": r"prompt_encoder|prompt_embeddings",
    "adapter": r"lora_",
    "head": r"(^|\.)(classifier|score|head|coef|intercept)(\.|$)",
    "word embeddings": r"word_embeddings|embed_tokens",
    "body": "",
}

Frames = Mapping[int, pd.DataFrame]  # an experiment's rows by seed, indexed by pair_id


@dataclass(frozen=True)
class Answers:
    """What an experiment left: predictions by seed, the record of its first run, and its status."""

    status: str  # "done", "failed" or "not run"
    problem: str = ""
    frames: Frames = field(default_factory=dict)
    record: Mapping[str, Any] = field(default_factory=dict)


def measure_ladders(study: Mapping[str, Any], answers: Mapping[str, Answers], scorers: Mapping[str, str]) -> dict:
    """The content of ladders.json.

    Args:
        study: the resolved study, as in study.json.
        answers: experiment -> what it left.
        scorers: experiment -> the scorer that stands for it.
    """
    ladders, experiments = study.get("ladders") or {}, study["experiments"]
    tests = measure_standings(ladders, experiments, answers, scorers)
    return {
        "standings": tests,
        "ladders": {
            name: measure_ladder(ladder, experiments, answers, scorers, tests) for name, ladder in ladders.items()
        },
        "pairs": compare_all(experiments, answers, scorers),
        "over_seeds": {key: over_seeds(left) for key, left in answers.items() if len(left.frames) > 1},
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


# ------------------------------------------------------------------------------------------------ chance


def measure_standings(
    ladders: Mapping[str, Any],
    experiments: Mapping[str, Any],
    answers: Mapping[str, Answers],
    scorers: Mapping[str, str],
) -> list[dict[str, Any]]:
    """Every experiment, and every other way in which a ladder judges one, against chance and hypothesis-only.

    Returns:
        experiment, split, scorer and counted of each; `chance` and `hypothesis_only`, each a comparison with its
        adjusted p and its `standing` ("above", "below" or "no evidence"), or None where there is nothing to compare.
    """
    own = [(key, "matched", scorers[key], "all") for key, spec in experiments.items() if spec["family"] != "baseline"]
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
    """The answers against the label that is right most often on the same pairs; None without a pair.

    The label is chosen on those pairs, which makes it a little harder to be above chance. `worst` is the accuracy of
    the constant answer that is right least often.
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
    """The answers against the hypothesis-only baseline's; None where either did not run.

    Nothing in the baseline is drawn at random: any seed of it serves every seed of the experiment.
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


# ------------------------------------------------------------------------------------------------ one ladder


def measure_ladder(
    ladder: Mapping[str, Any],
    experiments: Mapping[str, Any],
    answers: Mapping[str, Answers],
    scorers: Mapping[str, str],
    tests: Sequence[Mapping[str, Any]],
) -> dict[str, Any]:
    """One ladder: its baselines and rungs with figures, comparisons and verdicts.

    A majority baseline has no row of its own: the best constant answer, which is chance, is never below it.
    """
    split = ladder["split"]
    plain = [
        {"experiment": key}
        for key, spec in experiments.items()
        if spec["family"] == "baseline" and spec.get("method") != "majority"
    ]
    stated = [*plain, *ladder["rungs"]]
    found = [frames_of(answers[rung["experiment"]], split, scorer_of(rung, scorers)) for rung in stated]
    common = common_pairs(frame for frames in found for frame in frames.values())
    found = [{seed: frame.loc[common] for seed, frame in frames.items()} for frames in found]
    require_same_gold(
        [(rung["experiment"], frame) for rung, frames in zip(stated, found, strict=True) for frame in frames.values()]
    )
    measured = [
        measure_rung(rung, frames, answers[rung["experiment"]], experiments[rung["experiment"]])
        for rung, frames in zip(stated, found, strict=True)
    ]
    baselines, rungs = measured[: len(plain)], measured[len(plain) :]
    for i, rung in enumerate(rungs):
        enter_step(rung, i, ladder["rungs"], found[len(plain) :], experiments, scorers)
        name = (rung["experiment"], split, scorer_of(rung, scorers), counted_of(rung))
        test = next(
            test for test in tests if name == tuple(test[k] for k in ("experiment", "split", "scorer", "counted"))
        )
        rung |= {kind: test[kind] for kind in ("chance", "hypothesis_only")}
    adjust([rung["step"] for rung in rungs])
    for rung in rungs:
        rung["verdict"] = verdict(rung)
    return {
        **{key: ladder[key] for key in ("title", "question", "shows", "split")},
        "n": len(common),
        "chance": best_constant([frame for frames in found for frame in frames.values()][:1]),
        "baselines": baselines,
        "rungs": rungs,
    }


def enter_step(
    rung: dict[str, Any],
    i: int,
    stated: Sequence[Mapping[str, Any]],
    found: Sequence[Frames],
    experiments: Mapping[str, Any],
    scorers: Mapping[str, str],
) -> None:
    """Enter what changed since the rung that rung i is compared with, the comparison, and the claim it can carry."""
    if not stated[i].get("against"):
        return
    below = place_of(stated, stated[i]["against"])
    rung["from"] = below
    rung["changed"] = changes(stated[below], stated[i], experiments, scorers)
    rung["step"] = compare_rungs(below, stated, i, found)
    if not carries(stated[i], rung["changed"]):
        rung["claim"] = TOGETHER.get(stated[i]["expects"], rung["claim"])


def carries(stated: Mapping[str, Any], changed: Sequence[Mapping[str, Any]]) -> bool:
    """Whether a rung's claim may speak of what changed: one key, or keys that the rung says change `together`.

    A section's name covers its keys: "training" covers "training.learning_rate".
    """
    keys, together = [change["key"] for change in changed], stated.get("together") or []
    return len(keys) < 2 or all(any(f"{key}.".startswith(f"{name}.") for name in together) for key in keys)


def place_of(rungs: Sequence[Mapping[str, Any]], name: Mapping[str, Any]) -> int:
    """The rung that a full name (experiment, scorer, counted) means."""
    keys = ("experiment", "scorer", "counted")
    return next(i for i, rung in enumerate(rungs) if all((rung.get(k) or None) == (name.get(k) or None) for k in keys))


def scorer_of(rung: Mapping[str, Any], scorers: Mapping[str, str]) -> str:
    return rung.get("scorer") or scorers[rung["experiment"]]


def counted_of(rung: Mapping[str, Any]) -> str:
    return rung.get("counted") or "all"


def frames_of(left: Answers, split: str, scorer: str) -> dict[int, pd.DataFrame]:
    """An experiment's rows of one split and scorer by seed, indexed by pair_id; {} where it did not run.

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


def arrays(frames: Frames) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """right and parsed, bool (seeds, pairs), and the pairs' premises, int (pairs,)."""
    right = np.array([(frame["pred"] == frame["gold"]).to_numpy(dtype=bool) for frame in frames.values()])
    parsed = np.array([frame["pred"].notna().to_numpy() for frame in frames.values()])
    return right, parsed, codes_of(next(iter(frames.values()))["premise_id"])


def best_constant(frames: Sequence[pd.DataFrame]) -> dict[str, Any] | None:
    """The label that is right most often on a ladder's pairs, and how often; None without pairs."""
    if not frames or frames[0].empty:
        return None
    shares = {label: float((frames[0]["gold"] == label).mean()) for label in LABELS}
    label = max(shares, key=shares.get)
    return {"label": label, "accuracy": shares[label]}


def measure_rung(rung: Mapping[str, Any], frames: Frames, left: Answers, spec: Mapping[str, Any]) -> dict[str, Any]:
    """A rung's own figures, as means over its seeds."""
    stated = {
        key: rung.get(key) for key in ("experiment", "scorer", "counted", "claim", "expects", "margin", "against")
    }
    measured = {
        **stated,
        "title": spec["title"],
        "status": left.status if frames or left.status != "done" else "failed",
        "problem": left.problem if frames or left.status != "done" else "no answers on this split",
        "scores": None,
        "seeds": None,
        "audit": None,
        "from": None,
        "changed": [],
        "step": None,
    }
    if not frames:
        return measured
    parsed = counted_of(rung) == "parsed"
    by_seed = {str(seed): scores_of({seed: frame}, parsed)["accuracy"] for seed, frame in frames.items()}
    scores = scores_of(frames, parsed)
    return {**measured, "scores": scores, "seeds": spread(by_seed), "audit": gradient_audit(left.record)}


def scores_of(frames: Frames, parsed_only: bool) -> dict[str, Any]:
    """Accuracy with its intervals, and what was answered: classes, and the share of the most frequent one."""
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
        "collapsed": top["value"] is not None and top["value"] > COLLAPSE_SHARE,
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
    below: int, rungs: Sequence[Mapping[str, Any]], i: int, found: Sequence[Frames]
) -> dict[str, Any] | None:
    """Rung i against the rung below it; None where one of them did not run.

    The same answers counted in another way leave nothing to test: what changes is arithmetic, not chance.
    """
    first, second = rungs[below], rungs[i]
    same = all(first.get(key) == second.get(key) for key in ("experiment", "scorer"))
    counts = (counted_of(first) == "parsed", counted_of(second) == "parsed")
    step = compare_frames(found[below], found[i], counts, same)
    return {"from": below, **step} if step else None


def compare_frames(
    first: Frames, second: Frames, parsed_only: tuple[bool, bool], same_answers: bool = False
) -> dict[str, Any] | None:
    """Two methods under the seeds that both have, which are taken together; None where there is nothing to compare.

    Args:
        parsed_only: whether the first's, the second's unparsed pairs are left out, as it is counted.
        same_answers: the two differ in their counting alone; then there is no test.
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
    """The difference that another way of counting the same answers makes."""
    scores = [scores_of(frames, parsed) for parsed in parsed_only]
    if None in (scores[0]["accuracy"], scores[1]["accuracy"]):
        return None
    empty = dict.fromkeys(("lost", "gained", "interval", "p", "design_effect", "clustered_interval", "clustered_p"))
    difference = scores[1]["accuracy"] - scores[0]["accuracy"]
    by_seed = spread(dict.fromkeys(map(str, frames)))
    return {"n": scores[1]["n"], "difference": difference, **empty, "same_answers": True, "seeds": by_seed}


def adjust(steps: Sequence[dict[str, Any] | None]) -> None:
    """Enter the Holm-adjusted p of every tested step beside its own."""
    tested = [step for step in steps if step and step["clustered_p"] is not None]
    for step, p in zip(tested, holm([step["clustered_p"] for step in tested]), strict=True):
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
    # Answering with another experiment's adapter or with one's own is the same way of answering.
    flat = [{**flatten(spec), **({"method": "finetune"} if spec.get("method") == "answer" else {})} for spec in specs]
    for values, rung in zip(flat, (first, second), strict=True):
        values.pop("scorers", None)
        values["scorer"] = scorer_of(rung, scorers)
        values["counted"] = counted_of(rung)
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
    """Every pair of experiments on the pairs that both answered, under the seeds of both; p adjusted over all of them.

    An exploration: no claim hangs on it. Intervals, which take longest, are those of pairs within a family.
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
