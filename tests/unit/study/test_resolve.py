"""The study's configuration: how it is resolved, and what is refused."""

import copy
import json
import re
import subprocess
import sys

import jsonschema
import pytest
import yaml

from nli.base.errors import StudyError
from nli.measure.ladders import carries, changes, place_of
from nli.study.ladders import Ladder, Rung
from nli.study.reference import file_schema, reference_table
from nli.study.resolve import deep_merge, load_study
from nli.study.schema import Study
from nli.study.specs import prediction_spec, rehearsal_spec, training_spec, trains


def resolve(config, overrides=None):
    return load_study(copy.deepcopy(config), overrides)


def test_paper_scale_states_the_reported_hyperparameters(config, root):
    reported = yaml.safe_load((root / "report/reported.yaml").read_text())
    study = resolve(config, {"scale": "paper"})
    theirs = reported["families"]["roberta"]["training"]
    ours = study.experiments["roberta/full"].training
    assert ours.learning_rate == theirs["learning_rate"]
    assert (ours.batch_size, ours.eval_batch_size) == (theirs["train_batch_size"], theirs["eval_batch_size"])
    assert (ours.epochs, ours.weight_decay) == (theirs["epochs"], theirs["weight_decay"])
    attempt = reported["experiments"]["qlora/attempt1"]
    ours = study.experiments["qlora/attempt1"]
    assert ours.text == attempt["train_text"]
    assert ours.training.max_steps == attempt["training"]["max_steps"]
    assert ours.training.max_grad_norm == attempt["training"]["max_grad_norm"]
    assert ours.training.optimizer == attempt["training"]["optimizer"]
    lora = reported["families"]["qlora"]["lora"]
    assert (ours.lora.r, ours.lora.alpha, ours.lora.dropout) == (
        lora["r"],
        lora["lora_alpha"],
        lora["lora_dropout"],
    )
    assert ours.lora.target_modules == lora["target_modules"]


@pytest.mark.parametrize("number", range(1, 6))
def test_prompts_are_the_reported_ones_to_the_letter(config, root, number):
    reported = yaml.safe_load((root / "report/reported.yaml").read_text())["experiments"][f"icl/prompt{number}"]
    prompt = resolve(config, {"scale": "paper"}).prompts[f"prompt{number}"]
    assert prompt.text == reported["text"]
    assert prompt.shots == reported["shots"]
    if prompt.example:
        assert prompt.example.model_dump() == reported["example"]


def test_command_line_wins_over_the_scale_and_the_scale_over_the_body(config):
    assert resolve(config).data.source == "synthetic"  # the demo's own
    study = resolve(config, {"data": {"source": "files", "path": "somewhere"}})
    assert (study.data.source, study.data.path) == ("files", "somewhere")
    assert study.data.train_fraction == config["scales"]["demo"]["data"]["train_fraction"]
    assert resolve(config, {"scale": "paper"}).data.source == config["data"]["source"]


def test_model_of_another_name_loses_the_title_of_the_first(config):
    assert resolve(config).models.encoder.title == "RoBERTa"
    other = {"source": "path", "name": "models/bert"}
    assert resolve(config, {"models": {"encoder": other}}).models.encoder.title is None
    named = resolve(config, {"models": {"encoder": {**other, "title": "BERT"}}})
    assert (named.models.encoder.title, named.models.decoder.title) == ("BERT", "Llama")
    assert (named.models.encoder.licence, named.models.encoder.gb) == (None, None)
    scales = {**config["scales"], "mine": {"models": {"encoder": other}}}
    assert resolve({**config, "scales": scales}, {"scale": "mine"}).models.encoder.title is None


def test_extends_takes_everything_but_title_and_origin(config):
    study = resolve(config)
    parent, child = study.experiments["qlora/attempt1"], study.experiments["qlora/attempt1_label_loss"]
    assert child.text == parent.text
    assert child.training == parent.training
    assert (child.loss_on, parent.loss_on) == ("label", "all")
    assert (child.origin, parent.origin) == ("repaired", "reported")


@pytest.mark.parametrize(
    ("key", "values", "choices"),
    [
        ("icl/mine", {"title": "Mine", "prompt": "prompt1"}, "reported | described | repaired | ours"),
        ("qlora/child", {"title": "Child", "extends": "qlora/attempt1"}, "reported | described | repaired | ours"),
        (
            "qlora/merged",
            {"title": "M", "method": "merge", "adapter": "qlora/attempt1", "merge_into": "4bit"},
            "reported | described | repaired | ours",
        ),
        ("baseline/mine", {"title": "Mine", "method": "majority"}, "baseline"),
    ],
)
def test_experiment_that_does_not_say_whose_it_is_is_refused(config, key, values, choices):
    """It is not inherited: a variant of a reported experiment is not itself reported."""
    with pytest.raises(StudyError) as error:
        resolve(config, {"experiments": {key: values}})
    message = f"config.yaml: experiments.{key}: needs the key 'origin', whose experiment it is: {choices}"
    assert str(error.value) == message
    own = choices.split(" | ")[-1]
    assert resolve(config, {"experiments": {key: {**values, "origin": own}}}).experiments[key].origin == own


def test_every_experiment_without_an_origin_is_named(config):
    changed = copy.deepcopy(config)
    for key in ("roberta/lora", "roberta/lora_rate"):
        del changed["experiments"][key]["origin"]
    with pytest.raises(StudyError) as error:
        resolve(changed)
    assert [line.split(":")[1] for line in str(error.value).splitlines()] == [
        " experiments.roberta/lora",
        " experiments.roberta/lora_rate",
    ]


def test_whose_the_experiments_are(config):
    """Experiments with figures in reported.yaml are reported; worked examples and the cloze are not in it."""
    study = resolve(config, {"rungs": "all"})
    origins = {key: experiment.origin for key, experiment in study.experiments.items()}
    assert {key for key, origin in origins.items() if origin == "reported"} == {
        *(f"roberta/{name}" for name in ("full", "lora", "prompt_tuning")),
        *(f"icl/prompt{number}" for number in range(1, 6)),
        *(f"qlora/attempt{number}" for number in range(1, 4)),
        "linear_head/first_token",
    }
    assert {origins[key] for key in origins if key.startswith("icl/shot")} == {"ours"}
    assert (origins["roberta/cloze"], origins["roberta/prompt_tuning_repaired"]) == ("ours", "repaired")
    assert {e.key for e in resolve(config, {"rungs": "all", "only": ["ours"]}).selected()} == {
        key for key, origin in origins.items() if origin == "ours"
    }


def test_a_difference_of_the_parent_at_a_scale_reaches_its_children(config):
    study = resolve(config, {"experiments": {"qlora/attempt2": {"training": {"max_steps": 7}}}})
    assert study.experiments["qlora/attempt3"].training.max_steps == 7


def test_deep_merge_leaves_its_inputs_alone():
    base, overlay = {"a": {"b": 1, "c": 2}}, {"a": {"b": 3}}
    assert deep_merge(base, overlay) == {"a": {"b": 3, "c": 2}}
    assert (base, overlay) == ({"a": {"b": 1, "c": 2}}, {"a": {"b": 3}})


def test_command_line_values_that_arrive_as_text_are_typed(config):
    study = resolve(
        config,
        {
            "seeds": ["1", "2"],
            "data": {"train_fraction": "0.5", "train_examples": "null"},
            "families": {"qlora": {"append_eos": "true"}},
            "prompts": {"prompt5": {"example": {"answer": "No"}}},
        },
    )
    assert study.seeds == [1, 2]
    assert (study.data.train_fraction, study.data.train_examples) == (0.5, None)
    assert study.experiments["qlora/attempt2"].append_eos is True
    assert study.prompts["prompt5"].example.answer == "No"


def seeds_by_family(study):
    return {key.split("/")[0]: study.seeds_of(experiment) for key, experiment in study.experiments.items()}


def test_encoders_have_three_seeds_at_the_paper_scale_and_the_studys_in_the_demo(config):
    once = {family: [42] for family in ("baseline", "roberta", "icl", "qlora", "linear_head")}
    assert seeds_by_family(resolve(config, {"scale": "paper"})) == {**once, "roberta": [42, 43, 44]}
    assert seeds_by_family(resolve(config, {"scale": "demo"})) == once


def test_seeds_are_inherited_like_other_keys(config):
    changes = {"experiments": {"qlora/attempt2": {"seeds": [7, 8]}, "roberta/lora": {"seeds": None}}}
    study = resolve(config, {"scale": "paper", "rungs": "all", **changes})
    seeds = {key: study.seeds_of(experiment) for key, experiment in study.experiments.items()}
    assert seeds["qlora/attempt2_merged"] == seeds["qlora/attempt3"] == seeds["qlora/attempt2"] == [7, 8]
    assert seeds["qlora/attempt1"] == [42]
    assert (seeds["roberta/lora"], seeds["roberta/lora_rank"], seeds["roberta/full"]) == ([42], [42], [42, 43, 44])


def test_seeds_of_the_command_line_are_those_of_every_experiment(config):
    study = resolve(config, {"scale": "paper", "seeds": ["1", "2"]})
    assert set(map(tuple, seeds_by_family(study).values())) == {(1, 2)}
    both = resolve(config, {"scale": "paper", "seeds": [1], "families": {"roberta": {"seeds": [2, 3]}}})
    assert seeds_by_family(both)["roberta"] == [2, 3]
    assert seeds_by_family(both)["qlora"] == [1]
    merged_already = {**copy.deepcopy(config), "scale": "paper", "seeds": [1]}  # as Snakemake passes it
    assert seeds_by_family(resolve(merged_already, {"scale": "paper", "seeds": [1]}))["roberta"] == [1]


def test_changed_list_of_seeds_changes_no_spec(config):
    changes = {"families": {"roberta": {"seeds": [1, 2]}}}
    before, after = resolve(config, {"scale": "paper"}), resolve(config, {"scale": "paper", **changes})
    assert after.experiments["roberta/lora"].seeds == [1, 2]
    for spec in (training_spec, prediction_spec, rehearsal_spec):
        assert spec(before, "roberta/lora") == spec(after, "roberta/lora")


def test_number_without_a_dot_is_a_number(config):
    study = resolve(config, {"experiments": {"roberta/lora": {"training": {"learning_rate": "3e-4"}}}})
    assert study.experiments["roberta/lora"].training.learning_rate == pytest.approx(3e-4)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"dta": 1}, "unknown name 'dta'; did you mean 'data'?"),
        ({"scale": "papr"}, "scale: unknown name 'papr'; did you mean 'paper'?"),
        ({"data": {"sorce": "hub"}}, "data: unknown name 'sorce'; did you mean 'source'?"),
        ({"data": {"source": "files"}}, "data: source 'files' needs the key 'path'"),
        (
            {"data": {"train_fraction": 1.5}},
            "data.train_fraction: input should be less than or equal to 1, got 1.5",
        ),
        ({"results": "my results"}, "results: takes a folder without spaces, quotes or shell characters, got ' ' in"),
        ({"results": "a\tb"}, "results: takes a path of this machine"),
        ({"results": "$HOME/a"}, "results: takes a folder without spaces, quotes or shell characters, got '$' in"),
        ({"results": "{name}"}, "results: takes a path of this machine, without braces"),
        ({"results": ""}, "results: takes a path, got an empty one"),
        ({"cache": ""}, "cache: string should have at least 1 character, got ''"),
        ({"seeds": [1, 2, 1]}, "seeds: each seed once, got [1, 2, 1]"),
        ({"seeds": []}, "seeds: "),
        (
            {"experiments": {"roberta/full": {"seeds": [3, 3]}}},
            "experiments.roberta/full.seeds: each seed once, got [3, 3]",
        ),
        ({"experiments": {"icl/prompt1": {"seeds": []}}}, "experiments.icl/prompt1.seeds: list should have at least 1"),
        (
            {"experiments": {"qlora/attempt2_merged": {"seeds": [42, 5, 6]}}},
            "experiments.qlora/attempt2_merged.seeds: 5, 6: no adapter is trained with it; "
            "use seeds of qlora/attempt2: 42",
        ),
        ({"only": ["robert"]}, "only: unknown name 'robert'; did you mean 'roberta'?"),
        (
            {"experiments": {"roberta/lora": {"training": {"learning_rate": -1}}}},
            "experiments.roberta/lora.training.learning_rate: input should be greater than 0, got -1",
        ),
        (
            {"experiments": {"roberta/lora": {"lora": {"rank": 3}}}},
            "experiments.roberta/lora.lora: unknown name 'rank'",
        ),
        (
            {"experiments": {"roberta/lora": {"training": {"max_steps": 3}}}},
            "experiments.roberta/lora.training: set either 'epochs' or 'max_steps'",
        ),
        (
            {"experiments": {"roberta/new": {"title": "New", "origin": "ours", "method": "lora"}}},
            "experiments.roberta/new: 'lora' belongs to method 'lora' and to no other",
        ),
        (
            {"experiments": {"bert/new": {"title": "New"}}},
            "experiments.bert/new: takes a name 'family/name'",
        ),
        (
            {"experiments": {"icl/prompt1": {"prompt": "prompt9"}}},
            "experiments.icl/prompt1.prompt: unknown name 'prompt9'; did you mean",
        ),
        (
            {"experiments": {"qlora/attempt1": {"extends": "qlora/attempt1_label_loss"}}},
            "'extends' is circular",
        ),
        (
            {"experiments": {"qlora/new": {"title": "New", "extends": "roberta/full"}}},
            "experiments.qlora/new: 'roberta/full' is in another family",
        ),
        ({"experiments": {"roberta/lora": 3}}, "experiments.roberta/lora: takes a section"),
        (
            {"prompts": {"prompt1": {"text": "premise only: {premise}"}}},
            "prompts.prompt1: 'text' must contain {hypothesis}",
        ),
    ],
)
def test_bad_input_is_one_line_that_names_its_key(config, overrides, message):
    with pytest.raises(StudyError) as caught:
        resolve(config, overrides)
    assert message in str(caught.value)
    assert str(caught.value).startswith("config.yaml: ")
    assert len(str(caught.value).splitlines()) == 1


def test_home_folder_is_meant_alike_by_every_path_of_the_study(config, monkeypatch):
    monkeypatch.setenv("HOME", "/home/ada")
    model = {"source": "path", "name": "~/model"}
    study = resolve(
        config,
        {
            "results": "~/results",
            "cache": "~/my cache",  # is always quoted in commands
            "data": {"source": "files", "path": "~/data"},
            "models": {"encoder": model, "decoder": {"source": "hub", "name": "owner/model", "revision": "ab" * 20}},
        },
    )
    assert (study.results, study.cache) == ("/home/ada/results", "/home/ada/my cache")
    assert study.data.path == "/home/ada/data"
    assert study.models.encoder.name == "/home/ada/model"
    assert study.models.decoder.name == "owner/model"
    assert Study.model_validate(study.model_dump(mode="json")) == study


def test_training_spec_ignores_how_the_run_is_evaluated(config):
    before = resolve(config)
    after = resolve(config, {"families": {"qlora": {"evaluation": {"examples": 7}}}})
    assert training_spec(before, "qlora/attempt2") == training_spec(after, "qlora/attempt2")
    assert prediction_spec(before, "qlora/attempt2") != prediction_spec(after, "qlora/attempt2")


def test_a_changed_hyperparameter_changes_its_own_spec_only(config):
    before = resolve(config, {"rungs": "all"})
    after = resolve(config, {"rungs": "all", "experiments": {"roberta/lora_rank": {"lora": {"r": 4}}}})
    changed = [k for k in before.experiments if training_spec(before, k) != training_spec(after, k)]
    assert changed == ["roberta/lora_rank"]


def test_prediction_spec_holds_the_prompt_itself(config):
    spec = prediction_spec(resolve(config), "icl/prompt2")
    assert spec["prompt"]["text"].startswith("premise: {premise}")


def test_loading_the_configuration_imports_nothing_heavy(root):
    code = (
        "import sys; sys.path.insert(0, 'scripts'); import nli.study.resolve;"
        "print([m for m in ('torch', 'transformers', 'datasets', 'pandas') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_schema_and_reference_are_those_of_the_code(root):
    assert json.loads((root / "config.schema.json").read_text()) == json.loads(json.dumps(file_schema()))
    assert (root / "docs/configuration.md").read_text() == reference_table()


def test_schema_accepts_the_file_and_refuses_a_typo(config):
    schema = file_schema()
    jsonschema.validate(config, schema)
    broken = copy.deepcopy(config)
    broken["families"]["roberta"]["training"]["learning_rte"] = 1
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(broken, schema)


def test_only_selects_by_origin_too(config):
    study = resolve(config, {"only": ["reported", "baseline"]})
    selected = {experiment.key for experiment in study.selected()}
    assert {experiment.origin for experiment in study.selected()} == {"reported", "baseline"}
    assert {"roberta/prompt_tuning", "baseline/majority"} <= selected
    assert "roberta/prompt_rate" not in selected


def test_core_leaves_the_rungs_out_of_study_and_ladders(config):
    core, whole = resolve(config), resolve(config, {"rungs": "all"})
    rungs = {key for key, experiment in whole.experiments.items() if experiment.extra}
    assert rungs
    assert core.experiments.keys() == whole.experiments.keys() - rungs
    for name, ladder in core.ladders.items():
        known = {rung.experiment for rung in whole.ladders[name].rungs}
        assert {rung.experiment for rung in ladder.rungs} == known - rungs
        assert all(rung.against is None or ladder.below(i) < i for i, rung in enumerate(ladder.rungs))


@pytest.mark.parametrize(
    ("name", "experiment", "against", "claim"),
    [
        ("prompt_tuning", "roberta/prompt_tuning_repaired", "roberta/prompt_tuning", "Together, these changes raise"),
        ("attempts_2_and_3", "qlora/attempt2_label_loss", "qlora/attempt2_greedy", "Together, these changes raise"),
        ("attempt1", "qlora/attempt1_rate", "qlora/attempt1_label_loss", "Together, these changes raise"),
        ("lora", "roberta/head_only", "roberta/lora", "At the same learning rate, the head alone learns less"),
        ("linear_head", "linear_head/last_token", "linear_head/first_token", "The last token has seen the whole pair"),
    ],
)
def test_step_over_left_out_rungs_is_compared_with_what_they_were(config, name, experiment, against, claim):
    rungs = resolve(config).ladders[name].rungs
    rung = next(rung for rung in rungs if rung.experiment == experiment)
    assert rung.against.experiment == against
    assert rung.claim.startswith(claim)


def rungs_of(*stated):
    return Ladder(title="T", question="Q", rungs=[Rung(claim="c", **rung) for rung in stated])


def test_a_left_out_step_passes_on_the_very_rung_that_it_was_compared_with():
    first = {"experiment": "a", "scorer": "first_label", "counted": "all"}
    ladder = rungs_of(
        {"experiment": "a", "scorer": "first_label"},
        {"experiment": "b", "against": "a", "expects": "higher"},
        {"experiment": "a", "scorer": "most_frequent_label", "expects": "at_chance"},
        {"experiment": "c", "against": "b", "expects": "higher"},
    )
    kept = ladder.without({"b"}).rungs
    assert [rung.against and rung.against.model_dump() for rung in kept] == [None, None, first]
    assert kept[2].claim == "Together, these changes raise the accuracy."
    whole = ladder.without(set()).rungs
    assert [rung.against and rung.against.experiment for rung in whole] == [None, "a", None, "b"]
    assert [rung.claim for rung in whole] == ["c"] * 4


def test_a_name_means_the_rung_that_is_judged_alike():
    ladder = rungs_of(
        {"experiment": "a", "scorer": "label_logp"},
        {"experiment": "a", "scorer": "parsed", "expects": "at_chance"},
        {"experiment": "b", "scorer": "label_logp", "against": "a", "expects": "higher"},
        {
            "experiment": "c",
            "scorer": "label_logp",
            "against": {"experiment": "a", "scorer": "parsed"},
            "expects": "lower",
        },
    )
    assert [ladder.below(i) for i in range(4)] == [None, None, 0, 1]


def test_a_name_that_could_mean_two_rungs_is_refused():
    with pytest.raises(ValueError, match=r"rungs\.2\.against: 'a' is in several earlier rungs"):
        rungs_of(
            {"experiment": "a", "scorer": "label_logp"},
            {"experiment": "a", "scorer": "parsed", "expects": "at_chance"},
            {"experiment": "b", "against": "a", "expects": "higher"},
        )


def test_a_claim_of_a_difference_names_what_it_is_compared_with():
    with pytest.raises(ValueError, match=r"rungs\.1: needs the key 'against'"):
        rungs_of({"experiment": "a"}, {"experiment": "b", "expects": "higher"})


def test_the_same_answers_can_carry_two_claims_and_a_repeated_comparison_goes():
    ladder = rungs_of(
        {"experiment": "a"},
        {"experiment": "c", "against": "a", "expects": "higher"},
        {"experiment": "b", "against": "a", "expects": "lower"},
        {"experiment": "c", "against": "b", "expects": "lower"},
        {"experiment": "d", "against": "c", "expects": "higher"},
    )
    assert [ladder.below(i) for i in range(5)] == [None, 0, 0, 2, 1]
    shorter = ladder.without({"b"}).rungs  # c against b would repeat c against a
    assert [(rung.experiment, rung.against and rung.against.experiment) for rung in shorter] == [
        ("a", None),
        ("c", "a"),
        ("d", "c"),
    ]


def test_a_claim_with_nothing_left_to_compare_with_goes_too():
    ladder = rungs_of(
        {"experiment": "a"},
        {"experiment": "b", "expects": "at_chance"},
        {"experiment": "c", "against": "a", "expects": "higher"},
        {"experiment": "d", "against": "a", "expects": "one_class"},
    )
    kept = ladder.without({"a"}).rungs
    assert [(rung.experiment, rung.against) for rung in kept] == [("b", None), ("d", None)]


def test_an_inserted_rung_leaves_what_later_claims_are_tested_against(config):
    stated = config["ladders"]["lora"]["rungs"]
    new = {"experiment": "roberta/lora_rank", "against": "roberta/lora", "expects": "higher", "claim": "c"}
    others = [rung for rung in stated if rung["experiment"] != "roberta/lora_rank"]
    longer = {**config, "ladders": {"lora": {**config["ladders"]["lora"], "rungs": [*others[:2], new, *others[2:]]}}}

    def compared(study):
        rungs = study.ladders["lora"].rungs
        return {rung.experiment: rung.against and rung.against.experiment for rung in rungs}

    before, after = compared(resolve(config, {"rungs": "all"})), compared(resolve(longer, {"rungs": "all"}))
    assert {key: after[key] for key in after if key != "roberta/lora_rank"} == {
        key: before[key] for key in before if key != "roberta/lora_rank"
    }


@pytest.mark.parametrize("scale", ["demo", "paper"])
def test_every_claim_of_the_whole_ladders_can_be_carried_by_its_comparison(config, scale):
    study = resolve(config, {"rungs": "all", "scale": scale}).model_dump(mode="json")
    experiments = study["experiments"]
    scorers = {key: (spec.get("scorers") or ["classifier"])[0] for key, spec in experiments.items()}
    for name, ladder in study["ladders"].items():
        rungs = ladder["rungs"]
        for rung in rungs:
            if rung["against"]:
                changed = changes(rungs[place_of(rungs, rung["against"])], rung, experiments, scorers)
                assert carries(rung, changed), (name, rung["experiment"], changed)
                assert changed, (name, rung["experiment"])


def test_every_step_of_attempt_1_changes_one_thing(config):
    study = resolve(config, {"rungs": "all"})
    experiments = study.model_dump(mode="json")["experiments"]
    rungs = [rung.model_dump() for rung in study.ladders["attempt1"].rungs]
    scorers = {key: (spec.get("scorers") or ["classifier"])[0] for key, spec in experiments.items()}
    steps = [
        changes(rungs[place_of(rungs, rung["against"])], rung, experiments, scorers)
        for rung in rungs
        if rung["against"]
    ]
    assert len(steps) == len(rungs) - 1
    assert [len(step) for step in steps] == [1] * len(steps)


def test_rung_that_is_asked_for_by_name_runs(config):
    study = resolve(config, {"only": ["roberta/lora_rate"]})
    assert [experiment.key for experiment in study.selected()] == ["roberta/lora_rate"]


def test_mark_of_a_rung_does_not_change_what_trains(config):
    marked = resolve(config, {"rungs": "all"})
    plain = resolve(config, {"rungs": "all", "experiments": {"roberta/lora_rate": {"extra": False}}})
    key = "roberta/lora_rate"
    assert training_spec(marked, key) == training_spec(plain, key)
    assert prediction_spec(marked, key) == prediction_spec(plain, key)


CHAINS = [  # (experiment, compared with, the one key that differs)
    ("attempt2_as_trained", "attempt2", "evaluation_text"),
    ("attempt2_greedy", "attempt2_as_trained", "generation.temperature"),
    ("attempt2_whole", "attempt2_greedy", "tokenization.max_length"),
    ("attempt2_label_loss", "attempt2_whole", "loss_on"),
    ("attempt2_rate", "attempt2_label_loss", "training.learning_rate"),
    ("attempt2_length", "attempt2_greedy", "tokenization.max_length"),
    ("attempt2_faster", "attempt2_length", "training.learning_rate"),
    ("attempt3_greedy", "attempt2_faster", "training.batch_size"),
    ("attempt3_as_trained", "attempt3", "evaluation_text"),
    ("attempt3_greedy", "attempt3_as_trained", "generation.temperature"),
]


@pytest.mark.parametrize("scale", ["demo", "paper"])
@pytest.mark.parametrize(("key", "before", "changed"), CHAINS)
def test_attempts_2_and_3_are_taken_apart_one_change_at_a_time(config, scale, key, before, changed):
    study = resolve(config, {"rungs": "all", "scale": scale})
    experiments = study.model_dump(mode="json")["experiments"]
    rungs = [{"experiment": f"qlora/{name}", "scorer": "first_word"} for name in (before, key)]
    found = {step["key"] for step in changes(*rungs, experiments, {})}
    # whose adapter it is, and the sample pair, do not affect the answers
    assert {name for name in found if name != "method" and not name.startswith("sample")} == {changed}


def test_padding_loss_changes_the_loss_and_what_that_needs(config):
    study = resolve(config, {"rungs": "all", "scale": "paper"})
    experiments = study.model_dump(mode="json")["experiments"]
    rungs = [
        {"experiment": f"qlora/{name}", "scorer": "first_word"} for name in ("attempt3_greedy", "attempt3_padding_loss")
    ]
    found = {step["key"] for step in changes(*rungs, experiments, {})}
    assert found == {"loss_on", "mask_end_token", "tokenization.padding"}


@pytest.mark.parametrize("scale", ["demo", "paper"])
def test_what_takes_anothers_adapter_trains_none(config, scale):
    study = resolve(config, {"rungs": "all", "scale": scale})
    borrowing = {key: e for key, e in study.experiments.items() if getattr(e, "adapter", None)}
    assert {e.method for e in borrowing.values()} == {"answer", "merge"}
    assert not any(trains(e) for e in borrowing.values())
    assert all(trains(study.experiments[e.adapter]) for e in borrowing.values())


def test_adapter_that_a_kept_experiment_needs_is_kept_with_it(config):
    answering = {"title": "T", "origin": "repaired", "method": "answer", "adapter": "qlora/attempt2_faster"}
    study = resolve(config, {"rungs": "core", "experiments": {"qlora/asked": answering}})
    assert {"qlora/asked", "qlora/attempt2_faster"} <= study.experiments.keys()
    assert "qlora/attempt2_length" not in study.experiments  # `extends` alone needs no training


@pytest.mark.parametrize(
    ("changes_", "message"),
    [
        (
            {"method": "answer", "adapter": "qlora/attempt2_merged", "merge_into": None},
            "trains no adapter; name one that does",
        ),
        ({"method": "answer"}, "'adapter' belongs to methods 'merge' and 'answer'"),
        ({"adapter": "qlora/attempt1"}, "'adapter' belongs to methods 'merge' and 'answer'"),
        (
            {"extends": "qlora/attempt1", "loss_on": "padded"},
            "loss_on 'padded' needs tokenization.padding 'max_length'",
        ),
        ({"extends": "qlora/attempt2", "evaluation_text": "{premise}"}, "'evaluation_text' must contain {hypothesis}"),
        (
            {"extends": "qlora/attempt2", "generation": {"top_p": 0.0}},
            "generation.top_p: input should be greater than 0",
        ),
    ],
)
def test_answering_that_cannot_be_is_refused(config, changes_, message):
    base = {"title": "T", "origin": "repaired", **({"extends": "qlora/attempt2"} if "extends" not in changes_ else {})}
    if "adapter" in changes_ and changes_.get("method"):
        base.pop("extends")
    with pytest.raises(StudyError, match=re.escape(message)):
        resolve(config, {"experiments": {"qlora/own": {**base, **changes_}}})


def test_a_scale_is_an_entry_of_the_table(config):
    mine = dict(config["scales"])
    mine["mine"] = {"machine": {"threads": 2}, "notice": {"title": "A trial.", "detail": "Two threads."}}
    study = resolve({**config, "scales": mine}, {"scale": "mine"})
    assert (study.scale, study.machine.threads, study.notice.title) == ("mine", 2, "A trial.")
    assert study.machine.jobs["gpu_small"].gpu == 1  # the body's
    assert resolve(config, {"scale": "paper"}).notice is None
    assert not resolve(config, {"scale": "demo"}).machine.has_gpu


def test_a_scale_extends_another_and_states_its_differences(config):
    small, cpu = (resolve(config, {"scale": scale}) for scale in ("small", "small_cpu"))
    assert small.models.encoder.name == cpu.models.encoder.name == "distilbert/distilroberta-base"
    assert (small.data.train_examples, cpu.data.train_examples) == (None, 8000)
    assert (small.machine.has_gpu, cpu.machine.has_gpu) == (True, False)
    assert small.seeds_of(small.experiments["roberta/lora"]) == [42, 43, 44]
    assert cpu.seeds_of(cpu.experiments["roberta/lora"]) == [42]
    body = resolve(config, {"scale": "paper"})
    assert small.experiments["qlora/attempt1"].training == body.experiments["qlora/attempt1"].training


@pytest.mark.parametrize(
    ("scales", "message"),
    [
        ({"a": {"extends": "b"}, "b": {"extends": "a"}}, "scales.a: 'extends' goes in a circle: a -> b -> a"),
        ({"a": {"extends": "smal"}}, "scales.a.extends: unknown name 'smal'; did you mean 'small'?"),
    ],
)
def test_a_scale_that_extends_nothing_real_is_refused(config, scales, message):
    with pytest.raises(StudyError, match=re.escape(message)):
        resolve({**config, "scales": {**config["scales"], **scales}}, {"scale": "a"})


def test_feed_forward_modules_of_ia3_are_among_its_targets(config):
    own = {"extends": "roberta/ia3", "title": "Own", "origin": "ours", "ia3": {"target_modules": ["query", "value"]}}
    with pytest.raises(StudyError, match=r"'output\.dense' is not among target_modules \(query, value\)"):
        resolve(config, {"rungs": "all", "experiments": {"roberta/own": own}})
    own["ia3"]["feedforward_modules"] = []
    assert (
        resolve(config, {"experiments": {"roberta/own": own}}).experiments["roberta/own"].ia3.feedforward_modules == []
    )


def test_a_training_knows_the_sample_that_its_epochs_are_evaluated_on(config):
    whole = resolve(config)
    sampled = resolve(config, {"families": {"roberta": {"evaluation": {"examples": 50}}}})
    assert "validation_examples" not in training_spec(whole, "roberta/lora")
    assert training_spec(sampled, "roberta/lora")["validation_examples"] == 50
    assert training_spec(sampled, "qlora/attempt1") == training_spec(whole, "qlora/attempt1")


def test_speed_reruns_the_jobs_that_it_changes_and_no_others(config):
    fast, plain = resolve(config), resolve(config, {"speed": "plain"})
    changed = {
        job: {key.split("/")[0] for key in fast.experiments if of(fast, key) != of(plain, key)}
        for job, of in (("train", training_spec), ("predict", prediction_spec))
    }
    assert changed == {"train": {"roberta", "qlora"}, "predict": {"icl", "qlora"}}
    with pytest.raises(StudyError, match=r"speed: input should be 'plain' or 'fast'"):
        resolve(config, {"speed": "faster"})


def test_a_scale_with_a_gpu_states_the_memory_that_it_takes(config):
    with pytest.raises(StudyError, match="machine: gpu_memory: jobs request a GPU"):
        resolve(config, {"scale": "paper", "machine": {"gpu_memory": None}})


def test_an_experiment_is_compared_with_one_that_exists_and_passes_that_on_to_none(config):
    with pytest.raises(StudyError, match=r"experiments\.roberta/lora\.compared_with: unknown name 'roberta/ful'"):
        resolve(config, {"experiments": {"roberta/lora": {"compared_with": "roberta/ful"}}})
    study = resolve(config, {"rungs": "all"})
    assert study.experiments["roberta/lora"].compared_with == "roberta/full"
    assert study.experiments["roberta/lora_rate"].compared_with is None


def test_what_an_experiment_is_called_and_whether_it_runs_decides_no_number(config):
    def specs(**changes):
        own = {**config["experiments"], "roberta/lora": {**config["experiments"]["roberta/lora"], **changes}}
        study = load_study({**config, "experiments": own, "only": ["roberta/lora"]})
        return training_spec(study, "roberta/lora"), prediction_spec(study, "roberta/lora")

    assert specs(title="T", origin="ours", extra=True, skip=True, compared_with=None) == specs()
    assert specs(lora={"r": 4, "alpha": 32, "dropout": 0.1}) != specs()


def test_a_skipped_experiment_runs_only_by_name_and_takes_its_steps_along(config):
    own = {**config["experiments"], "icl/shots8": {**config["experiments"]["icl/shots8"], "skip": True}}
    skipped = load_study({**config, "experiments": own, "rungs": "all"})
    assert "icl/shots8" not in skipped.experiments
    assert not any(rung.experiment == "icl/shots8" for rung in skipped.ladders["prompts"].rungs)
    assert "icl/shots8" not in skipped.best["prompting"].candidates
    assert "icl/shots8" in load_study({**config, "experiments": own, "only": ["icl/shots8"]}).experiments


def test_a_sweep_does_not_bring_a_skipped_experiment_back(config):
    key = "qlora/attempt1_rate"
    own = {**config["experiments"], key: {**config["experiments"][key], "skip": True}}
    swept = load_study({**config, "experiments": own, "rungs": "all"})
    assert not {key, f"{key}_rank_1"} & swept.experiments.keys()
    assert swept.sweeps["rank"].experiments == ["roberta/lora_rate"]
