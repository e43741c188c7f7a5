"""Tables of the data: how many pairs, of which labels, lengths and genres. Columns of description.json."""

from collections.abc import Mapping
from typing import Any

from nli.base.labels import LABELS
from nli.reporting.markup import GROUP, MISSING, decimal, escape, integer, percent, table
from nli.reporting.results import Results

NO_DATA = "*The description of the data is missing: the data stage has not run.*"


def split_titles(results: Results) -> dict[str, str]:
    """The report's name for the training split and every evaluation set, in the order of the config."""
    return {"train": "Training"} | {name: each["title"] for name, each in results.sets.items()}


def described_splits(results: Results) -> Mapping[str, Mapping[str, Any]]:
    """The described splits, in the report's order."""
    splits = results.description.get("splits", {})
    return {name: splits[name] for name in split_titles(results) if name in splits}


def two_classes(described: Mapping[str, Any]) -> bool:
    """Whether a set of the config has rows of its own whose labels tell two of ours apart only."""
    source = described.get("source")
    labels = source["labels"].values() if isinstance(source, Mapping) else ()
    return any(not isinstance(label, str) and len(label) > 1 for label in labels)


def counts(results: Results) -> str:
    """Pairs of each split next to the original's, their premises, and the rows left out."""
    data = results.reported["data"]
    reported = {
        "train": data["train_examples"]["derived"],
        "matched": data["splits"]["validation_matched"],
        "mismatched": data["splits"]["validation_mismatched"],
    }
    dropped = results.description.get("dropped", {})
    rows = [
        [
            escape(title),
            integer(described["n"]),
            integer(reported.get(split)),
            integer(described.get("premises")),
            _dropped(dropped, split),
        ]
        for split, title in split_titles(results).items()
        if (described := described_splits(results).get(split))
    ]
    if not rows:
        return NO_DATA
    columns = {
        "Split": "l",
        f"Pairs{GROUP}ours": "r",
        f"Pairs{GROUP}reported": "r",
        "Premises": "r",
        "Unlabelled, dropped": "r",
    }
    caption = (
        "Pairs in each split. The original trained on a tenth of MultiNLI's "
        f"{integer(data['splits']['train'])} training pairs and had no tuning split."
    )
    return table(columns, rows, caption, "tbl-counts")


def premises(results: Results) -> str:
    """Two sentences: pairs share premises, and the number of pairs per premise in each split."""
    splits = {name: described for name, described in described_splits(results).items() if described.get("premises")}
    if not splits:
        return NO_DATA
    titles = split_titles(results)
    means = [f"{escape(titles[name])} {decimal(each['n'] / each['premises'], 1)}" for name, each in splits.items()]
    return (
        "Many pairs share a premise, and such pairs are not independent of each other. "
        f"Pairs per premise, on average: {'; '.join(means)}."
    )


def leakage(results: Results) -> str:
    """What each evaluation set shares with the training rows; then `examples` and `same_pairs`."""
    shared = results.description.get("overlap")
    if not shared:
        return "*What the splits share with the training pairs was not counted: the data are of an earlier version.*"
    titles, described = split_titles(results), described_splits(results)
    rows = [
        [escape(titles.get(name, name)), integer(described[name]["n"]), *(integer(n) for n in counted.values())]
        for name, counted in shared.items()
        if name in described
    ]
    columns = {
        "Split": "l",
        "Pairs": "r",
        f"Also in training{GROUP}pair id": "r",
        f"Also in training{GROUP}pair": "r",
        f"Also in training{GROUP}premise": "r",
    }
    caption = (
        "Pairs of each evaluation split whose identifier, whose two texts, or whose premise alone the training pairs "
        "have, too; texts are compared regardless of case."
    )
    return "\n\n".join([table(columns, rows, caption, "tbl-leakage"), examples(results), same_pairs(results)])


def examples(results: Results) -> str:
    """A sentence: how often a prompt's worked example is among the pairs that it is asked about."""
    records = {
        experiment.key: run.run.get("examples")
        for experiment in results.experiments.values()
        if experiment.family == "icl"
        for run in experiment.runs
    }
    if None in records.values():
        return "*Worked examples were not compared with the pairs that are asked about: runs of an earlier version.*"
    shown = {key: record for key, record in records.items() if record["shown"]}
    if not shown:
        return "No prompt of these runs shows a worked example."
    met = {
        key: [sum(split[kind] for split in record["among"].values()) for kind in ("pairs", "premises")]
        for key, record in shown.items()
    }
    leaks = [
        f"{escape(key)} shows {pairs} pairs, and the premises of {premises}"
        for key, (pairs, premises) in met.items()
        if premises
    ]
    if leaks:
        return f"Worked examples among the pairs that are answered: {'; '.join(leaks)}."
    return f"Experiments that show worked examples: {len(shown)}. No pair that they answer has an example's premise."


def same_pairs(results: Results) -> str:
    """A sentence for each set: how many runs answered which pairs, by the hash of the pairs' identifiers."""
    runs: dict[tuple[str, int, str], int] = {}
    for experiment in results.experiments.values():
        for run in experiment.runs:
            for split, digest in run.metrics.get("pairs", {}).items():
                n = next(iter(run.metrics["results"][split].values()))["n"]
                runs[split, n, digest] = runs.get((split, n, digest), 0) + 1
    titles = split_titles(results)
    groups = [
        f"{escape(titles.get(split, split))}: {integer(n)} pairs in {number} runs (`{digest[:12]}`)"
        for (split, n, digest), number in sorted(runs.items())
    ]
    return f"Runs that answered the same pairs, by the hash of the pairs' ids: {'; '.join(groups)}." if groups else ""


def _dropped(dropped: Mapping[str, int], split: str) -> str:
    """Dropped rows of a split, under its own name or MultiNLI's name for it."""
    for name in (split, f"validation_{split}"):
        if name in dropped:
            return integer(dropped[name])
    return MISSING


def labels(results: Results) -> str:
    """Counts and shares of the three labels in each split."""
    rows, titles = [], split_titles(results)
    for split, described in described_splits(results).items():
        two = " (two classes)" if two_classes(results.sets.get(split, {})) else ""
        cells = [escape(titles[split]) + two]
        for label in LABELS:
            count = described["labels"].get(label, 0)
            cells += [integer(count), percent(count / max(1, described["n"]), 1)]
        rows.append(cells)
    if not rows:
        return NO_DATA
    reported = results.reported["data"]["matched_label_counts"]["derived"]
    total = sum(reported.values())
    cells = ["*MultiNLI, matched*"]
    for label in LABELS:
        cells += [integer(reported[label]), percent(reported[label] / total, 1)]
    columns = {"Split": "l"}
    for label in LABELS:
        columns |= {f"{label.capitalize()}{GROUP}n": "r", f"{label.capitalize()}{GROUP}%": "r"}
    caption = "Label balance. The largest share in a split is the accuracy of the best constant answer on it."
    return table(columns, [*rows, cells], caption, "tbl-labels")


def lengths(results: Results) -> str:
    """Words per premise and hypothesis."""
    statistics = {"mean": 1, "median": 0, "p95": 0, "max": 0}
    names = {"mean": "mean", "median": "median", "p95": "95th pct.", "max": "longest"}
    columns = {"Split": "l"}
    for part in ("Premise", "Hypothesis"):
        columns |= {f"{part}{GROUP}{names[name]}": "r" for name in statistics}
    titles = split_titles(results)
    rows = [
        [
            escape(titles[split]),
            *(
                decimal(described[f"{part}_words"].get(name), digits)
                for part in ("premise", "hypothesis")
                for name, digits in statistics.items()
            ),
        ]
        for split, described in described_splits(results).items()
    ]
    caption = "Length in words, which decides how much a limit on tokens cuts off."
    return table(columns, rows, caption, "tbl-lengths") if rows else NO_DATA


def genres(results: Results) -> str:
    """Pairs of each genre in each split; a sentence if the source names none."""
    splits = described_splits(results)
    if not splits:
        return NO_DATA
    names = sorted({genre for described in splits.values() for genre in described["genres"]} - {""})
    if not names:
        return "The source names no genres."
    titles = split_titles(results)
    columns = {"Genre": "l"} | {escape(titles[split]): "r" for split in splits}
    rows = [
        [escape(genre), *(integer(described["genres"].get(genre, 0)) for described in splits.values())]
        for genre in names
    ]
    caption = (
        "Pairs by genre. In MultiNLI the genres of the mismatched split do not occur in training; the study's "
        "generator keeps the genres and changes words and sentence frames."
    )
    return table(columns, rows, caption, "tbl-genres")
