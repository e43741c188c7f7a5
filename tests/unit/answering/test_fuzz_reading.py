"""Random answers in any script: no reader fails, and none reads a label that the answer does not name."""

import unicodedata

import pytest

pytest.importorskip("hypothesis")

from fuzzing import TEXTS, cases
from hypothesis import assume, example, given
from hypothesis import strategies as st

from nli.answering.reading import SCORERS
from nli.base.labels import LABELS
from nli.study.types import tell_apart

WORDS = ["Yes", "Maybe", "No", "Entailment", "Neutral", "Contradiction", "да", "нет", "ça", "İstanbul", "straße", "Noé"]
WORDS += ["はい", "いいえ", "ναι", "oui", "không", "हाँ", "не знаю", "not sure", "ﬁn", "e\u0301t"]
ANSWERS = st.lists(st.sampled_from(WORDS) | st.text(min_size=1, max_size=8), min_size=3, max_size=3)
CASES = [str, str.upper, str.lower, str.title, str.swapcase]


def spelled(words):
    """Texts of label words in any case, other words and signs."""
    said = st.builds(lambda word, case: case(word), st.sampled_from(words), st.sampled_from(CASES))
    return st.lists(said | TEXTS | st.sampled_from([" ", ". ", ", ", "\n", "n't", "-", "_", "1"]), max_size=8).map(
        "".join
    )


def folded(text):
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", text).casefold())


def named(text, answers):
    """The classes whose words stand alone in the text, in order: each place is looked at by itself."""
    text, found, at = folded(text), [], 0
    while at < len(text):
        for word, label in answers.items():
            end = at + len(folded(word))
            beside = [text[i] for i in (at - 1, end) if 0 <= i < len(text)]
            if text[at:end] == folded(word) and not any(
                unicodedata.category(sign)[0] in "LM" or sign.isalnum() or sign == "_" for sign in beside
            ):
                found.append(label)
                at = end - 1
                break
        at += 1
    return found


@cases(100)
@given(st.data(), ANSWERS)
def test_fuzz_no_reader_fails_or_reads_what_is_not_named(data, words):
    try:
        tell_apart(words, "answers")
    except ValueError:
        assume(False)
    answers = dict(zip(words, LABELS, strict=True))
    text = data.draw(spelled(words))
    classes = named(text, answers)
    assert SCORERS["first_label"](text, answers) == (classes[0] if classes else None)
    most = SCORERS["most_frequent_label"](text, answers)
    assert most == (max(classes, key=lambda label: (classes.count(label), -classes.index(label))) if classes else None)
    read = SCORERS["parsed"](text, answers)
    if read is not None:
        letters = "".join(sign if unicodedata.category(sign)[0] in "LM" else " " for sign in folded(text))
        fitting = [label for word, label in answers.items() if folded(word).startswith(letters.split()[0])]
        assert fitting == [read]


@cases(100)
@given(st.sampled_from(WORDS), st.sampled_from(CASES), st.sampled_from(["", " ", "\n", " - ", "*", '"']))
@example("İstanbul", str.upper, "")
def test_fuzz_word_that_is_said_is_read_by_every_reader(word, case, before):
    answers = dict(zip([word, "Aaa", "Bbb"], LABELS, strict=True))
    text = f"{before}{case(word)}. "
    assume(folded(case(word)) == folded(word))  # İ has no upper case that is read back
    assert [reader(text, answers) for reader in SCORERS.values()] == ["entailment"] * len(SCORERS)
