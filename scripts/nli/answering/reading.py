"""Reads a label from the text that the decoder wrote, in any script.

Text and answer words are compared as NFC with Unicode's full case folding. So "NEIN" is "nein", "STRASSE" is "straße"
and "İ" is not "i". A word is a run of letters and their marks: "Noël" is not "No", whichever way its accent is stored.
"""

import itertools
import re
import unicodedata
from collections import Counter
from collections.abc import Mapping

from nli.texts import folded

MIN_PREFIX = 2  # letters; a shorter beginning of a label word is not an answer


def is_letter(character: str) -> bool:
    """Whether a character is a letter, or a mark such as an accent or a vowel sign."""
    return unicodedata.category(character)[0] in "LM"


def first_word(text: str) -> str:
    """The first run of letters and marks; "" if there is none."""
    return next(("".join(run) for letters, run in itertools.groupby(text, is_letter) if letters), "")


def read_prefix(answer: str, answers: Mapping[str, str]) -> str | None:
    """The class whose answer word starts with the first word of `answer`, else None.

    One or two tokens are often less than a word ("ent", "contrad"), so a beginning counts if it has at least two
    letters and fits only one answer word. Case and punctuation do not matter.

    Args:
        answer: the raw continuation.
        answers: answer word -> class, e.g. {"Yes": "entailment", ...}.
    """
    said = first_word(folded(answer))
    classes = {folded(word): label for word, label in answers.items()}
    if said in classes or len(said) < MIN_PREFIX:
        return classes.get(said)
    fits = {label for word, label in classes.items() if word.startswith(said)}
    return fits.pop() if len(fits) == 1 else None


def label_mentions(answer: str, answers: Mapping[str, str]) -> list[str]:
    """The classes whose whole answer words are in `answer`, in order of appearance, with repeats."""
    classes, text = {folded(word): label for word, label in answers.items()}, f" {folded(answer)} "
    words, found, at = re.compile("|".join(map(re.escape, classes))), [], 0
    while match := words.search(text, at):
        apart = is_apart(text, *match.span())
        at = match.end() if apart else match.start() + 1  # another word may begin inside
        if apart:
            found.append(classes[match[0]])
    return found


def is_apart(text: str, start: int, end: int) -> bool:
    """Whether a part of a text is a whole word, or words: no letter, digit or underscore is next to it."""
    return not any(
        is_letter(character) or character.isalnum() or character == "_" for character in (text[start - 1], text[end])
    )


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
