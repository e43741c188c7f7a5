"""What differs in the configurations of two runs, by key; equal changes of several experiments are one row."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from nli.measure.ladders import flatten
from nli.reporting.markup import MISSING

ELSEWHERE = ("results", "cache", "finished_only")  # where files are, not what is in them
LONGEST = 60  # characters of a value that are shown
NAMED = 3  # experiments that a row names


def different_settings(first: Mapping[str, Any], second: Mapping[str, Any]) -> list[tuple[str, str, str, str]]:
    """(key, its value in the first study, in the second, experiments) of every key of study.json that differs.

    An experiment that only one study has is left out.
    """
    plain = [
        {key: value for key, value in study.items() if key not in (*ELSEWHERE, "experiments")}
        for study in (first, second)
    ]
    rows = [(key, *shown(before, after), "") for key, before, after in differences(*plain)]
    experiments = [study["experiments"] for study in (first, second)]
    both = [key for key in experiments[0] if key in experiments[1]]
    changed: dict[tuple[str, str, str], list[str]] = {}
    for key in both:
        for name, before, after in differences(experiments[0][key], experiments[1][key]):
            changed.setdefault((name, *shown(before, after)), []).append(key)
    return rows + [(*row, where(keys, both)) for row, keys in changed.items()]


def differences(first: Mapping[str, Any], second: Mapping[str, Any]) -> list[tuple[str, Any, Any]]:
    """(dotted key, value, value) of every key with different values; None for no value."""
    flat = [flatten(part) for part in (first, second)]
    keys = [*flat[0], *(key for key in flat[1] if key not in flat[0])]
    return [(key, flat[0].get(key), flat[1].get(key)) for key in keys if flat[0].get(key) != flat[1].get(key)]


def shown(before: Any, after: Any) -> tuple[str, str]:
    """Both values in one line each; long ones from shortly before their first difference."""
    texts = [
        MISSING if value is None else value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        for value in (before, after)
    ]
    texts = [" ".join(text.split()) for text in texts]
    start = 0 if max(map(len, texts)) <= LONGEST else max(0, first_difference(*texts) - LONGEST // 4)
    return tuple(cut(text, start) for text in texts)


def first_difference(one: str, other: str) -> int:
    """The place of the first character that differs; the shorter length if there is none."""
    pairs = enumerate(zip(one, other, strict=False))
    return next((i for i, (a, b) in pairs if a != b), min(len(one), len(other)))


def cut(text: str, start: int) -> str:
    """LONGEST characters of a text from `start`, with … for what is left out."""
    start = start if start < len(text) else 0
    piece = text[start : start + LONGEST]
    return f"{'…' if start else ''}{piece}{'…' if start + LONGEST < len(text) else ''}"


def where(keys: Sequence[str], both: Sequence[str]) -> str:
    """The experiments with an equal change: whole families by name, the others one by one up to NAMED."""
    if len(keys) == len(both) > 1:
        return f"all {len(keys)}"
    family = keys[0].split("/")[0]
    members = [key for key in both if key.split("/")[0] == family]
    if len(members) > 1 and list(keys) == members:
        return f"{family}: all {len(members)}"
    rest = f" and {len(keys) - NAMED} more" if len(keys) > NAMED else ""
    return ", ".join(keys[:NAMED]) + rest
