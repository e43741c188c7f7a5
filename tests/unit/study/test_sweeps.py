"""Sweeps: one entry of the config becomes the experiments of its curves, and what makes no sense is refused."""

import copy
import json

import pytest

from nli.base.errors import StudyError
from nli.study.resolve import load_study
from nli.study.schema import Study
from nli.study.specs import prediction_spec, training_spec
from nli.study.sweeps import points_of

RANK = {
    "title": "Rank",
    "question": "How much?",
    "key": "lora.r",
    "in_proportion": ["lora.alpha"],
    "values": [4, 8, 16],
    "experiments": ["roberta/lora"],
}


def study_with(config, name="mine", rungs="all", only=(), **changes):
    sweeps = {name: {**RANK, **changes}}
    return load_study({**copy.deepcopy(config), "sweeps": sweeps, "rungs": rungs, "only": list(only)})


def test_each_value_is_an_experiment_that_differs_from_its_own_in_nothing_else(config):
    study = study_with(config)
    base = study.experiments["roberta/lora"]
    assert study.points == {
        "roberta/lora_mine_4": ("mine", "roberta/lora"),
        "roberta/lora_mine_16": ("mine", "roberta/lora"),
    }
    point = study.experiments["roberta/lora_mine_16"]
    assert (point.lora.r, point.lora.alpha) == (16, 64)  # 8 and 32, both doubled
    assert (point.title, point.origin, point.extra) == ("LoRA: rank 16", "ours", True)
    spec = training_spec(study, "roberta/lora_mine_16")
    spec["lora"] |= {"r": base.lora.r, "alpha": base.lora.alpha}
    assert {**spec, "name": "lora"} == training_spec(study, "roberta/lora")


def test_experiment_is_the_point_at_its_own_value(config):
    curve = points_of("mine", RANK, "roberta/lora", {"lora": {"r": 8}})
    assert curve == {4: "roberta/lora_mine_4", 8: "roberta/lora", 16: "roberta/lora_mine_16"}
    pairs = {**RANK, "key": "training.examples", "values": [0.01, 0.3]}
    curve = points_of("pairs", pairs, "roberta/full", {"training": {"examples": None}})
    assert list(curve.items()) == [
        (0.01, "roberta/full_pairs_0_01"),
        (0.3, "roberta/full_pairs_0_3"),
        (1.0, "roberta/full"),
    ]


def test_a_sweep_changes_no_spec_of_the_other_experiments(config):
    with_it, without = study_with(config), load_study({**copy.deepcopy(config), "sweeps": {}, "rungs": "all"})
    for key in without.experiments:
        assert prediction_spec(with_it, key) == prediction_spec(without, key)


def test_points_are_extra_and_run_alone_under_the_name_of_their_sweep(config):
    core = study_with(config, rungs="core")
    assert (core.points, core.sweeps) == ({}, {})
    alone = study_with(config, rungs="core", only=["mine"])
    assert [e.key for e in alone.selected()] == ["roberta/lora", "roberta/lora_mine_4", "roberta/lora_mine_16"]
    assert Study.model_validate(json.loads(alone.model_dump_json())).points == alone.points
    assert set(study_with(config, rungs="core", extra=False).points) == set(alone.points)


def test_a_point_named_alone_brings_the_experiment_that_it_varies(config):
    extra = {"experiments": ["roberta/lora_rate", "roberta/lora"]}
    study = study_with(config, rungs="core", only=["roberta/lora_rate_mine_4"], **extra)
    assert {"roberta/lora_rate", "roberta/lora_rate_mine_4"} <= set(study.experiments)
    assert list(study.points) == ["roberta/lora_rate_mine_4"]
    assert [experiment.key for experiment in study.selected()] == ["roberta/lora_rate_mine_4"]


def test_seeds_of_a_sweep_are_those_of_its_points_alone(config):
    study = study_with(config, seeds=[1, 2])
    assert study.seeds_of(study.experiments["roberta/lora_mine_4"]) == [1, 2]
    assert study.seeds_of(study.experiments["roberta/lora"]) == [42]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"experiments": ["roberta/lor"]}, "sweeps.mine.experiments: unknown name 'roberta/lor'; did you mean"),
        ({"experiments": ["roberta/lora_mine_4"]}, "sweeps.mine.experiments: unknown name"),
        ({"experiments": ["roberta/full"]}, "sweeps.mine.key: 'roberta/full' has no 'lora'; leave it out"),
        (
            {"in_proportion": ["training.head"]},
            "mine.in_proportion: 'roberta/lora' has no number at lora.r and training",
        ),
        (
            {"values": [0], "log": False, "in_proportion": []},
            "sweeps.mine.values: roberta/lora.lora.r: input should be greater than 0, got 0",
        ),
        ({"values": [0, 4]}, "a logarithmic axis has no 0"),
        ({"values": [99], "in_proportion": ["lora.dropout"]}, "roberta/lora.lora.dropout: input should be less than 1"),
        ({"values": [4, 2]}, "sweeps.mine.values: takes ascending values, each once, got [4, 2]"),
        ({"key": "lora.rank", "in_proportion": []}, "sweeps.mine.values: roberta/lora.lora: unknown name 'rank'"),
        ({"split": "tune"}, "sweeps.mine.split: 'roberta/lora' does not answer 'tune'"),
        ({"valeus": [1]}, "did you mean 'values'"),
    ],
)
def test_a_sweep_that_cannot_be_is_refused_by_its_key(config, changes, message):
    with pytest.raises(StudyError) as refused:
        study_with(config, **changes)
    assert message in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_sweep_is_not_named_like_what_only_means_otherwise(config):
    with pytest.raises(StudyError, match=r"sweeps\.roberta: 'roberta' means other experiments"):
        study_with(config, name="roberta")
    experiments = {**config["experiments"], "roberta/lora_mine_4": {"extends": "roberta/lora", "origin": "ours"}}
    with pytest.raises(StudyError, match=r"'roberta/lora_mine_4', its point at 4, is another experiment's name"):
        study_with({**config, "experiments": experiments})
