"""Rows computed on shared lines: the lines, and that the training is the plain one."""

import pytest
import torch
from torch import nn
from transformers import AutoModelForSequenceClassification, BertConfig
from unit.specs import CLOZE, TRAINING, batch, build, encoder_spec, encoder_trainer, small_decoder

from nli import runtime
from nli.models import encoder, packing
from nli.models.architecture import STANDARD_DECODERS
from nli.models.encoder import load_tokenizer, tokenize_pairs
from nli.models.packing import lines_of, pack_rows, texts_on_lines
from nli.models.training import run_training
from nli.models.training_texts import IGNORED
from nli.study.methods import METHODS


def real_tokens(counts, longest):
    return torch.arange(longest)[None] < torch.tensor(counts)[:, None]


@pytest.mark.parametrize("line", [1, 60, 512])
def test_lines_hold_every_token_once_and_rows_whole(monkeypatch, line):
    monkeypatch.setattr(packing, "LINE", line)
    counts = [9, 40, 12, 12, 33, 7, 90, 11]
    real = real_tokens(counts, 90)
    source, owner = lines_of(real)
    used = source >= 0
    assert sorted(source[used].tolist()) == torch.nonzero(real.flatten()).flatten().tolist()
    assert torch.equal(used, owner >= 0)
    assert torch.equal(owner[used], source[used] // 90)
    assert source.shape[0] == {1: 3, 60: 3, 512: 1}[line]  # 214 tokens; no line is shorter than the longest row
    for row, count in enumerate(counts):
        places = (owner == row).nonzero()
        assert len(places) == count
        assert len(set(places[:, 0].tolist())) == 1
        assert source[owner == row].tolist() == list(range(row * 90, row * 90 + count))


def test_tokens_that_follow_padding_keep_their_places():
    real = torch.tensor([[True, False, True], [True, True, True]])  # behind a prompt, padding is not at the end
    source, owner = lines_of(real)
    assert source.tolist() == [[3, 4, 5, 0, 2]]
    assert owner.tolist() == [[1, 1, 1, 0, 0]]


def without_dropout(model):
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
    return model


def lines_computed(model, seen):
    """Record the shapes of the hidden states that the first layer gets."""
    stack = next(module for module in model.modules() if isinstance(module, packing.STACKS))
    stack.layer[0].register_forward_pre_hook(lambda layer, args: seen.append(tuple(args[0].shape)))


def gradients_of(folder, rows, tmp_path, spec, packed):
    """One step's loss and gradients, and the shape of what its layers computed."""
    runtime.start(3, threads=1)
    tokenizer = load_tokenizer(folder)
    dataset = tokenize_pairs(rows, tokenizer, {"max_length": 48, "padding": "longest"}, spec["cloze"])
    model = without_dropout(encoder.build_encoder(folder, spec))
    if packed:
        assert pack_rows(model, worth=0.0)
    lines_computed(model, shapes := [])
    training = {**TRAINING, "eval_batch_size": 8, "batch_size": 6}
    trainer = encoder.make_trainer(model, tokenizer, dataset, {"training": training}, tmp_path, 3)
    trainer.current_gradient_accumulation_steps = 1
    inputs = trainer.data_collator([dataset[i] for i in range(6)])
    loss = trainer.training_step(model, inputs, num_items_in_batch=torch.tensor(6))
    return loss, {name: p.grad for name, p in model.named_parameters() if p.grad is not None}, shapes


@pytest.mark.parametrize("method", sorted(METHODS))
def test_gradients_are_those_of_the_plain_batch(encoder_folder, rows, tmp_path, method):
    changes = {"cloze": {**CLOZE, "trained": True}} if METHODS[method].masked else {}
    if method == "prompt_tuning":
        changes["pooling"] = "sentence_start"
    spec = encoder_spec(method, **changes)
    loss, plain, rows_seen = gradients_of(encoder_folder, rows, tmp_path, spec, False)
    packed_loss, packed, lines_seen = gradients_of(encoder_folder, rows, tmp_path, spec, True)
    assert (lines_seen == rows_seen) == (method == "prefix_tuning")  # its keys belong to rows
    assert float(packed_loss) == pytest.approx(float(loss), abs=1e-6)
    assert packed.keys() == plain.keys()
    assert any(bool(gradient.any()) for gradient in plain.values())
    for name, gradient in plain.items():
        assert torch.allclose(packed[name], gradient, rtol=1e-4, atol=1e-5), name


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
def test_bert_with_either_attention(attention):
    sizes = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}
    torch.manual_seed(0)
    config = BertConfig(vocab_size=50, num_labels=3, **sizes, attn_implementation=attention)
    model = AutoModelForSequenceClassification.from_config(config).eval()
    real = real_tokens([5, 12, 3, 9], 12)
    inputs = {"input_ids": torch.randint(5, 50, (4, 12)), "token_type_ids": (torch.arange(12) > 2).long().repeat(4, 1)}
    plain = model(**inputs, attention_mask=real.long()).logits
    lines_computed(model, shapes := [])
    assert pack_rows(model, worth=0.0)
    assert torch.allclose(model(**inputs, attention_mask=real.long()).logits, plain, atol=1e-6)
    assert shapes == [(1, 29, 32)]


def test_a_batch_without_padding_and_a_saving_too_small_stay_rows(encoder_folder, rows):
    model, inputs = build(encoder_folder, "full"), batch(encoder_folder, rows)
    lines_computed(model, shapes := [])
    pack_rows(model)
    model(**inputs)
    assert shapes[0][:2] == inputs["input_ids"].shape
    shortest = int(inputs["attention_mask"].sum(dim=1).min())
    model = build(encoder_folder, "full")
    lines_computed(model, shapes := [])
    pack_rows(model, worth=0.0)
    model(input_ids=inputs["input_ids"][:, :shortest], attention_mask=inputs["attention_mask"][:, :shortest])
    assert shapes[0][:2] == (6, shortest)


def trained(folder, rows, checkpoints, speed):
    """Losses, accuracy and weights after a whole training; the fast one computes every batch on lines."""
    trainer = encoder_trainer(folder, rows, checkpoints, speed=speed, logging_steps=1)
    without_dropout(trainer.model)
    for stack in (module for module in trainer.model.modules() if hasattr(module, "packing")):
        stack.packing.tokens_worth = 0.0
    history, _ = run_training(trainer, checkpoints)
    weights = {name: value.detach() for name, value in trainer.model.named_parameters()}
    return [step["loss"] for step in history["steps"]], history["epochs"][-1]["accuracy"], weights


def test_fast_training_is_the_plain_one(encoder_folder, rows, tmp_path):
    losses, accuracy, weights = trained(encoder_folder, rows, tmp_path / "plain", "plain")
    fast_losses, fast_accuracy, fast_weights = trained(encoder_folder, rows, tmp_path / "fast", "fast")
    assert len(losses) == 12
    assert fast_losses == pytest.approx(losses, abs=1e-4)
    assert max(losses) - min(losses) > 0.01
    assert fast_accuracy == accuracy
    for name, value in weights.items():
        assert torch.allclose(fast_weights[name], value, atol=1e-5), name


@pytest.mark.parametrize(("speed", "packs"), [("fast", True), ("plain", False)])
def test_speed_chooses_the_path(encoder_folder, rows, tmp_path, speed, packs):
    tokenizer, model = load_tokenizer(encoder_folder), build(encoder_folder, "full")
    dataset = tokenize_pairs(rows, tokenizer, {"max_length": 48, "padding": "longest"})
    spec = {"training": {**TRAINING, "eval_batch_size": 8}, "speed": speed}
    for _ in range(2):  # a second trainer of the same model packs no line again
        trainer = encoder.make_trainer(model, tokenizer, dataset, spec, tmp_path, 3)
    assert trainer.create_optimizer().defaults["fused"] == (True if packs else None)
    hooks = [len(module._forward_pre_hooks) for module in model.modules() if isinstance(module, packing.STACKS)]
    assert hooks == [int(packs)]


@pytest.mark.parametrize("window", [{}, {"sliding_window": 5}])
@pytest.mark.parametrize("attention", ["sdpa", "eager"])
@pytest.mark.parametrize("kind", STANDARD_DECODERS)
def test_texts_on_a_line_have_the_logits_of_texts_by_themselves(kind, attention, window):
    model = small_decoder(kind, 50, attn_implementation=attention, **window)
    counts = [9, 4, 12, 7]
    real = real_tokens(counts, 12)
    ids = torch.randint(1, 50, (4, 12), generator=torch.Generator().manual_seed(0)) * real
    marked = torch.where(real, torch.arange(48).reshape(4, 12), IGNORED)
    batch = {"input_ids": ids, "attention_mask": real.long(), "next_labels": marked}
    lines = texts_on_lines(batch, tokens_worth=0)
    marked = lines.pop("next_labels")
    assert lines["input_ids"].shape == (1, 32)
    with torch.no_grad():
        logits = model(**lines, use_cache=False).logits
        for row, count in enumerate(counts):
            alone = model(input_ids=ids[row : row + 1, :count]).logits[0]
            there = logits[(marked >= row * 12) & (marked < (row + 1) * 12)]
            assert torch.allclose(there, alone, atol=1e-5)


def test_texts_stay_rows_where_padding_counts_or_too_little_would_go():
    real = real_tokens([3, 5], 5)
    batch = {"input_ids": real.long(), "attention_mask": real.long(), "next_labels": torch.full((2, 5), IGNORED)}
    assert texts_on_lines(batch, tokens_worth=2) is not None
    assert texts_on_lines(batch, tokens_worth=3) is None
    batch["next_labels"] = torch.zeros(2, 5, dtype=torch.long)
    assert texts_on_lines(batch, tokens_worth=0) is None
