"""Whether results hold elsewhere: on other sets, and on the pairs whose hypothesis does not give the label away.

Experiments that are level on the matched pairs can differ in robustness. Every two of the compared experiments are
tested on every set, pair by pair, with p adjusted (Holm) over all sets; `excess` is how much their difference there
exceeds that on the matched pairs.
"""

from collections.abc import Iterator, Mapping
from itertools import combinations, permutations
from typing import Any

import numpy as np

from nli.base.labels import LABELS
from nli.measure.answers import Answers, Frames, arrays, common_pairs, frames_of, require_same_gold
from nli.measure.clustered import compare, draws, estimate, resampled_means, weighted_means
from nli.measure.comparisons import adjust, compare_frames
from nli.measure.multibootstrap import percentile_interval
from nli.measure.paired import LEVEL
from nli.study.experiments import uses_model

HARD = "hard"  # the matched pairs that the hypothesis-only classifier gets wrong
HARD_TITLE = "Matched, hypothesis-only wrong"


def measure_elsewhere(
    study: Mapping[str, Any], answers: Mapping[str, Answers], scorers: Mapping[str, str]
) -> dict[str, Any]:
    """Every set but the matched pairs that an experiment with a model answered, by name.

    Returns:
        {set: title; n, pairs; accuracies, {experiment: `estimate`}; groups, accuracies by genre and gold label for sets
        of their own rows; pairs, the comparisons; exchanged, experiments for which other labels fit better}.
    """
    experiments = study["experiments"]
    models = [key for key, spec in experiments.items() if uses_model(spec)]
    matched = {key: frames_of(answers[key], "matched", scorers[key]) for key in models}
    compared = [key for key in study["evaluation"]["compared"] if key in experiments]
    found: dict[str, Any] = {}
    for name, title, frames in sets_of(study, answers, scorers, matched):
        if any(frames.values()):
            found[name] = measure_set(title, frames, matched, compared, hard=name == HARD)
            own = name in study["data"]["sets"] and not isinstance(study["data"]["sets"][name]["source"], str)
            found[name] |= {
                "groups": groups(frames, compared) if own else [],
                "exchanged": exchanged(frames) if own else [],
            }
    adjust([pair for each in found.values() for pair in each["pairs"]])
    return found


def sets_of(
    study: Mapping[str, Any],
    answers: Mapping[str, Answers],
    scorers: Mapping[str, str],
    matched: Mapping[str, Frames],
) -> Iterator[tuple[str, str, dict[str, Frames]]]:
    """(name, title, {experiment: frames}) of every set with reported scores, and of the hard matched pairs."""
    wrong = pairs_that_hypotheses_do_not_give_away(study["experiments"], answers, scorers)
    if wrong is not None:
        hard = {
            key: {seed: frame[frame.index.isin(wrong)] for seed, frame in frames.items()}
            for key, frames in matched.items()
        }
        yield HARD, HARD_TITLE, {key: frames for key, frames in hard.items() if any(map(len, frames.values()))}
    for name, each in study["data"]["sets"].items():
        if name != "matched" and each["role"] == "validation":
            yield name, each["title"], {key: frames_of(answers[key], name, scorers[key]) for key in matched}


def pairs_that_hypotheses_do_not_give_away(
    experiments: Mapping[str, Any], answers: Mapping[str, Answers], scorers: Mapping[str, str]
) -> list[str] | None:
    """The matched pairs that the hypothesis-only classifier gets wrong; None if it did not run."""
    key = next((key for key, spec in experiments.items() if spec.get("method") == "hypothesis_only"), None)
    ran = frames_of(answers[key], "matched", scorers[key]) if key else {}
    if not ran:
        return None
    frame = next(iter(ran.values()))
    return list(frame.index[(frame["pred"] != frame["gold"]).to_numpy()])


def measure_set(
    title: str, frames: Mapping[str, Frames], matched: Mapping[str, Frames], compared: list[str], hard: bool
) -> dict[str, Any]:
    """The accuracies and the comparisons of one set."""
    accuracies = {}
    for key, by_seed in frames.items():
        if by_seed:
            right, _, premises = arrays(by_seed)
            accuracies[key] = estimate(right, premises)
    pairs = []
    for first, second in combinations([key for key in compared if frames.get(key)], 2):
        here = aligned(frames[first], frames[second])
        there = aligned(matched[first], matched[second])
        step = compare_frames(*here, (False, False)) if here else None
        if step and there:
            require_same_gold([(first, next(iter(here[0].values()))), (second, next(iter(here[1].values())))])
            pairs.append({"first": first, "second": second, **step, **excess(here, there, hard)})
    return {
        "title": title,
        "n": max(each["n"] for each in accuracies.values()),
        "accuracies": accuracies,
        "pairs": pairs,
    }


def aligned(first: Frames, second: Frames) -> tuple[Frames, Frames] | None:
    """Two experiments' answers to the pairs and under the seeds that both have; None without any."""
    seeds = [seed for seed in first if seed in second]
    common = common_pairs(side[seed] for side in (first, second) for seed in seeds)
    if not len(common):
        return None
    one, two = ({seed: side[seed].loc[common] for seed in seeds} for side in (first, second))
    return one, two


def excess(here: tuple[Frames, Frames], there: tuple[Frames, Frames], hard: bool) -> dict[str, Any]:
    """How much the difference of two experiments on a set exceeds that on the matched pairs, with its 95% interval.

    Both are resampled over the same seeds. The premises of the set and of the matched pairs are drawn independently of
    each other, except where the set is a part of the matched pairs (`hard`): there the same premises are drawn.

    Returns:
        on_matched, `compare`'s result; excess; excess_interval.
    """
    (one, _, premises), (two, _, _) = map(arrays, there)
    on_matched = compare(one, two, premises)
    change = two.astype(float) - one
    whole, _ = resampled_means(change, np.ones(change.shape), premises)
    if hard:
        kept = np.isin(next(iter(there[0].values())).index, next(iter(here[0].values())).index)
        kept = np.broadcast_to(kept, change.shape)
        part, _ = resampled_means(change, kept.astype(float), premises)
        value = change[kept].mean() - change.mean()
    else:
        (first, _, others), (second, _, _) = map(arrays, here)
        gap = second.astype(float) - first
        part, _ = resampled_means(gap, np.ones(gap.shape), others)
        part, value = part[::-1], gap.mean() - change.mean()  # reversed: not the resamples of the matched premises
    seeds = len(change)
    weights = draws(seeds, "seeds") if seeds > 1 else np.ones((1, seeds))
    resampled = weighted_means(part - whole, weights)
    return {"on_matched": on_matched, "excess": float(value), "excess_interval": percentile_interval(resampled)}


def groups(frames: Mapping[str, Frames], compared: list[str]) -> list[dict[str, Any]]:
    """Accuracies of the compared experiments by genre and gold label, such as HANS's heuristics; [] without genres."""
    shown = {key: frames[key] for key in compared if frames.get(key)}
    if not shown:
        return []
    frame = next(iter(next(iter(shown.values())).values()))
    names = frame[["genre", "gold"]].drop_duplicates().sort_values(["genre", "gold"])
    if not names["genre"].any():
        return []
    found = []
    for genre, gold in names.itertuples(index=False):
        accuracies = {}
        for key, by_seed in shown.items():
            rows = [each[(each["genre"] == genre) & (each["gold"] == gold)] for each in by_seed.values()]
            accuracies[key] = float(np.mean([(each["pred"] == each["gold"]).mean() for each in rows]))
        n = int(((frame["genre"] == genre) & (frame["gold"] == gold)).sum())
        found.append({"genre": genre, "gold": gold, "n": n, "accuracies": accuracies})
    return found


def exchanged(frames: Mapping[str, Frames]) -> list[dict[str, Any]]:
    """The experiments whose answers fit a set's labels better in another order, which suggests a wrong `labels:`.

    An order counts if its accuracy is above that of the best constant answer and above the stated order's, each by
    McNemar's test at a thousandth: adversarial sets have accuracies below chance without any such mistake.

    Returns:
        experiment; accuracy; order, {stated label: the label that fits}; reordered, the accuracy in that order.
    """
    found = []
    for key, by_seed in frames.items():
        if not by_seed:
            continue
        pred = np.array([frame["pred"].to_numpy(dtype=object) for frame in by_seed.values()])
        _, _, premises = arrays(by_seed)
        gold = next(iter(by_seed.values()))["gold"].to_numpy(dtype=object)
        labels = [label for label in LABELS if (gold == label).any()]
        orders = [dict(zip(labels, order, strict=True)) for order in permutations(labels)]
        hits = [pred == np.array([order[label] for label in gold], dtype=object) for order in orders]
        best = max(range(len(orders)), key=lambda i: hits[i].mean())
        constant = max((np.broadcast_to(gold == label, pred.shape) for label in labels), key=np.mean)
        tests = [compare(other, hits[best], premises, intervals=False) for other in (hits[0], constant)]
        if all(test["difference"] > 0 and test["clustered_p"] < LEVEL / 50 for test in tests):
            order = {stated: fits for stated, fits in orders[best].items() if stated != fits}
            accuracies = {"accuracy": float(hits[0].mean()), "reordered": float(hits[best].mean())}
            found.append({"experiment": key, **accuracies, "order": order})
    return found
