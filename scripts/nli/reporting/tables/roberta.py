"""Tables of the RoBERTa experiments: settings, layers, parameters, epochs, accuracy."""

from collections.abc import Mapping, Sequence
from typing import Any

from nli.reporting.markup import (
    GROUP,
    MISSING,
    code,
    decimal,
    escape,
    integer,
    interval,
    listing,
    percent,
    setting,
    table,
    yes_no,
)
from nli.reporting.original_scores import epoch_cell, explained, reported_cell
from nli.reporting.results import Experiment, Results, reported_entry, reported_parameters
from nli.study.methods import METHODS, VARIANTS

LAYER_TITLES = {
    "word_embeddings": "Word embeddings",
    "token_type_embeddings": "Token-type embeddings",
    "position_embeddings": "Position embeddings",
    "embedding_layer_norm": "Embedding layer norm",
    "encoder": "Encoder",
    "classifier_dense": "Classifier, dense",
    "classifier_out_proj": "Classifier, output",
}
ATTENTION = {"query": "queries", "key": "keys", "value": "values"}
LAYERS = {**ATTENTION, "output.dense": "feed-forward activations"}
# What PEFT takes for RoBERTa where the config states nothing.
USUAL = {"lora": ("query", "value"), "ia3": ("key", "value", "output.dense")}
NONE = "*The study has no such experiment.*"
IN_THE_REPORT = {"reported": "yes", "described": "described only", "repaired": "no: our repair", "ours": "no: ours"}


def status_cells(experiment: Experiment, columns: int) -> list[str]:
    """The cells of an experiment without results: its status, then dashes."""
    return [f"*{experiment.status}*", *[MISSING] * (columns - 1)]


def settings(results: Results) -> str:
    """What each experiment trains and its main settings, as resolved for this scale."""
    rows = []
    for experiment in results.family("roberta"):
        spec, training = experiment.spec, experiment.spec["training"]
        how = [
            setting(training["learning_rate"]),
            integer(training["batch_size"]),
            length(training),
        ]
        untrained = (spec.get("cloze") or {}).get("trained") is False
        how = [MISSING] * 3 if untrained else how
        rows.append([escape(experiment.title), what_trains(spec), *how, IN_THE_REPORT[experiment.origin]])
    columns = {
        "Experiment": "l",
        "What trains": "l",
        "Learning rate": "r",
        "Batch": "r",
        "Length": "r",
        "In the original": "l",
    }
    caption = results.caption("The {encoder} experiments at this scale.")
    return table(columns, rows, caption, "tbl-roberta-settings") if rows else NONE


def length(training: Mapping[str, Any]) -> str:
    """How long a training is: "3 epochs", "200 steps", "1 epoch of 8,000 pairs", "1 epoch of 10% of the pairs"."""
    amount, unit = training.get("epochs") or training.get("max_steps"), "epoch" if training.get("epochs") else "step"
    sample = training.get("examples")
    pairs = f" of {integer(sample) if sample >= 1 else f'{100 * sample:g}% of the'} pairs" if sample else ""
    return f"{amount:g} {unit}{'' if amount == 1 else 's'}{pairs}"


def what_trains(spec: Mapping[str, Any]) -> str:
    """What an experiment trains, in words."""
    if spec.get("trainable") == "word_embeddings":
        return "the word-embedding table alone"
    if (spec.get("cloze") or {}).get("trained") is False:
        return "nothing: it is asked as it is"
    lora, ia3 = spec.get("lora") or {}, spec.get("ia3") or {}
    updates = VARIANTS[lora.get("variant", "lora")].updates
    modules = lora.get("target_modules") or ia3.get("target_modules") or USUAL.get(spec["method"], ())
    return METHODS[spec["method"]].trains.format(updates=updates, layers=layers_in_words(modules))


def layers_in_words(modules: Sequence[str]) -> str:
    """The linear layers that a method changes, in words; their own names, where it changes others than the study's."""
    if {"intermediate.dense", "output.dense", *ATTENTION} <= set(modules):
        return "every linear layer"
    return listing([LAYERS.get(module, code(module)) for module in modules])


def layers(results: Results) -> str:
    """The printed layer table: parameters of each layer next to the original's."""
    key = next(key for key, entry in results.reported["experiments"].items() if "architecture" in entry)
    experiment = results.experiments.get(key)
    reported = reported_entry(results.reported, key)["architecture"]
    run = experiment.first if experiment else None
    ours = {row["name"]: row["parameters"] for row in run.run["parameters"]["layers"]} if run else {}
    names = [*reported, *(name for name in ours if name not in reported)]
    rows = [
        [
            LAYER_TITLES.get(name, escape(name)),
            integer(ours.get(name)) if run else f"*{experiment.status if experiment else 'not run'}*",
            integer(reported.get(name)),
        ]
        for name in names
    ]
    rows.append(
        [
            "**Total**",
            f"**{integer(sum(ours.values()))}**" if ours else MISSING,
            f"**{integer(sum(reported.values()))}**",
        ]
    )
    columns = {"Layer": "l", f"Parameters{GROUP}ours": "r", f"Parameters{GROUP}reported": "r"}
    caption = "Parameters of the fully fine-tuned model, layer by layer."
    return table(columns, rows, caption, "tbl-layers")


def parameters(results: Results) -> str:
    """Total, trainable and frozen parameters: each counted once, as the original counts, and the original's numbers."""
    rows: list[Sequence[str]] = []
    for experiment in results.family("roberta"):
        title = escape(experiment.title)
        reported = reported_parameters(results.reported, experiment.key)
        frozen = reported.get("frozen", 0 if reported else None)
        printed = [reported.get("total"), reported.get("trainable"), frozen]
        if not experiment.first:
            rows.append([title, "counted once", *status_cells(experiment, 3), MISSING])
        else:
            audit = experiment.first.run["parameters"]
            rows.append([title, "counted once", *_counts(audit)])
            rows.append(["", "as the original counts", *_counts(audit["as_reported"])])
        if reported:
            rows.append(["", "reported", *(integer(n) for n in printed), _share(reported)])
    columns = {
        "Experiment": "l",
        "Count": "l",
        "Total": "r",
        "Trainable": "r",
        "Frozen": "r",
        "Trainable, %": "r",
    }
    caption = (
        "Parameters. The original's layer table counts a tensor again wherever it lists it again "
        "(word embeddings under prompt tuning, the head under LoRA), so its totals can exceed the "
        "true ones. Both ways of counting are shown."
    )
    return table(columns, rows, caption, "tbl-roberta-parameters") if rows else NONE


def _counts(audit) -> list[str]:
    return [*(integer(audit.get(key)) for key in ("total", "trainable", "frozen")), _share(audit)]


def _share(audit) -> str:
    total, trainable = audit.get("total"), audit.get("trainable")
    return MISSING if not total or trainable is None else percent(trainable / total, 2)


def epochs(results: Results) -> str:
    """One table for each experiment: losses and accuracy after each epoch, ours and reported."""
    return "\n".join(_epoch_table(results, experiment) for experiment in results.family("roberta")) or NONE


def _epoch_table(results: Results, experiment: Experiment) -> str:
    printed = reported_entry(results.reported, experiment.key).get("epochs", [])
    ours = experiment.first.history.get("epochs", []) if experiment.first else []
    rows = []
    for i in range(max(len(ours), len(printed))):
        mine = ours[i] if i < len(ours) else {}
        theirs = printed[i] if i < len(printed) else (None, None, None)
        cells = [f"{mine.get('epoch', i + 1):g}"]
        for key, value in zip(("training_loss", "validation_loss"), theirs[:2], strict=True):
            cells += [decimal(mine.get(key)), MISSING if value is None else decimal(float(value))]
        rows.append([*cells, percent(mine.get("accuracy")), epoch_cell(results.reported, theirs[2])])
    if not ours:
        note = f"*{experiment.status}*: we have no numbers."
        if not rows:
            return f"{escape(experiment.title)} was {note}\n"
    columns = {"Epoch": "r"}
    for measure in ("Training loss", "Validation loss", "Accuracy, %"):
        columns |= {f"{measure}{GROUP}ours": "r", f"{measure}{GROUP}reported": "r"}
    if not printed:
        kept = ("Epoch", "Training loss", "Validation loss", "Accuracy, %")
        columns = dict.fromkeys(kept, "r")
        rows = [[row[0], row[1], row[3], row[5]] for row in rows]
    caption = f"{escape(experiment.title)}, epoch by epoch, on the matched split."
    if not ours:
        caption += f" Our run: {experiment.status}."
    if not printed:
        caption += " The original has no numbers for it."
    return table(columns, rows, caption, f"tbl-epochs-{experiment.key.split('/')[1].replace('_', '-')}")


def accuracy(results: Results) -> str:
    """Matched and mismatched accuracy with intervals, macro-F1 and calibration, and the reported accuracy."""
    rows: list[Sequence[str]] = []
    for experiment in results.family("roberta"):
        for split in ("matched", "mismatched"):
            scores = experiment.scores(split)
            title = escape(experiment.title) if split == "matched" else ""
            printed = reported_cell(results.reported, experiment.key, split)
            if scores is None:
                if split == "matched" or printed != MISSING:
                    rows.append([title, split, *status_cells(experiment, 2), printed, *[MISSING] * 3])
                continue
            rows.append(
                [
                    title,
                    split,
                    percent(scores["accuracy"]),
                    interval(scores["clustered_interval"]),
                    printed,
                    decimal(scores["macro_f1"], 3),
                    decimal(scores["calibration_error"], 3),
                    yes_no(scores["collapsed"]),
                ]
            )
    columns = {
        "Experiment": "l",
        "Split": "l",
        f"Accuracy, %{GROUP}ours": "r",
        f"Accuracy, %{GROUP}95% interval": "r",
        f"Accuracy, %{GROUP}reported": "r",
        "Macro F1": "r",
        "Calib. error": "r",
        "One class?": "c",
    }
    caption = "Accuracy of the {encoder} experiments on both validation splits, after the last epoch."
    return table(columns, rows, explained(results.caption(caption), rows), "tbl-roberta-accuracy") if rows else NONE
