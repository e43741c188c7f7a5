"""The methods' entries and functions: what trains, counted by hand on a RoBERTa of 2 layers and 32 dimensions."""

import inspect
import math

import pytest
import torch
from peft.tuners.lora import LoraLayer
from unit.specs import QLORA_SPEC, QUANTIZATION, batch, build, dataset_of, encoder_spec, gradients, trainable

from nli import runtime
from nli.answering.generate import generate_answers
from nli.base.errors import StudyError
from nli.jobs.records import parameter_counts
from nli.models import methods
from nli.models.decoder import add_adapter, load_decoder, load_tokenizer, load_with_adapter
from nli.models.encoder import load_encoder, prepare_encoder
from nli.models.qlora import make_trainer
from nli.models.training import run_training
from nli.models.training_texts import evaluation_prompts
from nli.models.weightless import random_decoder, read_architecture, skeleton_decoder, skeleton_encoder
from nli.study.methods import METHODS, VARIANTS

HEAD = (32 * 32 + 32) + (32 * 3 + 3)
LORA = {"variant": "lora", "r": 2, "alpha": 4, "dropout": 0.0, "bias": "none", "target_modules": None}
KEY_BIAS = {f"roberta.encoder.layer.{i}.attention.self.key.bias" for i in range(2)}  # softmax does not see it


def test_every_method_is_an_entry_and_a_function():
    taking_a_spec = [
        name
        for name, made in inspect.getmembers(methods, inspect.isfunction)
        if made.__module__ == methods.__name__ and "tokenizer" in inspect.signature(made).parameters
    ]
    assert sorted(taking_a_spec) == sorted(METHODS)


def test_ia3_trains_factors_of_keys_values_and_feed_forward_and_the_head(encoder_folder, rows):
    model = build(encoder_folder, "ia3")
    factors = 2 * (32 + 32 + 32 + 64)  # layers x (key, value, input of attention's output, input of the layer's)
    assert parameter_counts(model)["trainable"] == factors + HEAD
    own = {name for name in trainable(model) if "ia3_" in name}
    assert len(own) == 2 * 4
    assert all(bool((tensor == 1).all()) for name, tensor in model.named_parameters() if name in own)
    assert gradients(model, batch(encoder_folder, rows)) == trainable(model)


def test_bitfit_trains_biases_and_the_head(encoder_folder, rows):
    model = build(encoder_folder, "bitfit")
    layer = 4 * 32 + 32 + 64 + 32 + 32  # query, key, value, output; its norm; feed-forward, twice; its norm
    assert parameter_counts(model)["trainable"] == 32 + 2 * layer + HEAD
    assert all(name.endswith("bias") for name in trainable(model) if name.startswith("roberta."))
    assert trainable(model) - gradients(model, batch(encoder_folder, rows)) <= KEY_BIAS


def test_bitfit_refuses_an_encoder_without_biases(encoder_folder):
    model = load_encoder(encoder_folder, "float32")
    for module in model.base_model.modules():
        if getattr(module, "bias", None) is not None:
            module.bias = None
    with pytest.raises(StudyError, match=r"experiments\.roberta/bitfit\.method: 'bitfit' trains biases, Roberta"):
        methods.bitfit(model, encoder_spec("bitfit"))


def test_dora_starts_as_the_encoder_with_its_rows_norms_as_magnitudes(encoder_folder, rows):
    model = build(encoder_folder, "lora", lora={**LORA, "variant": "dora"})
    adapter = 2 * 2 * (2 * (32 + 32) + 32)  # layers x (query, value) x (A and B of rank 2, a magnitude for each row)
    assert parameter_counts(model)["trainable"] == adapter + HEAD
    query = model.base_model.model.roberta.encoder.layer[0].attention.self.query
    norms = query.base_layer.weight.norm(dim=1)
    assert torch.allclose(query.lora_magnitude_vector["default"].weight, norms)
    inputs = batch(encoder_folder, rows)
    plain = build(encoder_folder, "head_only")
    assert torch.allclose(model.eval()(**inputs).logits, plain.eval()(**inputs).logits, atol=1e-6)
    reached = gradients(model, inputs)
    assert {name for name in trainable(model) - reached if "lora_A" not in name} == set()  # B is zero at the start


def test_rslora_divides_by_the_root_of_the_rank(encoder_folder):
    model = build(encoder_folder, "lora", lora={**LORA, "variant": "rslora"})
    scales = {module.scaling["default"] for module in model.modules() if isinstance(module, LoraLayer)}
    assert scales == {4 / math.sqrt(2)}


# A Llama of 2 layers: query 64 to 64, key and value 64 to 32, output 64 to 64, gate and up 64 to 128; rank 4.
PAIRS = 2 * 4 * ((64 + 64) + 2 * (64 + 32) + (64 + 64) + 2 * (64 + 128))
MAGNITUDES = 2 * (64 + 2 * 32 + 64 + 2 * 128)
DECODER_COUNTS = {"lora": PAIRS, "rslora": PAIRS, "dora": PAIRS + MAGNITUDES}


def of_variant(variant, **training):
    spec = {**QLORA_SPEC, "lora": {**QLORA_SPEC["lora"], "variant": variant}}
    return {**spec, "training": {**spec["training"], **training}}


@pytest.mark.parametrize("variant", VARIANTS)
def test_variant_of_the_decoder_is_counted_without_weights_as_with_them(decoder_folder, variant):
    config, spec = read_architecture(decoder_folder), of_variant(variant)
    for base in (
        skeleton_decoder(config, QUANTIZATION),
        random_decoder(config, QUANTIZATION, torch.device("cpu")),
        load_decoder(decoder_folder, QUANTIZATION),
    ):
        assert parameter_counts(add_adapter(base, spec))["trainable"] == DECODER_COUNTS[variant]


def test_dora_of_the_encoder_is_counted_without_weights_as_with_them(encoder_folder):
    spec = encoder_spec("lora", lora={**LORA, "variant": "dora"})
    skeleton = prepare_encoder(skeleton_encoder(read_architecture(encoder_folder)), spec)
    model = build(encoder_folder, "lora", lora=spec["lora"])
    assert trainable(skeleton) == trainable(model)
    assert parameter_counts(skeleton)["trainable"] == parameter_counts(model)["trainable"]


@pytest.mark.parametrize("variant", ["rslora", "dora"])
def test_variant_trains_every_tensor_of_its_adapter_on_4_bit_weights_and_answers_when_loaded_again(
    decoder_folder, rows, tmp_path, variant
):
    runtime.start(0, threads=1)
    spec = of_variant(variant, max_steps=12, learning_rate=5e-3)
    spec["quantization"] = QUANTIZATION
    tokenizer = load_tokenizer(decoder_folder)
    model = load_decoder(decoder_folder, QUANTIZATION)
    prompts, greedy = evaluation_prompts(rows.head(4), spec), {"temperature": 0.0, "max_new_tokens": 6}
    generate_answers(model, tokenizer, prompts, greedy, 4, seed=0)  # the sample's answer before training, in eval mode
    model = add_adapter(model, spec)
    trainer = make_trainer(model, tokenizer, dataset_of(rows, tokenizer, spec), spec, tmp_path, seed=0)
    history, audit = run_training(trainer, tmp_path)
    assert audit.names == trainable(model)
    assert history["steps"][-1]["loss"] < history["steps"][0]["loss"]

    model.save_pretrained(tmp_path / "adapter")
    again = load_with_adapter(decoder_folder, spec, tmp_path / "adapter")
    inputs = tokenizer(prompts, return_tensors="pt", padding=True)
    with torch.no_grad():
        assert torch.equal(model.eval()(**inputs).logits, again.eval()(**inputs).logits)
