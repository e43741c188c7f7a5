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


def run_card(run: Mapping[str, Any], results: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> str:
    """Markdown with front matter: the content of a run's README.md, which its model's folder links to.

    Args:
        run: run.json.
        results: `metrics.score_predictions` of its predictions.
    """
    key, base = f"{run['family']}/{run['name']}", run.get("base")
    text = [front_matter(run), f"# {key}", "", introduction(run), "", *scores_table(results), ""]
    if base:
        where = "" if base.get("revision") else "In this folder, with the base model where the study has it:"
        text += ["## Loading it", "", *([where, ""] if where else []), f"```python\n{loading(run)}```", ""]
        text += [f"Commit of the code: `{run['git_commit']}`. Everything else about the run is in `run.json`.", ""]
    return "\n".join(text)


def front_matter(run: Mapping[str, Any]) -> str:
    """What the hub reads of a model: its base, licence, library, data and task."""
    base = run.get("base") or {}
    on_hub = bool(base.get("revision"))
    entries = {
        "license": base.get("license"),
        "base_model": base.get("name") if on_hub else None,
        "library_name": "peft" if is_adapter(run) else "transformers",
        "pipeline_tag": "text-classification",
        "language": "en",
        "datasets": [source]
        if (source := run["data"]["source"].removeprefix("hub ")) != run["data"]["source"]
        else None,
        "metrics": ["accuracy"],
        "tags": ["natural-language-inference"],
    }
    kept = {key: value for key, value in entries.items() if value}
    return f"---\n{yaml.safe_dump(kept, sort_keys=False)}---\n"


def introduction(run: Mapping[str, Any]) -> str:
    """One paragraph: the base model, the method, the data and the seed."""
    model, base, data = run["model"], run.get("base") or {}, run["data"]
    name = base.get("name") or (model or {}).get("id")
    revision = base.get("revision") or (model or {}).get("revision")
    of = f"`{name}`" + (f" at commit `{revision}`" if revision else "") if name else "no model"
    source = f"`{data['source'].removeprefix('hub ')}`" + (f" at `{data['revision']}`" if data["revision"] else "")
    trained = integer(run["parameters"]["trainable"])
    what = (
        f"Method: `{run['spec'].get('method') or run['family']}`, {trained} trained parameters"
        if base
        else "Nothing trained"
    )
    return f"Base: {of}. {what}. Data: {source}. Seed {run['seed']}. Scale: `{run['scale']}`."


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
    revision = f', revision="{base["revision"]}"' if base.get("revision") else ""
    return f'"{base["name"]}"{revision}'
