"""How much results depend on the seed: intervals over seeds and premises, and the verdicts of single seeds."""

from collections.abc import Mapping
from dataclasses import replace
from itertools import combinations
from typing import Any

from nli.measure.answers import Answers, arrays, frames_of
from nli.measure.ladders import measure_ladder
from nli.measure.multibootstrap import multi_bootstrap
from nli.measure.standings import measure_standings
from nli.study.experiments import uses_model


def measure_seeds(
    study: Mapping[str, Any],
    answers: Mapping[str, Answers],
    scorers: Mapping[str, str],
    measured: Mapping[str, Any],
    split: str = "matched",
) -> dict[str, Any]:
    """What several seeds show.

    Args:
        measured: the ladders over all seeds, as `measure_ladders` returns them.

    Returns:
        accuracies, {experiment: `multi_bootstrap`} of those with several seeds; verdicts, one entry for each claim of a
        ladder with several seeds: ladder, title (the experiment's), claim, verdict over all seeds, by_seed, and
        disagreeing, the share of the pairs of seeds whose verdicts differ.
    """
    accuracies = {}
    for key, left in answers.items():
        frames = frames_of(left, split, scorers[key])
        if len(frames) > 1 and len(next(iter(frames.values()))):
            right, _, premises = arrays(frames)
            accuracies[key] = multi_bootstrap(right, premises)
    return {"split": split, "accuracies": accuracies, "verdicts": verdicts_by_seed(study, answers, scorers, measured)}


def verdicts_by_seed(
    study: Mapping[str, Any],
    answers: Mapping[str, Answers],
    scorers: Mapping[str, str],
    measured: Mapping[str, Any],
) -> list[dict[str, Any]]:
    """The `verdicts` of `measure_seeds`."""
    ladders = {
        name: ladder
        for name, ladder in (study.get("ladders") or {}).items()
        if any(len(answers[rung["experiment"]].frames) > 1 for rung in ladder["rungs"])
    }
    if not ladders:
        return []
    seeds = sorted({seed for left in answers.values() if len(left.frames) > 1 for seed in left.frames})
    by_seed = {
        seed: verdicts_of(study, ladders, {key: of_seed(left, seed) for key, left in answers.items()}, scorers)
        for seed in seeds
    }
    found = []
    for name, ladder in ladders.items():
        for i, rung in enumerate(ladder["rungs"]):
            if rung["expects"] is None:
                continue
            single = {str(seed): verdicts[name, i] for seed, verdicts in by_seed.items()}
            pairs = list(combinations(single.values(), 2))
            found.append(
                {
                    "ladder": name,
                    "title": study["experiments"][rung["experiment"]]["title"],
                    "claim": rung["claim"],
                    "verdict": measured[name]["rungs"][i]["verdict"],
                    "by_seed": single,
                    "disagreeing": sum(one != two for one, two in pairs) / len(pairs),
                }
            )
    return found


def verdicts_of(
    study: Mapping[str, Any],
    ladders: Mapping[str, Any],
    answers: Mapping[str, Answers],
    scorers: Mapping[str, str],
) -> dict[tuple[str, int], str]:
    """The verdict on every rung, by ladder and place, from the tests of the experiments in these ladders."""
    named = {rung["experiment"] for ladder in ladders.values() for rung in ladder["rungs"]}
    experiments = {key: spec for key, spec in study["experiments"].items() if key in named or not uses_model(spec)}
    tests = measure_standings(ladders, experiments, answers, scorers)
    return {
        (name, i): rung["verdict"]
        for name, ladder in ladders.items()
        for i, rung in enumerate(measure_ladder(ladder, experiments, answers, scorers, tests)["rungs"])
    }


def of_seed(left: Answers, seed: int) -> Answers:
    """The results under one seed; those of an experiment that ran with one seed only serve every seed."""
    only = next(iter(left.frames.values())) if len(left.frames) == 1 else None
    frame = left.frames.get(seed, only)
    return replace(left, frames={} if frame is None else {seed: frame})
