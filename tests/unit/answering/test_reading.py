"""The label that is read from an answer."""

import pytest

from nli.answering.reading import label_mentions, read_first_label, read_most_frequent_label, read_prefix

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
