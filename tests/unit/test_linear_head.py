"""The linear head on a random Llama: position 0 sees nothing, the last token sees the text."""

import torch
from transformers import DataCollatorWithPadding
from unit.test_decoder import QUANTIZATION, SPEC

from nli import runtime
from nli.classification import classify
from nli.decoder import load_decoder, load_tokenizer
from nli.linear_head import (
    LinearHeadClassifier,
    build_classifier,
    read_position,
    tokenize_texts,
)
from nli.training import load_trained, save_trained

HEAD = {
    "text": "{premise}\n{hypothesis}",
    "position": "first",
    "head_dropout": 0.1,
    "tokenization": {"max_length": 64, "padding": "longest"},
    "lora": SPEC["lora"],
    "training": SPEC["training"],
    "quantization": QUANTIZATION,
}


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
