"""The card of a run: what ran, on what, how well, and how to load the model, in the model hub's format."""

from collections.abc import Mapping
from typing import Any

import yaml

from nli.base.labels import LABEL_NAMES
from nli.reporting.markup import MISSING, integer, interval, percent
from nli.study.methods import METHODS

LOAD_WHOLE = """\
from transformers import {auto}, AutoTokenizer

FOLDER = "model"
tokenizer = AutoTokenizer.from_pretrained(FOLDER)
model = {auto}.from_pretrained(FOLDER).eval()
"""
LOAD_ADAPTER = """\
from peft import PeftModel
from transformers import {auto}, AutoTokenizer

FOLDER = "{folder}"
tokenizer = AutoTokenizer.from_pretrained({tokenizer})
base = {auto}.from_pretrained({base}{options})
model = PeftModel.from_pretrained(base, FOLDER).eval()
"""
SKIP_PROMPT = """
# The head reads <s>, which follows the virtual tokens: it is not to see them.
def skip(module, inputs, output):
    return (output[0][:, {length}:], *output[1:]) if isinstance(output, tuple) else output[:, {length}:]

base.base_model.encoder.layer[-1].register_forward_hook(skip)
"""


def run_card(
    run: Mapping[str, Any], results: Mapping[str, Mapping[str, Mapping[str, Any]]], licence: str | None = None
) -> str:
    """Markdown with front matter: the content of a run's README.md, which its model's folder links to.

    A run without a trained model of its own (a prompt, another's adapter) has no front matter and nothing to load.

    Args:
        run: run.json.
        results: `metrics.score_predictions` of its predictions.
        licence: the base model's, as the hub writes it.
    """
    text = [f"# {run['family']}/{run['name']}", "", introduction(run), "", *scores_table(results), ""]
    if has_model(run):
        where = "" if run["base"]["revision"] else "In this folder, with the base model where the study has it:\n\n"
        text = [front_matter(run, licence), *text, "## Loading it", "", f"{where}```python\n{loading(run)}```", ""]
    return "\n".join([*text, f"Commit of the code: `{run['git_commit']}`. `run.json` has the rest.", ""])


def has_model(run: Mapping[str, Any]) -> bool:
    """Whether the run trained a model that its folder holds in a form that transformers or PEFT loads."""
    return bool(run.get("base")) and not run["spec"].get("adapter")


def front_matter(run: Mapping[str, Any], licence: str | None) -> str:
    """What the hub reads of a model: its base, licence, library, data and task."""
    base, source = run["base"], run["data"]["source"]
    entries = {
        "license": licence,
        "base_model": base["name"] if base["revision"] else None,
        "library_name": "peft" if is_adapter(run) else "transformers",
        "pipeline_tag": "text-generation" if run["family"] == "qlora" else "text-classification",
        "language": "en",
        "datasets": [source.removeprefix("hub ")] if source.startswith("hub ") else None,
        "metrics": ["accuracy"],
        "tags": ["natural-language-inference"],
    }
    kept = {key: value for key, value in entries.items() if value}
    return f"---\n{yaml.safe_dump(kept, sort_keys=False)}---\n"


def introduction(run: Mapping[str, Any]) -> str:
    """One paragraph: the base model, what trained, the data, the seed and the scale."""
    identity, data, spec = run.get("base") or run["model"] or {}, run["data"], run["spec"]
    name = identity.get("name") or identity.get("id")
    base = f"Base model: {at_commit(name, identity.get('revision'))}." if name else "No base model."
    if spec.get("adapter"):
        what = f"It answers with the adapter of `{spec['adapter']}`."
    elif run["parameters"]["trainable"]:
        method = spec.get("method", run["family"])
        what = f"Method: `{method}`, with {integer(run['parameters']['trainable'])} trained parameters."
    else:
        what = "No parameter of a model was trained."
    if spec.get("cloze"):
        words = ", ".join(f"`{word}` for {label}" for label, word in spec["cloze"]["words"].items())
        what += f" It answers at the mask: {words}."
    source = at_commit(data["source"].removeprefix("hub "), data["revision"])
    return f"{base} {what} Data: {source}. Seed {run['seed']}. Scale: `{run['scale']}`."


def at_commit(name: str, revision: str | None) -> str:
    """A name, with the commit where there is one."""
    return f"`{name}` at commit `{revision}`" if revision else f"`{name}`"


def scores_table(results: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> list[str]:
    """Accuracy on each evaluation set by each scorer, with the interval that knows which rows share a premise."""
    rows = ["| set | scorer | pairs | accuracy, % | 95% interval |", "|---|---|---:|---:|---|"]
    for split, scorers in results.items():
        for scorer, scores in scorers.items():
            bounds = interval(scores["clustered_interval"]) if scores["clustered_interval"] else MISSING
            rows.append(f"| {split} | {scorer} | {integer(scores['n'])} | {percent(scores['accuracy'])} | {bounds} |")
    return rows


def is_adapter(run: Mapping[str, Any]) -> bool:
    """Whether the run's folder holds what PEFT loads, and not a whole model."""
    return run["family"] == "qlora" or (run["family"] == "roberta" and METHODS[run["spec"]["method"]].adapter)


def loading(run: Mapping[str, Any]) -> str:
    """Python that loads the model from FOLDER, the run's own."""
    spec, base = run["spec"], run["base"]
    if run["family"] == "qlora":
        name = name_of(base)
        return LOAD_ADAPTER.format(auto="AutoModelForCausalLM", folder="adapter", base=name, tokenizer=name, options="")
    auto = "AutoModelForMaskedLM" if METHODS[spec["method"]].masked else "AutoModelForSequenceClassification"
    if not is_adapter(run):
        return LOAD_WHOLE.format(auto=auto)
    options = f", num_labels={len(LABEL_NAMES['id2label'])}, id2label={LABEL_NAMES['id2label']}"
    text = LOAD_ADAPTER.format(auto=auto, folder="model", base=name_of(base), tokenizer="FOLDER", options=options)
    if spec["pooling"] == "sentence_start":
        text += SKIP_PROMPT.format(length=spec["prompt"]["num_virtual_tokens"])
    return text


def name_of(base: Mapping[str, Any]) -> str:
    """The base model as the first argument or arguments of `from_pretrained`."""
    revision = f', revision="{base["revision"]}"' if base["revision"] else ""
    return f'"{base["name"]}"{revision}'
