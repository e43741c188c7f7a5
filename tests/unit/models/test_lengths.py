"""Batches computed in parts of similar length: the parts, and that the training is the plain one."""

from itertools import combinations

import pytest
import torch
from conftest import ROOT
from torch import nn
from transformers import AutoModelForSequenceClassification
from unit.specs import CLOZE, TRAINING, batch, build, encoder_spec, encoder_trainer

from nli import runtime
from nli.models import encoder
from nli.models.encoder import load_tokenizer, tokenize_pairs
from nli.models.lengths import call_in_tokens, partition, parts_of
from nli.models.training import run_training
from nli.models.weightless import read_architecture
from nli.study.methods import METHODS


def cost(parts, lengths, call):
    return sum(len(part) * max(lengths[row] for row in part) + call for part in parts)


@pytest.mark.parametrize("call", [0.0, 5.0, 30.0, 1000.0])
def test_partition_has_the_least_cost_of_all(call):
    lengths = [9, 40, 12, 12, 33, 7, 90, 11]
    order = sorted(range(len(lengths)), key=lambda row: lengths[row])
    cuts = [c for n in range(len(order)) for c in combinations(range(1, len(order)), n)]
    every = [[order[a:b] for a, b in zip((0, *cut), (*cut, len(order)), strict=True)] for cut in cuts]
    found = partition(lengths, call)
    assert cost(found, lengths, call) == min(cost(parts, lengths, call) for parts in every)
    assert sorted(row for part in found for row in part) == list(range(len(lengths)))


def test_equal_rows_and_dear_calls_stay_together():
    assert partition([8, 8, 8], 1.0) == [[0, 1, 2]]
    assert partition([8, 90, 8], 1e6) == [[0, 2, 1]]
    assert partition([], 1.0) == []


def test_parts_hold_every_row_once_without_its_padding(encoder_folder, rows):
    whole = batch(encoder_folder, rows)
    parts = parts_of(whole, 0.0)
    assert len(parts) > 1
    assert sum(part["attention_mask"].numel() for part in parts) == int(whole["attention_mask"].sum())
    for part in parts:
        for ids, label in zip(part["input_ids"], part["labels"], strict=True):
            row = (whole["labels"] == label) & (whole["input_ids"][:, : len(ids)] == ids).all(dim=1)
            assert row.sum() == 1
            assert int(whole["attention_mask"][row].sum()) == len(ids)


def test_a_call_costs_a_tiny_model_many_tokens_and_a_large_one_few(encoder_folder):
    small = AutoModelForSequenceClassification.from_pretrained(encoder_folder)
    with torch.device("meta"):
        config = read_architecture(ROOT / "scripts/nli/hub/architectures/FacebookAI/roberta-large.json")
        large = AutoModelForSequenceClassification.from_config(config)
    assert call_in_tokens(small) > 1000
    assert 10 < call_in_tokens(large) < 100
    assert call_in_tokens(large.requires_grad_(False)) < 1


def without_dropout(model):
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
    return model


def gradients_of(folder, rows, tmp_path, spec, fast):
    """One step's loss and gradients, with the batch whole or in as many parts as there are lengths."""
    runtime.start(3, threads=1)
    tokenizer = load_tokenizer(folder)
    dataset = tokenize_pairs(rows, tokenizer, {"max_length": 48, "padding": "longest"}, spec["cloze"])
    model = without_dropout(encoder.build_encoder(folder, spec))
    training = {**TRAINING, "eval_batch_size": 8, "batch_size": 6}
    trainer = encoder.make_trainer(model, tokenizer, dataset, {"training": training}, tmp_path, 3)
    assert not trainer.fast
    trainer.fast, trainer.call, trainer.current_gradient_accumulation_steps = fast, 0.0, 1
    inputs = trainer.data_collator([dataset[i] for i in range(6)])
    loss = trainer.training_step(model, inputs, num_items_in_batch=torch.tensor(6))
    return loss, {name: p.grad for name, p in model.named_parameters() if p.grad is not None}


@pytest.mark.parametrize("method", sorted(METHODS))
def test_gradients_are_those_of_the_plain_batch(encoder_folder, rows, tmp_path, method):
    changes = {"cloze": {**CLOZE, "trained": True}} if METHODS[method].masked else {}
    if method == "prompt_tuning":
        changes["pooling"] = "sentence_start"
    spec = encoder_spec(method, **changes)
    loss, plain = gradients_of(encoder_folder, rows, tmp_path, spec, False)
    fast_loss, fast = gradients_of(encoder_folder, rows, tmp_path, spec, True)
    assert float(fast_loss) == pytest.approx(float(loss), abs=1e-6)
    assert fast.keys() == plain.keys()
    assert any(bool(gradient.any()) for gradient in plain.values())
    for name, gradient in plain.items():
        assert torch.allclose(fast[name], gradient, rtol=1e-4, atol=1e-5), name


def losses(folder, rows, checkpoints, fast):
    trainer = encoder_trainer(folder, rows, checkpoints, logging_steps=1)
    without_dropout(trainer.model)
    trainer.fast, trainer.call = fast, 0.0
    history, _ = run_training(trainer, checkpoints)
    return [step["loss"] for step in history["steps"]], history["epochs"][-1]["accuracy"]


def test_loss_curve_is_that_of_the_plain_training(encoder_folder, rows, tmp_path):
    plain, accuracy = losses(encoder_folder, rows, tmp_path / "plain", False)
    fast, fast_accuracy = losses(encoder_folder, rows, tmp_path / "fast", True)
    assert len(plain) == 12
    assert fast == pytest.approx(plain, abs=1e-4)
    assert max(plain) - min(plain) > 0.01
    assert fast_accuracy == accuracy


def test_speed_chooses_the_path_and_steps_of_several_batches_stay_plain(encoder_folder, rows, tmp_path):
    tokenizer, model = load_tokenizer(encoder_folder), build(encoder_folder, "full")
    dataset = tokenize_pairs(rows, tokenizer, {"max_length": 48, "padding": "longest"})
    for speed, accumulation, chosen in (("fast", 1, True), ("plain", 1, False), ("fast", 2, False)):
        training = {**TRAINING, "eval_batch_size": 8, "gradient_accumulation": accumulation}
        spec = {"training": training, "speed": speed}
        assert encoder.make_trainer(model, tokenizer, dataset, spec, tmp_path, 3).fast == chosen
