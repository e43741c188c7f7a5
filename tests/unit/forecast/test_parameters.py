"""Every size that the original printed follows from the configuration, without weights."""

import copy

import pytest
import torch
from conftest import ROOT
from transformers import AutoModelForCausalLM
from unit.specs import QLORA_SPEC, QUANTIZATION, TRAINING, dataset_of, encoder_trainer

from nli import runtime
from nli.answering.generate import generate_answers
from nli.base.errors import StudyError
from nli.forecast.budget import padded_tokens, total_flops, training_budget
from nli.forecast.parameters import count_study, parameters_table
from nli.jobs.records import parameter_counts
from nli.models.decoder import add_adapter, load_decoder, load_tokenizer
from nli.models.encoder import load_encoder
from nli.models.encoder import load_tokenizer as load_encoder_tokenizer
from nli.models.qlora import make_trainer as make_qlora_trainer
from nli.models.training import run_training
from nli.models.weightless import random_decoder, random_encoder, read_architecture, skeleton_decoder
from nli.pretraining.untrained import save_random_model
from nli.study.resolve import load_study

SHIPPED = ROOT / "scripts/nli/hub/architectures"
ARCHITECTURES = {
    "encoder": SHIPPED / "FacebookAI/roberta-large.json",
    "decoder": SHIPPED / "meta-llama/Meta-Llama-3-8B.json",
}


@pytest.fixture(scope="module")
def counts(paper_study, reported):
    return count_study(paper_study, ARCHITECTURES, reported)


def totals(counts, key, how=None):
    parameters = counts["experiments"][key]["parameters"]
    return parameters[how] if how else {name: parameters[name] for name in ("total", "trainable", "frozen")}


def test_full_fine_tuning_has_the_reported_parameters(counts, reported):
    printed = reported["experiments"]["roberta/full"]["parameters"]
    assert totals(counts, "roberta/full")["total"] == printed["total"] == 355_362_819
    assert totals(counts, "roberta/full")["trainable"] == 355_362_819


def test_layer_rows_are_the_reports(counts, reported):
    rows = {row["name"]: row["parameters"] for row in totals(counts, "roberta/full", "layers")}
    assert rows == reported["experiments"]["roberta/full"]["architecture"]
    assert rows["encoder"] == 302_309_376


def test_lora_has_the_reported_parameters(counts, reported):
    assert totals(counts, "roberta/lora") == reported["experiments"]["roberta/lora"]["parameters"]
    assert totals(counts, "roberta/lora")["trainable"] == 1_839_107


def test_prompt_tuning_has_the_reported_parameters_as_tabled_and_the_true_ones_beside(counts, reported):
    tabled = totals(counts, "roberta/prompt_tuning", "as_reported")
    printed = reported["experiments"]["roberta/prompt_tuning"]["parameters"]
    assert {key: printed[key] for key in tabled} == tabled
    assert tabled == {"total": 407_917_574, "trainable": 102_942_720, "frozen": 304_974_854}
    # the word embeddings, 50,265 x 1,024, are in the table twice
    assert totals(counts, "roberta/prompt_tuning")["total"] == 407_917_574 - 50_265 * 1_024
    assert totals(counts, "roberta/prompt_tuning")["trainable"] == 50_265 * 1_024


def test_llama_in_nf4_is_counted_packed_and_unpacked(counts):
    assert counts["models"]["decoder"]["packed"] == 4_540_600_320
    assert counts["models"]["decoder"]["unpacked"] == 8_030_261_248


@pytest.mark.parametrize("attempt", ["attempt1", "attempt2", "attempt3"])
def test_qlora_has_the_reported_parameters(counts, reported, attempt):
    found = totals(counts, f"qlora/{attempt}")
    assert (found["total"], found["trainable"]) == (4_573_106_176, 32_505_856)
    printed = reported["experiments"]["qlora/attempt1"]["parameters"]
    assert (found["total"], found["trainable"]) == (printed["total"], printed["trainable"])


def test_linear_head_has_the_reported_parameters(counts, reported):
    found = totals(counts, "linear_head/first_token")
    assert (found["total"], found["trainable"]) == (4_573_118_467, 32_518_147)
    printed = reported["experiments"]["linear_head/first_token"]["parameters"]
    assert (found["total"], found["trainable"]) == (printed["total"], printed["trainable"])


def test_prompting_and_merging_train_nothing(counts):
    for key in ("icl/prompt1", "qlora/attempt2_merged"):
        assert totals(counts, key) == {"total": 4_540_600_320, "trainable": 0, "frozen": 4_540_600_320}
        assert counts["experiments"][key]["training"] is None


def test_counts_follow_a_changed_rank(config, reported):
    changed = {"experiments": {"roberta/lora": {"lora": {"r": 16}}}, "only": ["roberta/lora"], "scale": "paper"}
    found = count_study(load_study(config, changed), ARCHITECTURES, reported)
    # two matrices of 1,024 x r on query and value of 24 layers, and the head
    expected = 2 * 24 * 2 * 1_024 * 16 + (1_024 * 1_024 + 1_024) + (1_024 * 3 + 3)
    assert totals(found, "roberta/lora")["trainable"] == expected


def test_steps_and_epochs_are_the_reported_ones(counts, reported):
    plans = {key: entry["training"] for key, entry in counts["experiments"].items()}
    assert plans["roberta/full"]["steps"] == reported["families"]["roberta"]["training"]["steps"] == 7_365
    trained = {key: entry.get("train", {}) for key, entry in reported["experiments"].items()}
    printed = {key: train["epoch"] for key, train in trained.items() if "epoch" in train}
    assert len(printed) == 4
    assert {key: round(plans[key]["epoch"], 4) for key in printed} == printed
    assert sorted(set(printed.values())) == [0.1019, 0.2037, 0.4074]


def test_operations_of_attempt_1_are_the_reported_ones_to_the_last_digit(counts, reported):
    found = counts["experiments"]["qlora/attempt1"]["training"]["total_flops"]
    assert found == float(reported["experiments"]["qlora/attempt1"]["train"]["total_flops"]) == 9.2619946328064e16


def test_table_prints_counts_beside_the_reported_ones(counts):
    table = parameters_table(counts)
    assert "| `qlora/attempt1` | 1,000 | 0.4074 | 0.4074 | 16,000 | 2,048,000 | 9.2619946328064e16" in table
    row = next(line for line in table.splitlines() if line.startswith("| `roberta/prompt_tuning` | 356"))
    assert row.split(" | ")[1:4] == ["356,446,214", "407,917,574", "407,917,574"]


def test_shipped_configurations_are_of_the_configured_models(paper_study):
    for role, path in ARCHITECTURES.items():
        name = getattr(paper_study.models, role).name
        assert path == SHIPPED / f"{name}.json"
        assert path.exists()


def test_models_of_the_small_scale_have_the_published_parameters(config, reported):
    """SmolLM2-135M has 134,515,008 with embeddings and output layer as one; DistilRoBERTa as a classifier of two
    classes 82,119,938, of three a row and a bias more."""
    study = load_study(config, {"scale": "small", "only": ["roberta/full", "icl/prompt1"]})
    architectures = {role: SHIPPED / f"{getattr(study.models, role).name}.json" for role in ("encoder", "decoder")}
    counts = count_study(study, architectures, reported)
    assert totals(counts, "roberta/full")["total"] == 82_119_938 + 769
    config = read_architecture(architectures["decoder"])
    with torch.device("meta"):
        assert AutoModelForCausalLM.from_config(config).num_parameters() == 134_515_008


def test_unknown_model_type_is_refused(tmp_path):
    path = tmp_path / "config.json"
    path.write_text('{"model_type": "no_such_model"}')
    with pytest.raises(StudyError, match="no_such_model"):
        read_architecture(path)


# ------------------------------------------------------------------- against loaded models and the Trainer itself


def test_skeleton_counts_what_a_loaded_4_bit_model_counts(decoder_folder):
    loaded = load_decoder(decoder_folder, QUANTIZATION)
    skeleton = skeleton_decoder(read_architecture(decoder_folder), QUANTIZATION)
    assert skeleton.num_parameters() == loaded.num_parameters()
    for model in (loaded, skeleton):
        model.requires_grad_(False)
    assert parameter_counts(skeleton) == parameter_counts(loaded)
    assert parameter_counts(add_adapter(skeleton, QLORA_SPEC)) == parameter_counts(add_adapter(loaded, QLORA_SPEC))


def test_random_decoder_is_quantized_like_a_loaded_one_and_runs(decoder_folder):
    torch.manual_seed(0)
    config = read_architecture(decoder_folder)
    model = random_decoder(config, QUANTIZATION, torch.device("cpu"))
    loaded = load_decoder(decoder_folder, QUANTIZATION)
    shapes = {name: (p.shape, p.dtype) for name, p in loaded.named_parameters()}
    assert {name: (p.shape, p.dtype) for name, p in model.named_parameters()} == shapes
    tokenizer = load_tokenizer(decoder_folder)
    generation = {"temperature": 0.0, "max_new_tokens": 2}
    assert len(generate_answers(model, tokenizer, ["All dogs sleep."], generation, 1, 0)) == 1
    with torch.no_grad():
        logits = model(**tokenizer("All dogs sleep.", return_tensors="pt")).logits
    assert torch.isfinite(logits).all()
    assert logits.std() > 0


@pytest.mark.parametrize("role", ["encoder", "decoder"])
def test_saved_random_model_loads_like_a_fetched_one(encoder_folder, decoder_folder, rows, tmp_path, role):
    config = read_architecture({"encoder": encoder_folder, "decoder": decoder_folder}[role])
    config.vocab_size = 400
    save_random_model(role, config, rows, tmp_path)
    if role == "encoder":
        model, tokenizer = load_encoder(tmp_path, "float32"), load_encoder_tokenizer(tmp_path)
    else:
        model, tokenizer = load_decoder(tmp_path, QUANTIZATION), load_tokenizer(tmp_path)
    assert model.get_input_embeddings().num_embeddings == 400
    with torch.no_grad():
        logits = model(**tokenizer("All dogs sleep.", return_tensors="pt")).logits
    assert torch.isfinite(logits).all()


def test_random_encoder_is_drawn_from_the_seed(encoder_folder):
    def draw():
        torch.manual_seed(3)
        return random_encoder(read_architecture(encoder_folder), "float32", torch.device("cpu")).state_dict()

    first, again = draw(), draw()
    assert all(torch.equal(first[name], again[name]) for name in first)


@pytest.mark.parametrize(
    "training",
    [
        {"batch_size": 8, "gradient_accumulation": 1, "epochs": 2.0, "max_steps": None},
        {"batch_size": 5, "gradient_accumulation": 2, "epochs": 3.0, "max_steps": None},  # 48 rows: a last batch of 3
        {"batch_size": 5, "gradient_accumulation": 4, "epochs": None, "max_steps": 8},
        {"batch_size": 16, "gradient_accumulation": 2, "epochs": None, "max_steps": 1},
    ],
)
def test_budget_is_what_the_trainer_does(encoder_folder, rows, tmp_path, training):
    trainer = encoder_trainer(encoder_folder, rows, tmp_path, **training)
    history, _ = run_training(trainer, tmp_path)
    budget = training_budget({**TRAINING, **training}, len(rows))
    assert budget["steps"] == history["train"]["steps"]
    assert budget["epoch"] == pytest.approx(history["train"]["epoch"], abs=1e-12)


def test_operations_are_what_the_trainer_counts_for_a_4_bit_model(decoder_folder, rows, tmp_path):
    runtime.start(0, threads=1)
    spec = copy.deepcopy(QLORA_SPEC)
    spec["tokenization"] = {"max_length": 40, "padding": "max_length"}
    spec["training"] |= {"max_steps": 3, "batch_size": 4, "gradient_accumulation": 2}
    tokenizer = load_tokenizer(decoder_folder)
    model = add_adapter(load_decoder(decoder_folder, QUANTIZATION), spec)
    trainer = make_qlora_trainer(model, tokenizer, dataset_of(rows, tokenizer, spec), spec, tmp_path, 0)
    history, _ = run_training(trainer, tmp_path)
    skeleton = add_adapter(skeleton_decoder(read_architecture(decoder_folder), QUANTIZATION), spec)
    tokens = padded_tokens(spec["tokenization"], training_budget(spec["training"], len(rows))["examples"])
    assert tokens == 3 * 8 * 40
    assert total_flops(tokens, skeleton.num_parameters(exclude_embeddings=True)) == history["train"]["total_flops"]


def test_operations_are_unknown_where_the_padding_depends_on_the_texts():
    assert padded_tokens({"max_length": 128, "padding": "longest"}, 16) is None
    assert total_flops(None, 1000) is None
