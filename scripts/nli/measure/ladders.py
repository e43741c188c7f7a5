"""Measures ladders: every rung's accuracy, its difference from the rung in `against`, and the verdict on its claim.

Pure functions from the resolved study and the runs' predictions to `report/ladders.json`, the source of the tables,
figures and sentences. All rungs of a ladder, and the hypothesis-only baseline, are measured on the pairs that all of
them answered. The p-values of the steps are adjusted (Holm) over the ladder.

Neither the rows of one premise nor a model's answers under one seed are independent. The intervals and tests that
decide come from a bootstrap over premises and seeds (`nli.measure.clustered`); those for independent rows are kept
for comparison. With several seeds every figure is a mean over them.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from nli.measure.answers import Answers, Frames, common_pairs, counted_of, frames_of, require_same_gold, scorer_of
from nli.measure.comparisons import adjust, compare_all, compare_frames, over_seeds, scores_of, spread
from nli.measure.standings import best_constant, measure_standings
from nli.measure.verdicts import verdict
from nli.study.experiments import uses_model
from nli.study.ladders import TOGETHER
from nli.study.methods import ADAPTER, HEAD, METHODS
from nli.study.specs import NAMES

# Keys of an experiment that name it or do not affect its answers.
UNCOMPARED = ("family", "name", *NAMES, "adapter", "seeds", "sample")
WITHOUT_EFFECT = ("training.logging_steps", "training.checkpoint_steps", "evaluation.batch_size", "evaluation.splits")
# Parts of every model by the names of their tensors; a part that is a method's own comes before them.
PARTS = {"head": HEAD, "word embeddings": r"word_embeddings|embed_tokens", "body": ""}


def measure_ladders(study: Mapping[str, Any], answers: Mapping[str, Answers], scorers: Mapping[str, str]) -> dict:
    """The content of ladders.json.

    Args:
        study: the resolved study, as in study.json.
        answers: experiment -> its results.
        scorers: experiment -> the scorer that represents it.
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


def measure_ladder(
    ladder: Mapping[str, Any],
    experiments: Mapping[str, Any],
    answers: Mapping[str, Answers],
    scorers: Mapping[str, str],
    tests: Sequence[Mapping[str, Any]],
) -> dict[str, Any]:
    """One ladder: its baselines and rungs with figures, comparisons and verdicts.

    The majority baseline has no row, because chance, the best constant answer, is never below it.
    """
    split = ladder["split"]
    plain = [
        {"experiment": key}
        for key, spec in experiments.items()
        if not uses_model(spec) and spec.get("method") != "majority"
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
    """Add to rung i what changed since the rung it is compared with, the comparison, and the claim that it supports."""
    if not stated[i].get("against"):
        return
    below = place_of(stated, stated[i]["against"])
    rung["from"] = below
    rung["changed"] = changes(stated[below], stated[i], experiments, scorers)
    rung["step"] = compare_rungs(below, stated, i, found)
    if not carries(stated[i], rung["changed"]):
        rung["claim"] = TOGETHER.get(stated[i]["expects"], rung["claim"])


def carries(stated: Mapping[str, Any], changed: Sequence[Mapping[str, Any]]) -> bool:
    """Whether a rung's claim may be about what changed: one key, or keys that the rung lists under `together`.

    A section's name covers its keys: "training" covers "training.learning_rate".
    """
    keys, together = [change["key"] for change in changed], stated.get("together") or []
    return len(keys) < 2 or all(any(f"{key}.".startswith(f"{name}.") for name in together) for key in keys)


def place_of(rungs: Sequence[Mapping[str, Any]], name: Mapping[str, Any]) -> int:
    """Index of the rung with a full name (experiment, scorer, counted)."""
    keys = ("experiment", "scorer", "counted")
    return next(i for i, rung in enumerate(rungs) if all((rung.get(k) or None) == (name.get(k) or None) for k in keys))


def measure_rung(rung: Mapping[str, Any], frames: Frames, left: Answers, spec: Mapping[str, Any]) -> dict[str, Any]:
    """A rung's figures, as means over its seeds."""
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


def gradient_audit(record: Mapping[str, Any]) -> list[dict[str, Any]] | None:
    """For each part of the model, its trainable tensors and how many got a non-zero gradient; None without training."""
    parameters = record.get("parameters") or {}
    names = parameters.get("trainable_tensors") or []
    if not names:
        return None
    moved = set(parameters.get("gradient_tensors") or [])
    method = METHODS.get(record["spec"].get("method"))
    patterns = {**(method.parts if method else ADAPTER), **PARTS}
    parts: dict[str, list[str]] = {}
    for name in names:
        part = next(part for part, pattern in patterns.items() if re.search(pattern, name))
        parts.setdefault(part, []).append(name)
    return [
        {"part": part, "trainable": len(parts[part]), "with_gradient": sum(name in moved for name in parts[part])}
        for part in patterns
        if part in parts
    ]


def compare_rungs(
    below: int, rungs: Sequence[Mapping[str, Any]], i: int, found: Sequence[Frames]
) -> dict[str, Any] | None:
    """Rung i compared with the rung below it; None if one of them did not run.

    If only the counting of the same answers differs, there is no test: the difference is arithmetic, not chance.
    """
    first, second = rungs[below], rungs[i]
    same = all(first.get(key) == second.get(key) for key in ("experiment", "scorer"))
    counts = (counted_of(first) == "parsed", counted_of(second) == "parsed")
    step = compare_frames(found[below], found[i], counts, same)
    return {"from": below, **step} if step else None


def changes(
    first: Mapping[str, Any], second: Mapping[str, Any], experiments: Mapping[str, Any], scorers: Mapping[str, str]
) -> list[dict[str, Any]]:
    """The keys that differ between two rungs' resolved experiments, as {"key", "before", "after"}."""
    specs = [experiments[rung["experiment"]] for rung in (first, second)]
    if specs[0]["family"] != specs[1]["family"]:
        return [{"key": "experiment", "before": first["experiment"], "after": second["experiment"]}]
    # Answering with another experiment's adapter is the same as answering with one's own.
    flat = [{**flatten(spec), **({"method": "finetune"} if spec.get("method") == "answer" else {})} for spec in specs]
    for values, rung in zip(flat, (first, second), strict=True):
        values.pop("scorers", None)
        values["scorer"] = scorer_of(rung, scorers)
        values["counted"] = counted_of(rung)
    keys = [*flat[0], *(key for key in flat[1] if key not in flat[0])]
    return [
        {"key": key, "before": flat[0].get(key), "after": flat[1].get(key)}
        for key in keys
        if flat[0].get(key) != flat[1].get(key) and key.split(".")[0] not in UNCOMPARED and key not in WITHOUT_EFFECT
    ]


def flatten(spec: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """{"a": {"b": 1}} -> {"a.b": 1}; null values are left out."""
    flat: dict[str, Any] = {}
    for key, value in spec.items():
        if isinstance(value, Mapping):
            flat |= flatten(value, f"{prefix}{key}.")
        elif value is not None:
            flat[f"{prefix}{key}"] = value
    return flat
