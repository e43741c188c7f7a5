"""The texts of prompts and trainings: fills their templates, and finds the text before a label."""

import re
import unicodedata
from collections.abc import Mapping
from typing import Any


def folded(text: str) -> str:
    """The text as answers are compared: one form for each letter, without case."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", text).casefold())


def fill(template: str, fields: Mapping[str, str]) -> str:
    """A template with its {places} filled; braces within the fields are unchanged.

    A single pass over the template, so a premise that contains "{hypothesis}" is not filled again.
    """
    return re.sub(r"\{(\w+)\}", lambda match: fields.get(match[1], match[0]), template)


def prompt_text(prompt: Mapping[str, Any], premise: str, hypothesis: str) -> str:
    """A prompt for one pair, with its worked example if it has one."""
    fields = {"premise": premise, "hypothesis": hypothesis}
    for key, value in (prompt.get("example") or {}).items():
        fields[f"example_{key}"] = value
    return fill(prompt["text"], fields)


def evaluation_template(text: str) -> str:
    """The part of a training text before {label}, without its final space."""
    return text[: text.index("{label}")].rstrip(" ")


def asked_template(spec: Mapping[str, Any]) -> str:
    """The prompt for a fine-tuned model: the spec's `evaluation_text`, else the training text up to the label."""
    return spec.get("evaluation_text") or evaluation_template(spec["text"])


def label_lead(spec: Mapping[str, Any]) -> str:
    """The text between that prompt and a label word: a space, or nothing if the prompt ends in white space."""
    if spec.get("evaluation_text"):
        return lead_after(spec["evaluation_text"])
    return spec["text"][len(evaluation_template(spec["text"])) : spec["text"].index("{label}")]


def lead_after(text: str) -> str:
    """The text between a prompt and an answer word: a space, or nothing if the prompt ends in white space."""
    return "" if text[-1:].isspace() else " "
