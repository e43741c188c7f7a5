"""Texts and the reading of answers."""

import pytest

from nli.prompts import (
    evaluation_template,
    fill,
    label_mentions,
    prompt_text,
    read_first_label,
    read_most_frequent_label,
    read_prefix,
)

LABELS = {"Entailment": "entailment", "Neutral": "neutral", "Contradiction": "contradiction"}
YES_NO = {"Yes": "entailment", "Maybe": "neutral", "No": "contradiction"}


def test_braces_in_a_premise_are_left_alone():
    text = fill("{premise} -> {hypothesis}", {"premise": "{hypothesis} {x}", "hypothesis": "h"})
    assert text == "{hypothesis} {x} -> h"


def test_prompt_2_asks_in_the_reverse_direction(demo_study):
    prompt = demo_study.prompts["prompt2"].model_dump()
    assert (
        prompt_text(prompt, "P.", "H.") == "premise: P.\nhypothesis: H.\nDoes P. follow logically from the H.?. Answer:"
    )


def test_one_shot_prompt_shows_its_example_first(demo_study):
    prompt = demo_study.prompts["prompt5"].model_dump()
    text = prompt_text(prompt, "P.", "H.")
    assert text.startswith("Premise: I did not mention Monica")
    assert "\nAnswer: Maybe\n\nPremise: P.\nHypothesis: H.\n" in text
    assert text.endswith("\nAnswer:")


def test_evaluation_text_ends_before_the_label():
    assert evaluation_template("[/INST] {label}") == "[/INST]"
    assert evaluation_template("### Label: {label}") == "### Label:"


@pytest.mark.parametrize(
    ("answer", "label"),
    [
        (" entailment", "entailment"),
        ("Ent", "entailment"),
        (" contrad", "contradiction"),
        ("\nNEUTRAL.", "neutral"),
        ("neutral contradiction", "neutral"),
        ("n", None),  # one letter is no answer
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
