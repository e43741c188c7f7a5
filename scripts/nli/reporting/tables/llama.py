"""Tables of the Llama experiments: the five prompts, the QLoRA attempts, the merge and the linear head."""

from collections.abc import Mapping, Sequence
from typing import Any

from nli.reporting.markup import (
    GROUP,
    MISSING,
    code_block,
    decimal,
    escape,
    integer,
    interval,
    listing,
    percent,
    scientific,
    setting,
    table,
    yes_no,
)
from nli.reporting.original import samples_of
from nli.reporting.original_scores import explained, reported_cell
from nli.reporting.results import Experiment, Results, reported_entry, reported_training
from nli.reporting.tables.ladders import p_value
from nli.reporting.tables.roberta import NONE, status_cells
from nli.study.methods import VARIANTS

SCORER_TITLES = {
    "classifier": "classifier",
    "parsed": "parsed answer",
    "label_logp": "label words' probabilities",
    "calibrated_logp": "the same, calibrated",
    "first_label": "first label",
    "most_frequent_label": "most frequent label",
    "first_word": "first word",
}
NO_DRAWS = "*No prompt of this run draws its worked examples more than once. With `rungs: all` some do.*"
FIGURES = {  # keys of both history.json's "train" and reported.yaml
    "loss": ("Training loss", lambda value: decimal(value, 4)),
    "seconds": ("Runtime, s", lambda value: decimal(value, 1)),
    "samples_per_second": ("Examples/s", lambda value: decimal(value, 3)),
    "steps_per_second": ("Steps/s", lambda value: decimal(value, 3)),
    "total_flops": ("FLOPs", lambda value: "not counted" if value == 0 else scientific(value)),
    "epoch": ("Epochs", lambda value: decimal(value, 4)),
}


def prompts(results: Results) -> str:
    """Each prompt as a card: its text, its possible answers, and what the original said about it.

    A prompt that several experiments use has one card, under the title of the first.
    """
    users: dict[str, Experiment] = {}
    for experiment in results.family("icl"):
        users.setdefault(experiment.spec["prompt"], experiment)
    return "\n".join(_prompt_card(results, experiment) for experiment in users.values()) or NONE


def _prompt_card(results: Results, experiment: Experiment) -> str:
    prompt = results.study["prompts"][experiment.spec["prompt"]]
    printed = reported_entry(results.reported, experiment.key)
    example = prompt.get("example")
    answers = listing([f"*{escape(a)}* ({label})" for a, label in prompt["answers"].items()])
    facts = [("Text", _whose_text(prompt, printed))]
    facts.append(("Shots", integer(prompt["shots"]) if prompt["shots"] else "none (zero-shot)"))
    facts.append(("Answers", answers))
    if experiment.spec.get("chat"):
        facts.append(("Form", "one message of a user, in the decoder's chat template"))
    if example:
        parts = (f"{name} “{escape(example[name])}”" for name in ("premise", "hypothesis"))
        facts.append(("Example", f"{', '.join(parts)}, answer *{escape(example['answer'])}*"))
    if prompt.get("drawn"):
        times = f" {draws} times" if (draws := experiment.spec.get("draws", 1)) > 1 else ""
        facts.append(("Examples", f"drawn{times} from the training pairs, shown above the pair in question"))
    facts += [
        (name.capitalize(), escape(printed[key]))
        for name, key in (("strength", "strength"), ("weakness", "weakness"), ("note", "note"))
        if key in printed
    ]
    lines = [f"**{name}.** {text}  " for name, text in facts]
    name = experiment.key.replace("/", "-")
    head = f"### {escape(experiment.title)} {{#sec-{name} .unnumbered .unlisted}}"
    return "\n".join([head, "", code_block((prompt.get("drawn") or "") + prompt["text"]), *lines, ""])


def _whose_text(prompt: Mapping[str, Any], printed: Mapping[str, Any]) -> str:
    """Whose text a prompt is: the original's if text and worked example are as printed there, else ours."""
    if not printed:
        return "ours"
    same = all(prompt.get(key) == printed.get(key) for key in ("text", "example", "drawn"))
    return "the original's, letter for letter" if same else "ours, changed from the original's"


def icl_summary(results: Results) -> str:
    """The summary of the prompts: both ways of counting, and the original's accuracy with its fraction."""
    rows: list[Sequence[str]] = []
    for experiment in results.family("icl"):
        printed = reported_entry(results.reported, experiment.key)
        theirs = [reported_cell(results.reported, experiment.key), _fraction(printed)]
        shots = str(results.study["prompts"][experiment.spec["prompt"]]["shots"])
        scores = experiment.scores()
        if scores is None:
            rows.append([escape(experiment.title), shots, *status_cells(experiment, 5), *theirs])
            continue
        rows.append(
            [
                escape(experiment.title),
                shots,
                percent(scores["parsed"] / scores["n"], 1),
                percent(scores["parsed_accuracy"]),
                interval(scores["parsed_clustered_interval"]),
                percent(scores["accuracy"]),
                interval(scores["clustered_interval"]),
                *theirs,
            ]
        )
    columns = {
        "Prompt": "l",
        "Shots": "r",
        "Parsed, %": "r",
        f"Parsed answers only{GROUP}acc., %": "r",
        f"Parsed answers only{GROUP}95% interval": "r",
        f"All answers{GROUP}acc., %": "r",
        f"All answers{GROUP}95% interval": "r",
        f"Reported{GROUP}acc., %": "r",
        f"Reported{GROUP}fraction": "r",
    }
    caption = (
        "The prompts on the matched split. The original counted parsed answers only. Counted strictly (*all answers*), "
        "an answer that names no label is wrong. The fractions are recovered from the original's decimals: they are "
        "those of at most 250 answers that give the printed value."
    )
    return table(columns, rows, explained(caption, rows), "tbl-icl") if rows else NONE


def icl_scorers(results: Results) -> str:
    """Accuracy of every prompt under each of its scorers."""
    caption = (
        "Accuracy of the prompts by way of scoring, on the matched split. *Label words' probabilities*: the most "
        "probable of the prompt's label words is the answer. *Calibrated*: each is first divided by its probability "
        "for content-free pairs [@zhao2021calibrate]."
    )
    return _scorer_table(results, results.family("icl"), caption, "tbl-icl-scorers")


def icl_draws(results: Results) -> str:
    """The scores of several draws of worked examples."""
    rows: list[Sequence[str]] = []
    for experiment in results.family("icl"):
        by_scorer = experiment.first.metrics.get("by_draw", {}).get("matched", {}) if experiment.first else {}
        for i, (scorer, draws) in enumerate(by_scorer.items()):
            shares = [share for share in draws["accuracy"] if share is not None]
            rows.append(
                [
                    escape(experiment.title) if i == 0 else "",
                    SCORER_TITLES.get(scorer, escape(scorer)),
                    integer(len(shares)),
                    integer(min(draws["n"])),
                    percent(sum(shares) / len(shares)),
                    f"{percent(min(shares))} to {percent(max(shares))}",
                    escape(p_value(draws["p_value"])),
                ]
            )
    columns = {
        "Prompt": "l",
        "Scored by": "l",
        "Draws": "r",
        "Pairs each": "r",
        f"Accuracy, %{GROUP}mean": "r",
        f"Accuracy, %{GROUP}range": "r",
        "p": "r",
    }
    caption = (
        "Repeated draws of the worked examples, on the matched split, with every answer counted. Each draw shows other "
        "training pairs and answers its own share of the evaluated pairs, so part of the spread comes from the pairs "
        "alone. p is from a chi-squared test that all draws are right equally often, as if pairs were independent."
    )
    return table(columns, rows, caption, "tbl-icl-draws") if rows else NO_DRAWS


def _fraction(printed: Mapping[str, Any]) -> str:
    """The fractions that give the printed value: the only one, or the smallest and the largest."""
    fits = printed.get("fits", [])
    if not fits:
        return MISSING
    return fits[0] if len(fits) == 1 else f"{fits[0]} to {fits[-1]}"


def qlora_settings(results: Results) -> str:
    """Settings of the QLoRA experiments and linear heads, as resolved for this scale."""
    rows = []
    for experiment in [*results.family("qlora"), *results.family("linear_head")]:
        spec, training, lora = experiment.spec, experiment.spec["training"], experiment.spec["lora"]
        if spec.get("adapter"):
            continue
        rows.append(
            [
                escape(experiment.title),
                {"transformers": "Trainer", "trl": "SFTTrainer"}.get(spec.get("trainer"), "Trainer"),
                setting(training["learning_rate"]),
                f"{training['batch_size']} × {training['gradient_accumulation']}",
                integer(training["max_steps"]),
                integer(spec["tokenization"]["max_length"]),
                VARIANTS[lora.get("variant", "lora")].title,
                f"{lora['r']} / {lora['alpha']}",
            ]
        )
    columns = {
        "Experiment": "l",
        "Trainer": "l",
        "Learning rate": "r",
        "Batch × accum.": "r",
        "Steps": "r",
        "Max. tokens": "r",
        "Adapter": "l",
        "r / alpha": "r",
    }
    caption = results.caption("Settings, at this scale, of the experiments that train adapters of {decoder}.")
    return table(columns, rows, caption, "tbl-qlora-settings") if rows else NONE


def qlora_texts(results: Results) -> str:
    """The training text of each attempt, and its prompt if different, once for attempts that share them."""
    texts: dict[tuple[str, str | None], list[str]] = {}
    for experiment in [*results.family("qlora"), *results.family("linear_head")]:
        if experiment.spec.get("text") and experiment.spec.get("method") != "merge":
            texts.setdefault((experiment.spec["text"], experiment.spec.get("evaluation_text")), []).append(
                escape(experiment.title)
            )
    parts = []
    for (text, asked), names in texts.items():
        parts.append(f"### {'; '.join(names)} {{.unnumbered .unlisted}}\n\n{code_block(text)}")
        if asked:
            parts.append(f"\nAsked with a different text:\n\n{code_block(asked)}")
    return "\n".join(parts) or NONE


def qlora_training(results: Results) -> str:
    """The trainer's closing numbers, ours above the original's."""
    rows: list[Sequence[str]] = []
    for experiment in [*results.family("qlora"), *results.family("linear_head")]:
        if experiment.spec.get("adapter"):
            continue
        ours = experiment.first.history.get("train", {}) if experiment.first else {}
        printed = reported_training(results.reported, experiment.key)
        cells = [show(ours.get(key)) for key, (_, show) in FIGURES.items()]
        rows.append(
            [escape(experiment.title), "ours", *(cells if experiment.first else status_cells(experiment, len(FIGURES)))]
        )
        if printed:
            shown = (show(printed.get(key)) for key, (_, show) in FIGURES.items())
            rows.append(["", "reported", *shown])
    columns = {"Experiment": "l", "Source": "l"} | {title: "r" for title, _ in FIGURES.values()}
    caption = (
        "Loss, time and speed of training. Losses compare only between experiments that put the loss on the same "
        "tokens: the whole text, its padding, the label, or a class."
    )
    return table(columns, rows, caption, "tbl-qlora-training") if rows else NONE


def qlora_accuracy(results: Results) -> str:
    """Accuracy of every QLoRA experiment under each of its scorers."""
    caption = (
        "Accuracy of the QLoRA experiments by way of scoring. The accuracy reported for attempt 1's first label comes "
        "from a small trial (@sec-original)."
    )
    return _scorer_table(results, results.family("qlora"), caption, "tbl-qlora")


def linear_head(results: Results) -> str:
    """Accuracy of the linear heads."""
    experiments = results.family("linear_head")
    return _scorer_table(results, experiments, "Accuracy of the linear heads.", "tbl-linear-head")


def _scorer_table(results: Results, experiments: Sequence[Experiment], caption: str, label: str) -> str:
    """One row for each experiment and scorer, on the matched split."""
    rows: list[Sequence[str]] = []
    for experiment in experiments:
        for i, scorer in enumerate(experiment.spec.get("scorers") or [experiment.scorer]):
            title = escape(experiment.title) if i == 0 else ""
            scores = experiment.scores("matched", scorer)
            printed = reported_cell(results.reported, experiment.key, "matched", scorer)
            name = SCORER_TITLES.get(scorer, escape(scorer))
            if scores is None:
                rows.append([title, name, *status_cells(experiment, 4), printed, MISSING])
                continue
            rows.append(
                [
                    title,
                    name,
                    percent(scores["parsed"] / scores["n"], 1),
                    percent(scores["parsed_accuracy"]),
                    percent(scores["accuracy"]),
                    interval(scores["clustered_interval"]),
                    printed,
                    yes_no(scores["collapsed"]),
                ]
            )
    columns = {
        "Experiment": "l",
        "Scored by": "l",
        "Parsed, %": "r",
        f"Accuracy, %{GROUP}parsed only": "r",
        f"Accuracy, %{GROUP}all": "r",
        f"Accuracy, %{GROUP}95% interval": "r",
        f"Accuracy, %{GROUP}reported": "r",
        "One class?": "c",
    }
    return table(columns, rows, explained(caption, rows), label) if rows else NONE


def samples(results: Results) -> str:
    """What the model writes after one pair before and after training: ours, then the original's, by experiment.

    A prompt appears once, with the first experiment that uses it.
    """
    parts, prompts_shown = [], set()
    for experiment in results.family("qlora"):
        if not experiment.spec.get("sample") or experiment.spec.get("adapter"):
            continue
        parts.append(f"### {escape(experiment.title)} {{.unnumbered .unlisted}}\n")
        shown = experiment.first.samples if experiment.first else {}
        if shown:
            blocks = [("Before training", shown["before"]), ("After training", shown["after"])]
            if shown["prompt"] not in prompts_shown:
                blocks.insert(0, ("Prompt", shown["prompt"]))
                prompts_shown.add(shown["prompt"])
            parts.append(f"The right label is *{escape(shown['sample']['label']).lower()}*.\n")
            parts += [_sample_block(title, text) for title, text in blocks]
        else:
            parts.append(f"*{experiment.status if not experiment.first else 'no sample kept'}*\n")
        parts += samples_of(results.reported, experiment.key)
    return "\n".join(parts) or NONE


def _sample_block(title: str, text: str) -> str:
    return f"*{title}:*\n\n{code_block(_visible(text))}"


def _visible(text: str) -> str:
    """A model's raw text with its line breaks, and without characters that would break the page."""
    text = "".join(character if character.isprintable() or character == "\n" else "�" for character in text)
    return text.strip("\n") if text.strip() else "(nothing)"
