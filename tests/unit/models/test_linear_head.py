"""The linear head on a random Llama: position 0 sees nothing of the text, the last token all of it."""

import pytest
import torch
from transformers import DataCollatorWithPadding
from unit.specs import HEAD, QUANTIZATION

from nli import runtime
from nli.answering.classify import classify
from nli.models.decoder import load_decoder, load_tokenizer
from nli.models.linear_head import (
    LinearHeadClassifier,
    StatesRead,
    build_classifier,
    make_trainer,
    read_position,
    tokenize_texts,
)
from nli.models.training import load_trained, save_trained


def logits(folder, rows, position):
    runtime.start(0, threads=1)
    tokenizer = load_tokenizer(folder)
    model = LinearHeadClassifier(load_decoder(folder, QUANTIZATION), position, dropout=0.1)
    return classify(model, tokenize_texts(rows, tokenizer, HEAD), DataCollatorWithPadding(tokenizer), 4)


def test_position_is_counted_among_real_tokens_on_either_padding_side():
    hidden = torch.arange(8.0).reshape(2, 4, 1)
    mask = torch.tensor([[1, 1, 1, 0], [0, 1, 1, 1]])
    assert read_position(hidden, mask, "first").flatten().tolist() == [0.0, 5.0]
    assert read_position(hidden, mask, "last").flatten().tolist() == [2.0, 7.0]


def test_first_position_gives_every_input_the_same_logits(decoder_folder, rows):
    scores = logits(decoder_folder, rows.head(6), "first")
    assert scores.std(axis=0).max() < 1e-6


def test_last_position_tells_inputs_apart(decoder_folder, rows):
    scores = logits(decoder_folder, rows.head(6), "last")
    assert scores.std(axis=0).min() > 1e-3


@pytest.mark.parametrize("position", ["first", "last"])
def test_variance_of_the_states_read_is_that_of_the_hidden_states(decoder_folder, rows, position):
    runtime.start(0, threads=1)
    tokenizer = load_tokenizer(decoder_folder)
    model = LinearHeadClassifier(load_decoder(decoder_folder, QUANTIZATION), position, dropout=0.1).eval()
    dataset, collator = tokenize_texts(rows.head(6), tokenizer, HEAD), DataCollatorWithPadding(tokenizer)
    with torch.no_grad():
        single = [collator([{k: row[k] for k in ("input_ids", "attention_mask")}]) for row in dataset]
        read = [read_position(model.hidden_states(**one), one["attention_mask"], position) for one in single]
    expected = torch.cat(read).double()
    states = StatesRead(model)
    classify(model, dataset, collator, 4)
    figures = states.figures()
    assert figures["examples"] == 6
    assert figures["mean_square"] == pytest.approx(expected.square().mean().item(), rel=1e-4)
    variance = expected.var(dim=0, unbiased=False).mean().item()
    assert figures["variance"] == pytest.approx(variance, rel=1e-3, abs=1e-9)
    assert (figures["variance"] < 1e-9) == (position == "first")


def test_head_and_adapter_are_saved_without_the_base(decoder_folder, rows, tmp_path):
    runtime.start(1, threads=1)
    model = build_classifier(decoder_folder, HEAD)
    save_trained(model, tmp_path)
    again = build_classifier(decoder_folder, HEAD)
    load_trained(again, tmp_path)
    head = again.classifier.weight
    assert torch.equal(head, model.classifier.weight)
    from safetensors.torch import load_file

    names = load_file(tmp_path / "model.safetensors").keys()
    assert all("lora_" in name or name.startswith("classifier.") for name in names)


def test_head_adds_a_layer_of_hidden_size_to_three(decoder_folder):
    model = build_classifier(decoder_folder, HEAD)
    assert sum(p.numel() for p in model.classifier.parameters()) == 64 * 3 + 3
    assert all(p.requires_grad for p in model.classifier.parameters())


def test_hidden_state_at_position_0_has_no_variance_over_inputs_and_the_last_tokens_has(decoder_folder, rows):
    tokenizer = load_tokenizer(decoder_folder)
    model = LinearHeadClassifier(load_decoder(decoder_folder, QUANTIZATION), "first", dropout=0.0).eval()
    batch = tokenizer([row.premise for row in rows.head(6).itertuples()], return_tensors="pt", padding=True)
    with torch.no_grad():
        hidden = model.hidden_states(batch["input_ids"], batch["attention_mask"])
    variance = {at: read_position(hidden, batch["attention_mask"], at).var(dim=0) for at in ("first", "last")}
    assert variance["first"].max() < 1e-10
    assert variance["last"].min() > 1e-4


LIBRARY = {**HEAD, "head": "library", "position": "last", "head_dropout": 0.0}


def test_librarys_head_reads_the_last_real_token_and_trains_beside_the_adapter(decoder_folder, rows):
    runtime.start(0, threads=1)
    tokenizer = load_tokenizer(decoder_folder)
    model = build_classifier(decoder_folder, LIBRARY)
    dataset = tokenize_texts(rows.head(6), tokenizer, HEAD)
    scores = classify(model, dataset, DataCollatorWithPadding(tokenizer), 6)
    alone = classify(model, dataset, DataCollatorWithPadding(tokenizer), 1)
    assert abs(scores - alone).max() < 1e-4  # padding has no effect
    trainable = {name for name, p in model.named_parameters() if p.requires_grad}
    head = "base_model.model.score.modules_to_save.default.weight"
    assert {name for name in trainable if "lora_" not in name} == {head}
    assert model.get_parameter(head).shape == (3, 64)
    assert any(type(module).__name__ == "Linear4bit" for module in model.modules())


@pytest.mark.parametrize("head", [{"head": "linear"}, {"head": "library", "position": "last", "head_dropout": 0.0}])
def test_head_trains_at_its_own_rate_and_the_adapter_at_the_other(decoder_folder, rows, tmp_path, head):
    training = {**HEAD["training"], "learning_rate": 1e-3, "head_learning_rate": 2e-2, "schedule": "constant"}
    spec = {**HEAD, **head, "training": training}
    tokenizer = load_tokenizer(decoder_folder)
    model = build_classifier(decoder_folder, spec)
    trainer = make_trainer(model, tokenizer, tokenize_texts(rows, tokenizer, spec), spec, tmp_path, seed=0)
    trainer.create_optimizer_and_scheduler(num_training_steps=6)
    names = {id(p): name for name, p in model.named_parameters()}
    rates = {names[id(p)]: group["lr"] for group in trainer.optimizer.param_groups for p in group["params"]}
    assert rates.keys() == {name for name, p in model.named_parameters() if p.requires_grad}
    assert {rate for name, rate in rates.items() if "lora_" in name} == {1e-3}
    assert {rate for name, rate in rates.items() if "lora_" not in name} == {2e-2}


@pytest.mark.parametrize("head", [{"head": "linear"}, {"head": "library", "position": "last", "head_dropout": 0.0}])
def test_recomputed_activations_train_the_same_weights(decoder_folder, rows, tmp_path, head):
    weights = []
    for recomputed in (False, True):
        runtime.start(0, threads=1)
        training = {**HEAD["training"], "gradient_checkpointing": recomputed, "max_steps": 2}
        spec = {**HEAD, **head, "position": "last", "training": training}
        model = build_classifier(decoder_folder, spec)
        tokenizer = load_tokenizer(decoder_folder)
        trainer = make_trainer(model, tokenizer, tokenize_texts(rows, tokenizer, spec), spec, tmp_path, seed=0)
        trainer.train()
        assert any(getattr(module, "gradient_checkpointing", False) for module in model.modules()) == recomputed
        weights.append({name: p.detach().clone() for name, p in model.named_parameters() if p.requires_grad})
    plain, recomputed = weights
    assert plain.keys() == recomputed.keys()
    assert max((plain[name] - recomputed[name]).abs().max().item() for name in plain) < 1e-6


def test_run_with_the_librarys_head_is_saved_and_loads_again(decoder_folder, rows, tmp_path):
    runtime.start(1, threads=1)
    model = build_classifier(decoder_folder, LIBRARY)
    save_trained(model, tmp_path)
    again = build_classifier(decoder_folder, LIBRARY)
    load_trained(again, tmp_path)
    tokenizer = load_tokenizer(decoder_folder)
    dataset = tokenize_texts(rows.head(4), tokenizer, HEAD)
    first, second = (classify(m, dataset, DataCollatorWithPadding(tokenizer), 4) for m in (model, again))
    assert (first == second).all()
