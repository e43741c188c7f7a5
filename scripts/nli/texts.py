"""The texts of prompts and trainings: filling their templates, and what stands before a label in them."""

import re
from collections.abc import Mapping
from typing import Any


def fill(template: str, fields: Mapping[str, str]) -> str:
    """Put the fields into a template's {places}; braces within the fields are left alone.

    A single pass over the template, so a premise that holds "{hypothesis}" is not filled twice.
    """
    return re.sub(r"\{(\w+)\}", lambda match: fields.get(match[1], match[0]), template)


def prompt_text(prompt: Mapping[str, Any], premise: str, hypothesis: str) -> str:
    """One of the five prompts for one pair, with its worked example where it has one."""
    fields = {"premise": premise, "hypothesis": hypothesis}
    for key, value in (prompt.get("example") or {}).items():
        fields[f"example_{key}"] = value
    return fill(prompt["text"], fields)


def evaluation_template(text: str) -> str:
    """All of a training text that stands before {label}, without its last space."""
    return text[: text.index("{label}")].rstrip(" ")


def asked_template(spec: Mapping[str, Any]) -> str:
    """What a fine-tuned model is asked with: the spec's `evaluation_text`, else the training text up to the label."""
    return spec.get("evaluation_text") or evaluation_template(spec["text"])


def label_lead(spec: Mapping[str, Any]) -> str:
    """What belongs between that and a label word: a space, or nothing where the text that is asked ends in one."""
    if spec.get("evaluation_text"):
        return lead_after(spec["evaluation_text"])
    return spec["text"][len(evaluation_template(spec["text"])) : spec["text"].index("{label}")]


def lead_after(text: str) -> str:
    """What belongs between a prompt and an answer word: a space, or nothing where the prompt ends in white space."""
    return "" if text[-1:].isspace() else " "
