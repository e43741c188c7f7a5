"""The rehearsal measures every family at its configured size, and its predictions are simple arithmetic."""

import os
import runpy
import sys
from contextlib import nullcontext
from types import SimpleNamespace

import pytest
import torch
from conftest import ROOT
from peft import PeftModel
from unit.specs import CLOZE, HEAD, QLORA_SPEC, QUANTIZATION, TRAINING, encoder_spec

from nli.answering import label_scoring
from nli.answering.label_scoring import CONTENT_FREE
from nli.base.atomic import write_json
from nli.base.errors import StudyError
from nli.base.files import read_json
from nli.base.labels import LABELS
from nli.forecast import rehearsal
from nli.forecast.costs import predict_costs, rehearsal_table, split_rows
from nli.forecast.rehearsal import (
    HYPOTHESIS_LENGTHS,
    PREMISE_LENGTHS,
    rehearse_where_it_fits,
    typical_pairs,
    word_tokenizer,
)
from nli.forecast.schedule import jobs_of_rehearsal, makespan
from nli.jobs.families import FAMILIES
from nli.machine.power import PowerMeter
from nli.models import merging
from nli.models.next_token import next_token_logits
from nli.models.weightless import random_encoder, read_architecture, skeleton_encoder
from nli.reporting.markup import MISSING
from nli.study.resolve import load_study
from nli.study.specs import rehearsal_spec

CPU = torch.device("cpu")
STEPS = {"measured": 2, "warmup": 1, "answering_batches": 2, "on_cpu": True}
SMALL = {"batch_size": 2, "gradient_accumulation": 2, "eval_batch_size": 4, "max_steps": 1000, "epochs": None}
EVALUATION = {"splits": ["matched"], "batch_size": 3, "examples": None}
GENERATION = {"temperature": 0.0, "max_new_tokens": 2}
ANSWERS = {"Yes": "entailment", "Maybe": "neutral", "No": "contradiction"}
ATTEMPT_ROWS = 2000  # pairs that a QLoRA run answers at the paper scale
PROMPT = {"text": "{premise} {hypothesis} Answer:", "example": None, "answers": ANSWERS}


def spec_of(family):
    own = {
        "roberta": {**encoder_spec("lora"), "tokenization": {"max_length": 24, "padding": "max_length"}},
        "icl": {
            "prompt": PROMPT,
            "generation": GENERATION,
            "scorers": ["parsed", "label_logp"],
            "order": 0,
            "prepared": True,
        },
        "qlora": {**QLORA_SPEC, "generation": GENERATION, "scorers": ["first_label"]},
        "linear_head": HEAD,
    }[family]
    own = {**own, "family": family, "quantization": QUANTIZATION}
    train = None if family == "icl" else {**own, "training": {**own.get("training", TRAINING), **SMALL}}
    return {"train": train, "predict": {**own, "evaluation": EVALUATION}, "steps": STEPS}


def merge_spec(into):
    spec = spec_of("qlora")
    quantization = {**QUANTIZATION, "compute_dtype": "bfloat16"}
    merge = {"method": "merge", "merge_into": into, "quantization": quantization}
    return {**spec, "train": None, "predict": {**spec["predict"], **merge}}


@pytest.mark.parametrize("family", ["roberta", "icl", "qlora", "linear_head"])
def test_every_family_is_measured(encoder_folder, decoder_folder, family):
    config = read_architecture(encoder_folder if family == "roberta" else decoder_folder)
    result = rehearse_where_it_fits(spec_of(family), config, CPU, seed=0)
    assert result["status"] == "measured"
    assert result["answering"]["examples_per_second"] > 0
    assert result["answering"]["peak_memory_gib"]["process"] > 0
    assert (result["training"] is None) == (family == "icl")
    if result["training"]:
        assert result["training"]["seconds_per_step"] > 0


@pytest.mark.parametrize(("family", "spellings"), [("icl", 2), ("qlora", 1)])
def test_every_spelling_of_a_rehearsed_label_word_takes_a_pass(decoder_folder, monkeypatch, family, spellings):
    """As for Llama, *Entailment* and *entailment* have several tokens each and begin with different ones."""
    passes = []

    def counted(model, texts, *arguments):
        passes.append(len(texts))
        return next_token_logits(model, texts, *arguments)

    monkeypatch.setattr(label_scoring, "next_token_logits", counted)
    spec = {**spec_of(family)["predict"], "scorers": ["label_logp"]}
    tokenizer = word_tokenizer("decoder")
    model = rehearsal.base_model(FAMILIES[family], spec, read_architecture(decoder_folder), CPU)
    model.config.pad_token_id = tokenizer.pad_token_id
    rehearsal.rehearse_answering(FAMILIES[family], model, tokenizer, spec, typical_pairs(5, seed=0), seed=0)
    assert passes == [(5 + len(CONTENT_FREE)) * len(LABELS) * spellings]


@pytest.mark.parametrize("trained", [True, False])
def test_cloze_is_measured_trained_and_zero_shot(encoder_folder, trained):
    spec = spec_of("roberta")
    cloze = {"method": "cloze", "cloze": {**CLOZE, "trained": trained}}
    train = {**spec["train"], **cloze} if trained else None
    spec = {**spec, "train": train, "predict": {**spec["predict"], **cloze}}
    result = rehearse_where_it_fits(spec, read_architecture(encoder_folder), CPU, seed=0)
    assert (result["status"], result["training"] is not None) == ("measured", trained)


def test_only_the_steps_after_the_warm_up_are_measured(encoder_folder):
    spec = spec_of("roberta")["train"]
    model = random_encoder(read_architecture(encoder_folder), "float32", CPU)
    steps = {**STEPS, "measured": 3, "warmup": 2}
    _, measured = rehearsal.rehearse_training(FAMILIES["roberta"], model, word_tokenizer("encoder"), spec, steps, 0)
    assert len(measured.seconds) == 3


def test_what_does_not_fit_is_said_and_not_tried(encoder_folder, monkeypatch):
    monkeypatch.setattr(rehearsal, "available_memory", lambda: 1e-6)
    monkeypatch.setattr(rehearsal, "rehearse", None)
    result = rehearse_where_it_fits(spec_of("roberta"), read_architecture(encoder_folder), CPU, seed=0)
    assert result["status"] == "does not fit"
    assert "0.0 are free" in result["reason"]


def test_full_fine_tuning_needs_weights_gradients_and_two_states(encoder_folder):
    config = read_architecture(encoder_folder)
    spec = spec_of("roberta")
    spec["train"] |= encoder_spec("full")
    spec["train"]["training"]["optimizer"] = "adamw_torch"
    parameters = skeleton_encoder(config).num_parameters()
    assert rehearsal.least_memory(spec, config) == pytest.approx(parameters * (4 + 4 + 8) / 2**30)


@pytest.mark.parametrize(("into", "bits"), [("4bit", 4), ("original", 16), ("dequantized", 16)])
def test_merge_is_rehearsed_in_the_bits_that_it_answers_in(decoder_folder, monkeypatch, into, bits):
    spec = merge_spec(into)
    config = read_architecture(decoder_folder)
    # A layer of 64 dimensions, 4 heads, 2 for keys and values, 128 inside: q and o, k and v, three of the MLP.
    linear = 2 * (2 * 64 * 64 + 2 * 32 * 64 + 3 * 64 * 128)
    rest = 2 * config.vocab_size * 64 + (2 * 2 + 1) * 64  # embeddings and output layer; the norms
    assert rehearsal.least_memory(spec, config) == pytest.approx((linear * bits / 8 + rest * 2) / 2**30)
    made, passes = [], []

    def recorded(*arguments, make=rehearsal.base_model):
        model = make(*arguments)
        made.append(model.model.layers[0].mlp.up_proj.weight.dtype)
        return model

    def counted(model, texts, *arguments):
        passes.append((len(made), isinstance(model, PeftModel), len(texts)))
        return next_token_logits(model, texts, *arguments)

    monkeypatch.setattr(rehearsal, "base_model", recorded)
    monkeypatch.setattr(merging, "next_token_logits", counted)
    result = rehearse_where_it_fits(spec, config, CPU, seed=0)
    assert result["status"] == "measured"
    merged = torch.uint8 if bits == 4 else torch.bfloat16
    assert made == [torch.uint8, merged, merged]  # the adapter's base; the merge, to measure its error and to answer
    rows = STEPS["answering_batches"] * EVALUATION["batch_size"]
    assert passes == [(1, True, rows), (1, True, rows), (2, False, rows)]  # with the adapter and without; merged
    assert result["merging"]["examples_per_second"] > 0
    assert result["merging"]["peak_memory_gib"]["process"] > 0


def test_power_of_a_merge_is_the_mean_over_the_time_of_its_parts(decoder_folder, monkeypatch):
    meters = iter([nullcontext(SimpleNamespace(watts=100.0)), nullcontext(SimpleNamespace(watts=300.0))])
    times = iter([0.0, 3.0, 10.0, 11.0])  # three seconds, then one
    monkeypatch.setattr(rehearsal, "PowerMeter", lambda: next(meters))
    monkeypatch.setattr(rehearsal, "clock", lambda: next(times))
    spec, config = merge_spec("4bit")["predict"], read_architecture(decoder_folder)
    found = rehearsal.rehearse_merge_error(word_tokenizer("decoder"), spec, config, CPU, typical_pairs(2, seed=0))
    assert (found.seconds, found.watts) == ([3.0, 1.0], 150.0)
    assert rehearsal.rate(typical_pairs(8, seed=0), found) == {"examples_per_second": 2.0, "watts": 150.0}


def test_only_a_merge_is_rehearsed_as_one(decoder_folder):
    result = rehearse_where_it_fits(spec_of("qlora"), read_architecture(decoder_folder), CPU, seed=0)
    assert (result["status"], result["merging"]) == ("measured", None)


def test_answering_with_anothers_adapter_is_rehearsed_with_one(decoder_folder):
    spec = spec_of("qlora")["predict"]
    config, tokenizer = read_architecture(decoder_folder), word_tokenizer("decoder")
    names = []
    for own in ({"method": "answer"}, {"method": "merge", "merge_into": "4bit"}):
        model = rehearsal.base_model(FAMILIES["qlora"], spec, config, CPU)
        model = FAMILIES["qlora"].ready(model, {**spec, **own}, tokenizer)
        names.append({"lora" for name, _ in model.named_parameters() if "lora_" in name})
    assert names == [{"lora"}, set()]


def test_answering_is_rehearsed_on_the_prepared_model(decoder_folder):
    half = {**spec_of("icl")["predict"], "quantization": {**QUANTIZATION, "compute_dtype": "float16"}}
    model = rehearsal.base_model(FAMILIES["icl"], half, read_architecture(decoder_folder), CPU)
    assert model.lm_head.weight.dtype == torch.float16
    model = FAMILIES["icl"].ready(model, half, None)
    assert model.lm_head.weight.dtype == torch.float32


@pytest.mark.parametrize(("into", "status"), [("4bit", "does not fit"), ("original", "not measured")])
def test_merge_that_is_spread_over_the_memory_is_not_said_to_fail(decoder_folder, monkeypatch, into, status):
    """As on a 16 GB card, `load_unquantized` leaves in main memory what the GPU cannot hold."""

    def too_large(*arguments):
        raise torch.OutOfMemoryError

    monkeypatch.setattr(rehearsal, "rehearse", too_large)
    card = SimpleNamespace(total_memory=15 * 2**30)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda index: card)
    result = rehearse_where_it_fits(merge_spec(into), read_architecture(decoder_folder), CPU, seed=0)
    assert (result["status"], "15.0 GiB of this GPU" in result["reason"]) == (status, True)


def test_pairs_have_multinlis_lengths():
    rows = typical_pairs(4000, seed=0)
    words = rows["premise"].str.split().str.len()
    assert set(words) == set(PREMISE_LENGTHS)
    assert words.mean() == pytest.approx(sum(PREMISE_LENGTHS) / 10, rel=0.05)
    assert set(rows["hypothesis"].str.split().str.len()) == set(HYPOTHESIS_LENGTHS)


def test_a_word_is_a_token_in_the_models_layout():
    rows = typical_pairs(1, seed=1)
    premise, hypothesis = rows.premise[0], rows.hypothesis[0]
    n = len(premise.split()) + len(hypothesis.split())
    assert len(word_tokenizer("encoder")(premise, hypothesis)["input_ids"]) == n + 4
    assert len(word_tokenizer("decoder")(f"{premise} {hypothesis}")["input_ids"]) == n + 1


# ------------------------------------------------------------------------------------------------- predictions


def measured(steps=2.0, rate=10.0, watts=200.0):
    peak = {"process": 4.0, "device": 9.0, "reserved": 10.0}
    return {
        "status": "measured",
        "reason": "",
        "device": "a GPU",
        "memory": "reserved",
        "training": {"seconds_per_step": steps, "watts": watts, "peak_memory_gib": peak},
        "merging": None,
        "answering": {"examples_per_second": rate, "watts": watts, "peak_memory_gib": peak},
    }


def measured_merge(rate=4.0, watts=100.0):
    prompting = measured()
    error = {**prompting["answering"], "examples_per_second": rate, "watts": watts}
    return {**prompting, "training": None, "merging": error}


@pytest.fixture
def study(config):
    only = ["roberta/full", "icl/prompt1", "qlora/attempt2", "qlora/attempt2_merged"]
    return load_study(config, {"scale": "paper", "only": only, "seeds": [1, 2]})


@pytest.fixture
def rehearsals(study):
    prompting = {**measured(), "training": None}
    trained = {key: measured() for key in ("roberta/full", "qlora/attempt2")}
    return {**trained, "icl/prompt1": prompting, "qlora/attempt2_merged": measured_merge()}


def test_rows_of_a_split_are_those_after_its_cap(config):
    paper = load_study({**config, "scale": "paper"})
    assert [split_rows(paper, split) for split in ("matched", "mismatched", "tune")] == [9815, 9832, 2000]
    capped = {"data": {"evaluation_examples": 100, "tune_examples": 50}}
    demo = load_study(config, capped)
    assert [split_rows(demo, split) for split in ("matched", "tune")] == [100, 50]
    files = load_study(config, {"data": {"source": "files", "path": "."}})
    assert [split_rows(files, split) for split in ("matched", "tune")] == [None, None]


def test_epochs_are_evaluated_on_the_rows_that_are_answered(config, rehearsals):
    sampled = {"scale": "paper", "only": ["roberta/full"], "families": {"roberta": {"evaluation": {"examples": 100}}}}
    full = predict_costs(load_study(config, sampled), rehearsals)["experiments"]["roberta/full"]["predicted"]
    assert full["train_hours"] == pytest.approx((7365 * 2.0 + 3 * 100 / 10) / 3600)


def test_costs_are_steps_and_rows_at_the_measured_speed(study, rehearsals):
    costs = predict_costs(study, rehearsals)
    full = costs["experiments"]["roberta/full"]["predicted"]
    assert full["train_hours"] == pytest.approx((7365 * 2.0 + 3 * 9815 / 10) / 3600)
    assert full["answer_hours"] == pytest.approx((9815 + 9832) / 10 / 3600)
    assert full["kwh"] == pytest.approx((full["train_hours"] + full["answer_hours"]) * 0.2)
    prompt = costs["experiments"]["icl/prompt1"]["predicted"]
    assert prompt["train_hours"] == 0
    assert prompt["answer_hours"] == pytest.approx(2000 / 10 / 3600)
    attempt = costs["experiments"]["qlora/attempt2"]["predicted"]
    assert attempt["train_hours"] == pytest.approx(250 * 2.0 / 3600)
    merged = costs["experiments"]["qlora/attempt2_merged"]["predicted"]
    answered = ATTEMPT_ROWS / 10 / 3600
    assert (merged["train_hours"], merged["answer_hours"]) == (0, pytest.approx(answered))
    assert merged["merge_hours"] == pytest.approx(ATTEMPT_ROWS / 4 / 3600)
    assert merged["kwh"] == pytest.approx(ATTEMPT_ROWS / 4 / 3600 * 0.1 + answered * 0.2)
    at_200_watts = sum(
        e["predicted"]["train_hours"] + e["predicted"]["answer_hours"] for e in costs["experiments"].values()
    )
    assert costs["total"] == {
        "gpu_hours": pytest.approx(2 * (at_200_watts + merged["merge_hours"])),
        "kwh": pytest.approx(2 * (at_200_watts * 0.2 + merged["merge_hours"] * 0.1)),
        "complete": True,
    }


def test_merge_waits_for_its_adapters_training_and_the_answers_for_the_merge(study, rehearsals):
    planned = predict_costs(study, rehearsals)["jobs"]
    jobs = {job["name"]: job["needs"] for job in planned}
    assert len(jobs) == 2 * (2 + 1 + 2 + 2)
    assert jobs["train qlora/attempt2 seed 1"] == []
    assert jobs["answer qlora/attempt2 seed 1"] == ["train qlora/attempt2 seed 1"]
    assert jobs["merge qlora/attempt2_merged seed 1"] == ["train qlora/attempt2 seed 1"]
    assert jobs["answer qlora/attempt2_merged seed 1"] == ["merge qlora/attempt2_merged seed 1"]
    hours = {job["name"]: job["hours"] for job in planned}
    assert hours["merge qlora/attempt2_merged seed 2"] == pytest.approx(ATTEMPT_ROWS / 4 / 3600)
    assert jobs["answer icl/prompt1 seed 2"] == []


def test_every_rung_is_scheduled_from_its_rehearsal(config):
    study = load_study(config, {"scale": "paper", "rungs": "all", "seeds": [1]})
    rehearsals = {e.key: measured() for e in study.using_models()}
    for key, entry in rehearsals.items():
        spec = rehearsal_spec(study, key)
        if not spec["train"]:
            entry["training"] = None
        if spec["predict"].get("merge_into"):
            rehearsals[key] = measured_merge()
    jobs = jobs_of_rehearsal(predict_costs(study, rehearsals))
    assert jobs["answer roberta/cloze_zero_shot seed 1"].needs == ()  # it is not fine-tuned
    assert "train roberta/cloze_zero_shot seed 1" not in jobs
    merges = [e for e in study.using_models() if getattr(e, "merge_into", None)]
    for experiment in merges:
        merged = f"{experiment.key} seed 1"
        assert jobs[f"merge {merged}"].needs == (f"train {experiment.adapter} seed 1",)
        assert jobs[f"answer {merged}"].needs == (f"merge {merged}",)
    assert sum(name.startswith("merge ") for name in jobs) == len(merges) == 6
    assert makespan(jobs, 1) == pytest.approx(sum(job.seconds for job in jobs.values()))


@pytest.mark.parametrize("status", ["not measured", "does not fit"])
def test_schedule_without_a_time_for_every_job_is_refused(study, rehearsals, status):
    rehearsals["qlora/attempt2"] = {"status": status, "reason": "no", "device": "a GPU"}
    costs = predict_costs(study, rehearsals)
    assert len(costs["jobs"]) == 2 * (2 + 1 + 2 + 2)
    with pytest.raises(StudyError, match="job train qlora/attempt2 seed 1: the rehearsal has no time"):
        jobs_of_rehearsal(costs)


def test_what_was_not_measured_is_named_and_not_counted(study, rehearsals):
    rehearsals["roberta/full"] = {"status": "does not fit", "reason": "no: 30.0 GiB at least", "device": "a GPU"}
    costs = predict_costs(study, rehearsals)
    assert costs["experiments"]["roberta/full"]["predicted"] is None
    assert costs["total"]["complete"] is False
    table = rehearsal_table(costs)
    assert "| `roberta/full` | no: 30.0 GiB at least |" in table
    assert "What was measured of the study, 8 runs with all their seeds" in table  # four experiments, two seeds


def test_table_states_a_merges_hours_and_what_they_leave_out(study, rehearsals):
    table = rehearsal_table(predict_costs(study, rehearsals))
    rows = {line.split(" | ")[0].strip("| `"): line.strip("| ").split(" | ") for line in table.splitlines()}
    assert rows["qlora/attempt2_merged"][6:8] == ["0.14", "0.06"]  # 2,000 rows at 4 and at 10 a second
    assert rows["Experiment"][6:8] == ["Merge, h", "Answering, h"]
    assert rows["qlora/attempt2"][6] == rows["icl/prompt1"][6] == rows["icl/prompt1"][5] == MISSING
    assert "adding an adapter to the weights and saving are not counted" in table


def test_costs_count_the_seeds_of_each_experiment(config):
    study = load_study(config, {"scale": "paper", "only": ["roberta/full", "icl/prompt1"]})
    rehearsals = {"roberta/full": measured(), "icl/prompt1": {**measured(), "training": None}}
    costs = predict_costs(study, rehearsals)
    hours = {
        key: entry["predicted"]["train_hours"] + entry["predicted"]["answer_hours"]
        for key, entry in costs["experiments"].items()
    }
    assert costs["total"]["gpu_hours"] == pytest.approx(3 * hours["roberta/full"] + hours["icl/prompt1"])
    assert costs["total"]["kwh"] == pytest.approx(costs["total"]["gpu_hours"] * 0.2)
    names = [job["name"] for job in costs["jobs"]]
    assert names == [
        *(f"{stage} roberta/full seed {seed}" for seed in (42, 43, 44) for stage in ("train", "answer")),
        "answer icl/prompt1 seed 42",
    ]


@pytest.mark.parametrize(
    ("memory", "peak", "verdict"),
    [
        ("reserved", 14.0, "yes"),
        ("reserved", 14.2, "yes, but not on a 16 GB GPU"),  # 14.7 with the context; a T4 may report 14.6
        ("process", 14.2, "yes"),  # on a CPU there is no context
        ("process", 17.0, "yes, but not on a 16 GB GPU"),
    ],
)
def test_peak_that_a_16_gb_card_cannot_hold_is_marked(study, rehearsals, memory, peak, verdict):
    full = rehearsals["roberta/full"]
    full["memory"] = memory
    full["training"]["peak_memory_gib"] = {"process": 1.0, "device": 11.0, "reserved": 1.0, memory: peak}
    row = next(
        line for line in rehearsal_table(predict_costs(study, rehearsals)).splitlines() if "roberta/full" in line
    )
    assert row.split(" | ")[1:4] == [verdict, f"{peak:.2f}", "0.500"]


def test_reserved_memory_of_the_device_is_recorded(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda: 11 * 2**30)
    monkeypatch.setattr(torch.cuda, "max_memory_reserved", lambda: 13 * 2**30)
    peak = rehearsal.rehearsal_peak()
    assert (peak["device"], peak["reserved"]) == (11.0, 13.0)


def test_rehearsal_spec_of_a_merge_trains_nothing(paper_study):
    assert rehearsal_spec(paper_study, "qlora/attempt2_merged")["train"] is None
    assert rehearsal_spec(paper_study, "qlora/attempt2")["train"]["training"]["max_steps"] == 250


# ------------------------------------------------------------------------------------------------- power


def test_power_is_the_mean_of_the_drivers_readings(tmp_path, monkeypatch):
    tool = tmp_path / "nvidia-smi"
    tool.write_text(
        f"#!/bin/sh\necho x >> {tmp_path}/calls\n[ $(wc -l < {tmp_path}/calls) -gt 1 ] && echo 300 || echo 100\n"
    )
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    with PowerMeter(interval=0.01) as meter:
        while len(meter.readings) < 3:
            assert not meter._stop.wait(0.01)
    assert meter.readings[:3] == [100.0, 300.0, 300.0]
    assert meter.watts == pytest.approx(sum(meter.readings) / len(meter.readings))


@pytest.mark.parametrize("body", ["echo '[N/A]'", "exit 9"])
def test_card_that_does_not_tell_gives_no_power(tmp_path, monkeypatch, body):
    tool = tmp_path / "nvidia-smi"
    tool.write_text(f"#!/bin/sh\n{body}\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    with PowerMeter(interval=0.01) as meter:
        meter._thread.join(timeout=10)
    assert meter.watts is None


def test_power_is_that_of_the_gpu_that_the_job_sees(tmp_path, monkeypatch):
    tool = tmp_path / "nvidia-smi"
    tool.write_text('#!/bin/sh\nfor word; do [ "$word" = --id=GPU-22bb ] && echo 250 && exit; done\necho 10\n')
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "GPU-22bb")
    with PowerMeter(interval=0.01) as meter:
        while not meter.readings:
            assert not meter._stop.wait(0.01)
    assert meter.watts == 250
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    with PowerMeter(interval=0.01) as meter:
        pass
    assert meter.watts is None


def test_rehearsal_asks_torch_for_a_gpu_after_the_others_are_hidden(tmp_path, monkeypatch):
    seen = []

    def is_available():
        seen.append(os.environ["CUDA_VISIBLE_DEVICES"])
        return False

    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2,3")
    monkeypatch.setattr(torch.cuda, "is_available", is_available)
    write_json(tmp_path / "spec.json", {"steps": {"on_cpu": False}})
    files = {"--spec": "spec.json", "--architecture": "none.json", "--output": "output.json"}
    arguments = [word for option, file in files.items() for word in (option, str(tmp_path / file))]
    monkeypatch.setattr(sys, "argv", ["rehearse.py", *arguments, "--seed", "1"])
    runpy.run_path(str(ROOT / "scripts/rehearse.py"), run_name="__main__")
    assert seen == ["2"]
    assert read_json(tmp_path / "output.json")["status"] == "not measured"


def test_a_chat_prompt_is_rehearsed_without_the_template_that_only_a_checkpoint_has():
    prompt = {
        "text": "{premise} {hypothesis}",
        "answers": {"Yes": "entailment", "Maybe": "neutral", "No": "contradiction"},
    }
    made = rehearsal.with_long_words({"prompt": prompt, "chat": True})
    assert made["chat"] is False
    assert list(made["prompt"]["answers"].values()) == ["entailment", "neutral", "contradiction"]
