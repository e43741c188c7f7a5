"""The original's statements in words, with our experiments that test them, and the answers that it shows."""

from collections.abc import Mapping, Sequence
from typing import Any

from nli.reporting.markup import MISSING, code, escape, listing, percent, table
from nli.reporting.results import Experiment, Results, reported_entry


def words(results: Results) -> str:
    """Every statement in reported.yaml's `words` with our accuracy, and remarks that belong to no single statement."""
    rows = [
        [escape(entry["about"]), escape(entry["says"]), ours(results, entry.get("see", []))]
        for entry in results.reported["words"]
    ]
    columns = {"About": "l", "The original says": "l", "Ours, accuracy in %": "l"}
    caption = (
        "Statements of the original, condensed and translated, next to the accuracy of our experiments that test them, "
        "on the matched split. An answer without a label counts as wrong."
    )
    notes = [trial(results.reported), pros_and_cons(results.reported)]
    return "\n\n".join([table(columns, rows, caption, "tbl-original-words"), *notes])


def ours(results: Results, keys: Sequence[str]) -> str:
    """The named experiments of this run, each with its accuracy or its status; a dash if none is named."""
    experiments = [results.experiments[key] for key in keys if key in results.experiments]
    if keys and not experiments:
        return "*not in this run*"
    return "; ".join(f"{escape(experiment.title)}: {_outcome(experiment)}" for experiment in experiments) or MISSING


def _outcome(experiment: Experiment) -> str:
    scores = experiment.scores()
    return percent(scores["accuracy"]) if scores else f"*{experiment.status}*"


def trial(reported: Mapping[str, Any]) -> str:
    """The sources of the original's accuracies of attempt 1: two from a small trial, one from the full evaluation."""
    entry = next(entry for entry in reported["experiments"].values() if "trial" in entry)
    full = entry["accuracy"]["matched"]["most_frequent_label"]
    frequent, first = (f"{percent(printed)}%" for printed in entry["trial"]["matched"].values())
    return (
        f"For attempt 1 the original gives two accuracies from a small trial, {frequent} by the most frequent label "
        f"and {first} by the first. Its full evaluation gives {percent(full)}% by the most "
        "frequent label, and nothing by the first."
    )


def pros_and_cons(reported: Mapping[str, Any]) -> str:
    """A sentence on the original's tables of pros and cons, whose cells are not known."""
    methods = reported["pros_and_cons"]["methods"]
    return (
        f"The original also sets out the pros and cons of {escape(listing(methods))} in tables. They are not printed "
        f"here: their cells are {escape(reported['pros_and_cons']['cells'])}."
    )


def samples_of(reported: Mapping[str, Any], key: str) -> list[str]:
    """The pairs that the original shows before and after an experiment's training, each as Markdown; [] for none."""
    return [_sample(sample) for sample in reported_entry(reported, key).get("samples", [])]


def _sample(sample: Mapping[str, Any]) -> str:
    """One of the original's samples: its pair, and the answer as text or described in words."""
    pair = sample["pair"]
    if "premise" in pair:
        name = f"“{escape(pair['premise'])}” / “{escape(pair['hypothesis'])}”"
    else:
        name = f"a pair about {escape(pair['about'])}, whose sentences are not known"
    lines = [f"In the original: {name}; the right label is *{pair['label'].lower()}*.", ""]
    for moment in ("before", "after"):
        answer = sample.get(moment)
        if answer:
            lines += [f"- {moment.capitalize()} training: {_answer(answer)}"]
    return "\n".join([*lines, ""])


def _answer(answer: Mapping[str, str]) -> str:
    """What the original shows of an answer; text is verbatim, with `\\n` for a line break."""
    text = code(answer["text"].replace("\n", "\\n")) if "text" in answer else escape(answer["words"])
    return f"{text}; read as *{answer['read_as'].lower()}*." if "read_as" in answer else f"{text}."
