"""The encoder's methods on a random RoBERTa of 2 layers: what trains, what pools, what is saved."""

import pytest
import torch
from unit.specs import TOKENIZATION, batch, build, gradients, trainable

from nli.base.errors import StudyError
from nli.jobs.records import layer_rows, parameter_counts
from nli.models.encoder import load_tokenizer, tokenize_pairs
from nli.models.training import load_trained, save_trained

DORA = {"variant": "dora", "r": 2, "alpha": 4, "dropout": 0.0, "bias": "none", "target_modules": None}


def test_pair_is_premise_then_hypothesis(encoder_folder, rows):
    tokenizer = load_tokenizer(encoder_folder)
    ids = tokenize_pairs(rows.head(1), tokenizer, TOKENIZATION)[0]["input_ids"]
    text = tokenizer.decode(ids)
    assert text == "<s>All dogs sleep in the house.</s></s>Some dogs sleep.</s>"


def test_fixed_padding_fills_to_max_length(encoder_folder, rows):
    tokenizer = load_tokenizer(encoder_folder)
    fixed = tokenize_pairs(rows, tokenizer, {"max_length": 48, "padding": "max_length"})
    assert {len(ids) for ids in fixed["input_ids"]} == {48}


def test_full_fine_tuning_trains_everything(encoder_folder, rows):
    model = build(encoder_folder, "full")
    assert trainable(model) == {name for name, _ in model.named_parameters()}


def test_head_only_trains_the_head(encoder_folder):
    model = build(encoder_folder, "head_only")
    assert all(name.startswith("classifier.") for name in trainable(model))
    assert len(trainable(model)) == 4


def test_top_layers_trains_the_last_layer_and_the_head(encoder_folder):
    names = trainable(build(encoder_folder, "top_layers"))
    assert {name.split(".")[0] for name in names} == {"roberta", "classifier"}
    assert all("encoder.layer.1." in name for name in names if name.startswith("roberta"))


def test_more_top_layers_than_there_are_is_refused(encoder_folder):
    with pytest.raises(StudyError, match=r"layers: 9 layers, but the encoder has 2"):
        build(encoder_folder, "top_layers", layers=9)


def test_lora_trains_query_value_and_head(encoder_folder):
    model = build(encoder_folder, "lora")
    counts = parameter_counts(model)
    lora = 2 * 2 * 2 * (2 * 32)  # layers x (query, value) x (A, B) x r*d
    head = 32 * 32 + 32 + 32 * 3 + 3
    assert counts["trainable"] == lora + head
    assert counts["as_reported"]["total"] == counts["total"]  # as in the original's LoRA table: head and its copy


def test_reported_freezing_leaves_prompt_and_head_without_gradient(encoder_folder, rows):
    model = build(encoder_folder, "prompt_tuning", trainable="word_embeddings")
    reached = gradients(model, batch(encoder_folder, rows))
    assert reached == trainable(model)
    assert len(reached) == 1
    assert next(iter(reached)).endswith("word_embeddings.weight")


def test_repaired_prompt_tuning_trains_prompt_and_head(encoder_folder, rows):
    model = build(encoder_folder, "prompt_tuning", pooling="sentence_start")
    reached = gradients(model, batch(encoder_folder, rows))
    assert any("prompt_encoder" in name for name in reached)
    assert sum("classifier" in name for name in reached) == 4
    assert not any("embeddings.word_embeddings" in name for name in reached)


def test_layer_table_counts_the_word_embeddings_twice_under_prompt_tuning(encoder_folder):
    model = build(encoder_folder, "prompt_tuning", trainable="word_embeddings")
    counts = parameter_counts(model)
    embeddings = model.get_input_embeddings().weight.numel()
    assert counts["as_reported"]["total"] - counts["total"] == embeddings
    assert counts["as_reported"]["trainable"] == 2 * embeddings
    assert counts["as_reported"]["frozen"] == counts["frozen"]


@pytest.mark.parametrize("method", ["full", "lora", "prompt_tuning"])
def test_layer_rows_name_every_part_whatever_wraps_it(encoder_folder, method):
    rows = {row["name"]: row["parameters"] for row in layer_rows(build(encoder_folder, method))}
    assert rows["position_embeddings"] == 130 * 32
    assert rows["classifier_dense"] == 32 * 32 + 32
    assert rows["classifier_out_proj"] == 32 * 3 + 3


def test_head_reads_a_virtual_token_unless_told_to_read_the_sentence_start(encoder_folder, rows):
    seen, states = {}, {}
    inputs = batch(encoder_folder, rows)
    for pooling in ("first", "sentence_start"):
        model = build(encoder_folder, "prompt_tuning", pooling=pooling).eval()
        head = model.base_model.classifier.modules_to_save["default"]
        head.dense.register_forward_pre_hook(lambda module, args, kept=pooling: seen.update({kept: args[0]}))
        model.base_model.roberta.register_forward_hook(
            lambda module, args, output, kept=pooling: states.update({kept: output[0]})
        )
        model(**inputs)
    length = inputs["input_ids"].shape[1]
    assert states["first"].shape[1] == length + 5
    assert states["sentence_start"].shape[1] == length
    assert torch.equal(seen["first"], states["first"][:, 0])
    assert torch.equal(seen["sentence_start"], states["first"][:, 5])  # the same states, read at <s>


@pytest.mark.parametrize(
    ("method", "changes"),
    [
        ("full", {}),
        ("top_layers", {}),
        ("lora", {}),
        ("lora", {"lora": DORA}),
        ("ia3", {}),
        ("bitfit", {}),
        ("prompt_tuning", {"trainable": "word_embeddings"}),
        ("prompt_tuning", {"pooling": "sentence_start"}),
    ],
)
def test_saved_tensors_rebuild_the_model_in_another_process(encoder_folder, rows, tmp_path, method, changes):
    model = build(encoder_folder, method, seed=1, **changes)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.add_(0.05)
    save_trained(model, tmp_path)
    again = build(encoder_folder, method, seed=2, **changes)  # another head until the tensors are loaded
    inputs = batch(encoder_folder, rows)
    before = again.eval()(**inputs).logits
    load_trained(again, tmp_path)
    expected = model.eval()(**inputs).logits
    assert not torch.equal(before, expected)
    assert torch.equal(again(**inputs).logits, expected)


def test_tensors_of_another_spec_are_refused(encoder_folder, tmp_path):
    save_trained(build(encoder_folder, "head_only"), tmp_path)
    with pytest.raises(StudyError, match="not the tensors of this spec's model"):
        load_trained(build(encoder_folder, "lora"), tmp_path)
