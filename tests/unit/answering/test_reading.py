"""The label that is read from an answer."""

import pytest

from nli.answering.reading import (
    SCORERS,
    label_mentions,
    read_first_label,
    read_most_frequent_label,
    read_prefix,
)

LABELS = {"Entailment": "entailment", "Neutral": "neutral", "Contradiction": "contradiction"}
YES_NO = {"Yes": "entailment", "Maybe": "neutral", "No": "contradiction"}


@pytest.mark.parametrize(
    ("answer", "label"),
    [
        (" entailment", "entailment"),
        ("Ent", "entailment"),
        (" contrad", "contradiction"),
        ("\nNEUTRAL.", "neutral"),
        ("neutral contradiction", "neutral"),
        ("n", None),  # one letter is not an answer
        ("entailments", None),  # another word
        ("the label", None),
        ("", None),
        ("42", None),
    ],
)
def test_beginning_of_a_label_word_is_read(answer, label):
    assert read_prefix(answer, LABELS) == label


@pytest.mark.parametrize(
    ("answer", "label"),
    [(" Yes", "entailment"), (" may", "neutral"), ("No,", "contradiction"), ("Not", None), ("It", None)],
)
def test_yes_maybe_no_are_read(answer, label):
    assert read_prefix(answer, YES_NO) == label


def test_ambiguous_beginning_is_no_answer():
    assert read_prefix("co", {"Contradiction": "contradiction", "Consistent": "entailment"}) is None


def test_first_and_most_frequent_label_differ_on_the_same_answer():
    answer = " Neutral\nEntailment Contradiction entailment"
    assert label_mentions(answer, LABELS) == ["neutral", "entailment", "contradiction", "entailment"]
    assert read_first_label(answer, LABELS) == "neutral"
    assert read_most_frequent_label(answer, LABELS) == "entailment"


def test_of_equally_frequent_labels_the_first_counts():
    assert read_most_frequent_label("Neutral Entailment", LABELS) == "neutral"
    assert read_most_frequent_label("nothing", LABELS) is None
    assert read_first_label("Entailments", LABELS) is None


def test_word_that_stands_apart_is_read_where_another_would_overlap_it():
    answers = {"not so": "neutral", "so": "entailment", "no": "contradiction"}
    assert read_first_label("cannot so: yes", answers) == "entailment"  # "not so" belongs to "cannot"


RUSSIAN = {"Да": "entailment", "Может": "neutral", "Нет": "contradiction"}
FRENCH = {"Oui": "entailment", "Ça dépend": "neutral", "Non": "contradiction"}
CHINESE = {"是": "entailment", "也许": "neutral", "否": "contradiction"}


@pytest.mark.parametrize(
    ("answer", "answers", "label"),
    [
        (" нет.", RUSSIAN, "contradiction"),
        ("НЕТ", RUSSIAN, "contradiction"),
        ("Мо", RUSSIAN, "neutral"),
        ("c\u0327a", FRENCH, "neutral"),  # a c and its cedilla apart
        (" ÇA", FRENCH, "neutral"),
        ("是", CHINESE, "entailment"),
        ("否。", CHINESE, "contradiction"),
        ("Noël", {"No": "contradiction", "Yes": "entailment"}, None),
        ("Noe\u0301", {"No": "contradiction", "Yes": "entailment"}, None),
        ("İstanbul", {"Is": "entailment", "No": "contradiction"}, None),
        ("istanbul", {"İstanbul": "entailment", "Ankara": "neutral"}, None),
        ("İSTANBUL!", {"İstanbul": "entailment", "Ankara": "neutral"}, "entailment"),
        ("हाँ", {"हाँ": "entailment", "नहीं": "contradiction"}, "entailment"),
        ("नही", {"हाँ": "entailment", "नहीं": "contradiction"}, "contradiction"),
        ("STRASSE", {"straße": "neutral", "weg": "entailment"}, "neutral"),
    ],
)
def test_first_word_is_read_in_any_script(answer, answers, label):
    assert read_prefix(answer, answers) == label


@pytest.mark.parametrize("letter", ["\u0131", "\u017f", "\u212a", "\u0130", "\ufb00", "\u1e9e"])
def test_look_alikes_of_letters_crash_no_reader(letter):
    """Dotless i, long s, the Kelvin sign, dotted I, a ligature and capital sharp s: some fold to a plain letter."""
    answers = {"ask": "entailment", "if": "neutral", "ss": "contradiction"}
    for text in (letter, f"a{letter}k", f"as{letter}", f"i{letter}", f"{letter}f"):
        for reader in SCORERS.values():
            assert reader(text, answers) in (*answers.values(), None)
    assert read_first_label("a\u017f\u212a", answers) == "entailment"  # long s and the Kelvin sign are s and k
    assert read_first_label("\u0131f", answers) is None  # dotless i is another letter


@pytest.mark.parametrize(
    ("answer", "answers", "labels"),
    [
        ("Je dirais ça dépend, non.", FRENCH, ["neutral", "contradiction"]),
        ("नहीं, हाँ", {"हाँ": "entailment", "नहीं": "contradiction"}, ["contradiction", "entailment"]),
        ("Noël no noé", {"No": "contradiction", "Yes": "entailment"}, ["contradiction"]),
    ],
)
def test_labels_are_found_as_whole_words_in_any_script(answer, answers, labels):
    assert label_mentions(answer, answers) == labels
