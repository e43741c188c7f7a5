"""The texts of prompts and trainings, filled."""

from nli.texts import evaluation_template, fill, prompt_text


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
