"""Reads a label from the text that the decoder wrote."""

import re
from collections import Counter
from collections.abc import Mapping

MIN_PREFIX = 2  # letters; a shorter beginning of a label word is not an answer


def read_prefix(answer: str, answers: Mapping[str, str]) -> str | None:
    """The class whose answer word starts with the first word of `answer` (or the reverse), else None.

    One or two tokens are often less than a word ("ent", "contrad"), so a beginning counts if it has at least two
    letters and fits only one answer word. Case and punctuation do not matter.

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
    """The classes whose whole answer words are in `answer`, in order of appearance, with repeats."""
    classes = {word.lower(): label for word, label in answers.items()}
    pattern = r"\b(" + "|".join(map(re.escape, classes)) + r")\b"
    return [classes[match.lower()] for match in re.findall(pattern, answer, flags=re.IGNORECASE)]


def read_first_label(answer: str, answers: Mapping[str, str]) -> str | None:
    """The class of the first label word anywhere in the answer."""
    return next(iter(label_mentions(answer, answers)), None)


def read_most_frequent_label(answer: str, answers: Mapping[str, str]) -> str | None:
    """The class of the most frequent label word in the answer; the first if tied."""
    counts = Counter(label_mentions(answer, answers))
    return counts.most_common(1)[0][0] if counts else None


SCORERS = {
    "parsed": read_prefix,
    "first_word": read_prefix,
    "first_label": read_first_label,
    "most_frequent_label": read_most_frequent_label,
}
