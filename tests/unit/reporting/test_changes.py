"""What a step of a ladder changes, in words."""

import re

import pytest

from nli.measure.ladders import changes, place_of
from nli.reporting.changes import COUNTED, PHRASES, SCORERS, in_words, phrase
from nli.study.methods import METHODS, VARIANTS
from nli.study.resolve import load_study


def steps(config, scale):
    """What each step of every ladder changes at a scale."""
    study = load_study({**config, "scale": scale, "rungs": "all"}).model_dump(mode="json")
    scorers = {key: (spec.get("scorers") or ["classifier"])[0] for key, spec in study["experiments"].items()}
    for ladder in study["ladders"].values():
        for rung in ladder["rungs"]:
            if rung["against"]:
                below = ladder["rungs"][place_of(ladder["rungs"], rung["against"])]
                yield changes(below, rung, study["experiments"], scorers)


@pytest.mark.parametrize("scale", ["demo", "small", "small_cpu", "paper"])
def test_every_key_that_a_ladder_of_the_study_changes_has_a_phrase(config, scale):
    found = list(steps(config, scale))
    assert {change["key"] for changed in found for change in changed} <= set(PHRASES)
    for changed in found:
        assert in_words(changed) or not changed
        for said in in_words(changed):
            outside = re.sub("“.*?”|[a-z]+_proj|output.dense|intermediate.dense", "", said)
            assert not re.search(r"[_→{}\[\]]", outside), said


def test_every_method_variant_scorer_and_way_of_counting_has_words():
    assert set(METHODS) | {"finetune", "merge"} <= set(PHRASES["method"].words)
    assert set(VARIANTS) == set(PHRASES["lora.variant"].words)
    assert {"parsed", "first_word", "first_label", "most_frequent_label", "label_logp", "calibrated_logp"} <= set(
        SCORERS
    )
    assert set(COUNTED) == {"all", "parsed"}


@pytest.mark.parametrize(
    ("key", "before", "after", "said"),
    [
        ("training.learning_rate", 3e-05, 0.01, "learning rate 0.01 instead of 3e-5"),
        ("lora.r", None, 8, "rank 8"),
        ("lora.r", 8, None, ""),
        ("generation.temperature", None, 0.0, "temperature 0 (greedy) instead of the model's own"),
        ("append_eos", False, True, "an end token closes the text"),
        ("lora.target_modules", ["q_proj", "v_proj"], ["q_proj", "v_proj", "down_proj"], "LoRA on down_proj too"),
        ("training.warmup_steps", 0, 0.06, "warm-up: 6% of the steps instead of none"),
        ("training.logging_steps", 10, 20, "training logging steps 20 instead of 10"),
        ("cloze.first", None, "x" * 50, f"the premise's text is “{'x' * 39}…”"),
    ],
)
def test_a_change_in_words(key, before, after, said):
    assert phrase(key, before, after) == said
