"""Texts for the decoder and how its answers are read. Pure strings: no model, no tokenizer."""

import re
from collections import Counter
from collections.abc import Mapping
from typing import Any

MIN_PREFIX = 2  # letters: a shorter beginning of a label word is no answer


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


def read_prefix(answer: str, answers: Mapping[str, str]) -> str | None:
    """The class whose answer word the first word of `answer` begins (or that begins it), else None.

    One or two tokens are often less than a word ("ent", "contrad"), so a beginning counts when it is at least two
    letters long and fits one answer word only. Case and punctuation do not matter.

    Args:
        answer: the raw continuation.
        answers: answer word -> class, e.g. {"Yes": "entailment", ...}.
    """
    match = re.search(r"[A-Za-z]+", answer)
    if match is None or len(match[0]) < MIN_PREFIX:
        return None
    word = match[0].lower()
    fits = {
        label for candidate, label in answers.items() if candidate.lower().startswith(word) or word == candidate.lower()
    }
    return fits.pop() if len(fits) == 1 else None


def label_mentions(answer: str, answers: Mapping[str, str]) -> list[str]:
    """The classes whose whole answer words stand in `answer`, in order of appearance, with repeats."""
    classes = {word.lower(): label for word, label in answers.items()}
    pattern = r"\b(" + "|".join(map(re.escape, classes)) + r")\b"
    return [classes[match.lower()] for match in re.findall(pattern, answer, flags=re.IGNORECASE)]


def read_first_label(answer: str, answers: Mapping[str, str]) -> str | None:
    """The first label word that stands anywhere in the answer."""
    return next(iter(label_mentions(answer, answers)), None)


def read_most_frequent_label(answer: str, answers: Mapping[str, str]) -> str | None:
    """The label word that stands in the answer most often; of equals, the one that came first."""
    counts = Counter(label_mentions(answer, answers))
    return counts.most_common(1)[0][0] if counts else None


SCORERS = {
    "parsed": read_prefix,
    "first_word": read_prefix,
    "first_label": read_first_label,
    "most_frequent_label": read_most_frequent_label,
}
