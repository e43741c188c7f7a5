"""The 4-bit decoder on a random Llama: gradients, answers, the merge, and its training texts."""

import os
import subprocess
import sys

import pandas as pd
import pytest
import torch
from conftest import ROOT
from unit.specs import QLORA_SPEC, QUANTIZATION, dataset_of

from nli import runtime
from nli.answering.generate import generate_answers
from nli.models.decoder import add_adapter, compute_dtype, load_decoder, load_tokenizer
from nli.models.qlora import make_trainer
from nli.models.training import run_training
from nli.models.training_texts import (
    IGNORED,
    PadTexts,
    count_lost_labels,
    encode_texts,
    evaluation_prompts,
    training_dataset,
)


def labels_of(rows, tokenizer, spec):
    """The texts in the loss of a collated batch."""
    dataset = dataset_of(rows, tokenizer, spec)
    labels = PadTexts(tokenizer, spec)([dataset[i] for i in range(len(dataset))])["labels"]
    return [tokenizer.decode(row[row != IGNORED]) for row in labels]


@pytest.mark.parametrize(
    ("asked", "gpu", "native", "dtype"),
    [
        ("bfloat16", True, False, torch.float16),  # a T4: falls back, as in the original
        ("bfloat16", True, True, torch.bfloat16),
        ("bfloat16", False, False, torch.bfloat16),  # a CPU supports it
        ("float16", True, False, torch.float16),
        ("float32", True, False, torch.float32),
    ],
)
def test_bfloat16_falls_back_to_float16_only_where_a_gpu_lacks_it(monkeypatch, asked, gpu, native, dtype):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: gpu)
    # emulation counts as support unless excluded
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation=True: including_emulation or native)
    assert compute_dtype(asked) is dtype


def test_every_adapter_tensor_gets_a_gradient_even_after_answering(decoder_folder, rows):
    """A forward pass in eval mode must not cut off the gradients of later training (AVX512-BF16 kernels)."""
    runtime.start(0, threads=1)
    tokenizer = load_tokenizer(decoder_folder)
    model = load_decoder(decoder_folder, QUANTIZATION)
    generate_answers(model, tokenizer, ["All dogs"], {"temperature": 0.0, "max_new_tokens": 2}, 1, seed=0)
    model = add_adapter(model, QLORA_SPEC).train()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "lora_B" in name:
                parameter.normal_(std=0.02)
    dataset = dataset_of(rows.head(4), tokenizer, QLORA_SPEC)
    model(**PadTexts(tokenizer, QLORA_SPEC)([dataset[i] for i in range(4)])).loss.backward()
    trainable = {n: p for n, p in model.named_parameters() if p.requires_grad}
    assert len(trainable) == 2 * 6 * 2  # layers x targets x (A, B)
    assert [n for n, p in trainable.items() if p.grad is None or not p.grad.any()] == []


def test_packed_weights_count_two_to_an_element(decoder_folder):
    model = load_decoder(decoder_folder, QUANTIZATION)
    packed = model.model.layers[0].mlp.gate_proj.weight
    assert packed.numel() == 64 * 128 // 2


@pytest.mark.parametrize("trainer", ["transformers", "trl"])
def test_both_trainers_lower_the_loss_and_keep_the_adapter_in_float32(decoder_folder, rows, tmp_path, trainer):
    runtime.start(0, threads=1)
    spec = {**QLORA_SPEC, "trainer": trainer, "loss_on": "label"}
    spec["training"] = {**QLORA_SPEC["training"], "max_steps": 30, "learning_rate": 5e-3}
    tokenizer = load_tokenizer(decoder_folder)
    model = add_adapter(load_decoder(decoder_folder, QUANTIZATION), spec)
    made = make_trainer(model, tokenizer, dataset_of(rows, tokenizer, spec), spec, tmp_path, seed=0)
    history, audit = run_training(made, tmp_path)
    losses = [entry["loss"] for entry in history["steps"]]
    assert losses[-1] < losses[0] / 2
    assert {p.dtype for p in model.parameters() if p.requires_grad} == {torch.float32}
    assert audit.names == {n for n, p in model.named_parameters() if p.requires_grad}


def test_sft_trainer_trains_on_the_given_tokens_and_adds_no_end_token(decoder_folder, rows, tmp_path):
    tokenizer = load_tokenizer(decoder_folder)
    spec = {**QLORA_SPEC, "trainer": "trl"}
    dataset = dataset_of(rows, tokenizer, spec)
    model = add_adapter(load_decoder(decoder_folder, QUANTIZATION), spec)
    trainer = make_trainer(model, tokenizer, dataset, spec, tmp_path, seed=0)
    assert trainer.train_dataset["input_ids"] == dataset["input_ids"]
    batch = next(iter(trainer.get_train_dataloader()))
    assert tokenizer.eos_token_id not in batch["labels"]


def test_loss_on_all_tokens_masks_the_end_token_that_doubles_as_padding(decoder_folder, rows):
    tokenizer = load_tokenizer(decoder_folder)
    assert tokenizer.pad_token == tokenizer.eos_token
    reported = labels_of(rows.head(2), tokenizer, {**QLORA_SPEC, "append_eos": True})
    assert not any(text.endswith(tokenizer.eos_token) for text in reported)
    seen = labels_of(rows.head(2), tokenizer, {**QLORA_SPEC, "append_eos": True, "mask_end_token": False})
    assert all(text.endswith(tokenizer.eos_token) for text in seen)
    end = {"append_eos": True, "mask_end_token": False, "loss_on": "label"}
    repaired = labels_of(rows.head(2), tokenizer, {**QLORA_SPEC, **end})
    assert repaired == [" Entailment<|end|>", " Neutral<|end|>"]


def test_text_cut_at_max_length_loses_its_label(decoder_folder, rows):
    tokenizer = load_tokenizer(decoder_folder)
    encoded = encode_texts(rows.head(6), tokenizer, QLORA_SPEC)
    lengths = sorted(len(ids) for ids in encoded.texts)
    assert count_lost_labels(encoded, lengths[-1]) == 0
    assert count_lost_labels(encoded, lengths[2]) == sum(length > lengths[2] for length in lengths)
    cut_at = [{"max_length": length, "padding": "longest"} for length in (lengths[-1], lengths[0] - 1)]
    specs = [{**QLORA_SPEC, "loss_on": "label", "tokenization": limit} for limit in cut_at]
    whole, cut = (training_dataset(encoded, spec, tokenizer) for spec in specs)
    assert all(any(label != IGNORED for label in labels) for labels in whole["labels"])
    assert all(label == IGNORED for labels in cut["labels"] for label in labels)  # no label is left to learn
    starts = [ids[: lengths[0] - 1] for ids in encoded.texts]
    assert cut["input_ids"] == starts


def test_text_that_loses_its_end_token_alone_keeps_its_label(decoder_folder, rows):
    tokenizer = load_tokenizer(decoder_folder)
    encoded = encode_texts(rows.head(1), tokenizer, {**QLORA_SPEC, "append_eos": True})
    length = len(encoded.texts[0])
    assert [count_lost_labels(encoded, length - cut) for cut in (0, 1, 2)] == [0, 0, 1]


def test_attempts_pad_to_max_length_where_the_report_did(decoder_folder, rows):
    tokenizer = load_tokenizer(decoder_folder)
    spec = {**QLORA_SPEC, "tokenization": {"max_length": 128, "padding": "max_length"}}
    dataset = dataset_of(rows.head(2), tokenizer, spec)
    batch = PadTexts(tokenizer, spec)([dataset[0], dataset[1]])
    assert batch["input_ids"].shape == (2, 128)
    assert (batch["labels"] != IGNORED).sum() == batch["attention_mask"].sum()


def test_answers_do_not_depend_on_the_batch_when_greedy(decoder_folder, rows):
    tokenizer = load_tokenizer(decoder_folder)
    model = load_decoder(decoder_folder, QUANTIZATION)
    prompts = evaluation_prompts(rows.head(6), QLORA_SPEC)
    generation = {"temperature": 0.0, "max_new_tokens": 4}
    alone = generate_answers(model, tokenizer, prompts, generation, 1, seed=0)
    assert generate_answers(model, tokenizer, prompts, generation, 4, seed=0) == alone


def test_sampled_answers_repeat_with_the_seed_and_differ_with_another(decoder_folder, rows):
    tokenizer = load_tokenizer(decoder_folder)
    model = load_decoder(decoder_folder, QUANTIZATION)
    prompts = evaluation_prompts(rows, QLORA_SPEC)
    generation = {"temperature": 1.0, "max_new_tokens": 4}
    first = generate_answers(model, tokenizer, prompts, generation, 16, seed=1)
    assert generate_answers(model, tokenizer, prompts, generation, 16, seed=1) == first
    assert generate_answers(model, tokenizer, prompts, generation, 16, seed=2) != first


def test_evaluation_prompt_is_the_training_text_without_its_label(rows):
    frame = pd.DataFrame([{"premise": "P.", "hypothesis": "H."}])
    assert evaluation_prompts(frame, QLORA_SPEC) == ["### Premise: P.\n\n### Hypothesis: H.\n\n### Label:"]


def test_nothing_is_compiled_while_a_job_runs():
    """Otherwise a run would depend on the machine's C++ compiler, and a short run would be slower."""
    code = "import nli.runtime, bitsandbytes, sys; assert 'torch._inductor.compile_fx' not in sys.modules"
    environment = {name: value for name, value in os.environ.items() if name != "TORCHDYNAMO_DISABLE"}
    environment["PYTHONPATH"] = str(ROOT / "scripts")
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
