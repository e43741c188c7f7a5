"""The three merges on a random Llama: their effect on the adapter, and what is saved."""

import math
import runpy
import sys
from contextlib import contextmanager

import pytest
import torch
from conftest import ROOT
from unit.specs import QLORA_SPEC, QUANTIZATION

from nli import runtime
from nli.base.atomic import write_json
from nli.base.files import read_json
from nli.data.splits import write_split
from nli.jobs import outline
from nli.models.decoder import add_adapter, load_adapter, load_decoder, load_tokenizer, prepared_to_answer
from nli.models.merging import MERGES, MergeError, divergence, last_logits, load_merged
from nli.models.training_texts import evaluation_prompts


@pytest.fixture(scope="module")
def adapter(decoder_folder, tmp_path_factory):
    """An adapter with an effect: its B is not zero."""
    folder = tmp_path_factory.mktemp("adapter")
    runtime.start(0, threads=1)
    model = add_adapter(load_decoder(decoder_folder, QUANTIZATION), QLORA_SPEC)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "lora_B" in name:
                parameter.normal_(std=0.01)
    model.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def errors(decoder_folder, adapter, rows, tmp_path_factory):
    tokenizer = load_tokenizer(decoder_folder)
    error = MergeError(tokenizer, evaluation_prompts(rows.head(6), QLORA_SPEC), 4, tmp_path_factory.mktemp("logits"))
    error.measure_adapter(load_adapter(load_decoder(decoder_folder, QUANTIZATION), adapter))
    merged = {into: merge(decoder_folder, QUANTIZATION, adapter) for into, merge in MERGES.items()}
    return {into: error.measure_merged(model) for into, model in merged.items()}


def test_4_bit_merge_errs_more_than_25_times_as_much_as_the_dequantized_one(errors):
    assert errors["4bit"]["kl_ratio"] > 25 * errors["dequantized"]["kl_ratio"]
    assert errors["4bit"]["kl_ratio"] > 0.01


def test_dequantized_merge_is_the_adapter_on_its_base(errors):
    assert errors["dequantized"]["kl_ratio"] < 1e-8


def test_original_weights_are_not_those_that_the_adapter_was_trained_on(errors):
    assert errors["original"]["kl_ratio"] > 25 * errors["dequantized"]["kl_ratio"]


def test_divergence_is_that_of_the_two_distributions():
    p, q = torch.log(torch.tensor([0.5, 0.25, 0.25])), torch.log(torch.tensor([0.25, 0.5, 0.25]))
    assert divergence(p, q) == pytest.approx(0.25 * math.log(2), rel=1e-6)  # 0.5 log 2 - 0.25 log 2
    certain = torch.log(torch.tensor([0.75, 0.25]))
    assert divergence(certain, torch.zeros(2)) == pytest.approx(0.75 * math.log(1.5) + 0.25 * math.log(0.5), rel=1e-6)
    assert divergence(torch.zeros(2), certain) == pytest.approx(-0.5 * math.log(4 * 0.75 * 0.25), rel=1e-6)


def test_divergence_ignores_what_a_softmax_ignores():
    generator = torch.Generator().manual_seed(0)
    row, other = torch.randn(2, 50, generator=generator, dtype=torch.float64)
    assert divergence(row + 123.0, other - 45.0) == pytest.approx(divergence(row, other), abs=1e-12)
    assert divergence(row, row + 7.0) == pytest.approx(0.0, abs=1e-12)


class Fixed(torch.nn.Module):
    """A model that answers each prompt, identified by its last token, with given logits; its base has other logits."""

    def __init__(self, logits, base=None):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1))
        self.logits, self.base = logits, base

    def forward(self, input_ids, attention_mask, logits_to_keep):
        rows = torch.stack([torch.stack([self.logits[int(token)] for token in text]) for text in input_ids])
        return type("Output", (), {"logits": rows[:, -logits_to_keep:]})

    @contextmanager
    def disable_adapter(self):
        own, self.logits = self.logits, self.base
        yield
        self.logits = own


def test_error_is_the_mean_over_all_rows_beside_the_adapters_effect(tmp_path):
    class Tokenizer:
        pad_token_id = 0

        def __call__(self, prompts):
            return {"input_ids": [[1] * len(prompt) + [2 + len(prompt) % 2] for prompt in prompts]}

    even = torch.log(torch.tensor([0.5, 0.25, 0.25]))
    tables = [
        [torch.zeros(3)] * 2 + [even, even],  # the adapter's
        [torch.zeros(3)] * 2 + [torch.log(torch.tensor([0.25, 0.5, 0.25])), even],  # its base's: moved on even prompts
        [torch.zeros(3)] * 2 + [even + 5.0, torch.log(torch.tensor([0.25, 0.5, 0.25]))],  # merged: wrong on odd ones
    ]
    error = MergeError(Tokenizer(), ["aa", "a", "aaaa", "aaa", "aaaaaa", "aaaaaaaa"], 4, tmp_path)
    error.measure_adapter(Fixed(tables[0], tables[1]))
    found = error.measure_merged(Fixed(tables[2]))
    assert found["rows"] == 6
    assert found["kl_adapter_base"] == pytest.approx(4 / 6 * 0.25 * math.log(2), rel=1e-6)
    assert found["kl_adapter_merged"] == pytest.approx(2 / 6 * 0.25 * math.log(2), rel=1e-6)
    assert found["kl_ratio"] == pytest.approx(0.5, rel=1e-6)
    error.measure_adapter(Fixed(tables[0], tables[0]))
    assert error.measure_merged(Fixed(tables[2]))["kl_ratio"] is None


def test_batched_logits_are_those_of_each_prompt_alone(decoder_folder, rows):
    tokenizer = load_tokenizer(decoder_folder)
    model = load_decoder(decoder_folder, QUANTIZATION).eval()
    prompts = evaluation_prompts(rows.head(5), QLORA_SPEC)
    found = dict(last_logits(model, tokenizer, prompts, 3))
    with torch.no_grad():
        for i, prompt in enumerate(prompts):
            alone = model(**tokenizer(prompt, return_tensors="pt")).logits[0, -1]
            torch.testing.assert_close(found[i], alone, atol=1e-4, rtol=0)


@pytest.mark.parametrize("into", list(MERGES))
def test_merged_model_is_saved_and_answers_as_before(decoder_folder, adapter, rows, tmp_path, into):
    tokenizer = load_tokenizer(decoder_folder)
    prompts = evaluation_prompts(rows.head(3), QLORA_SPEC)
    merged = MERGES[into](decoder_folder, QUANTIZATION, adapter)
    before = dict(last_logits(merged, tokenizer, prompts, 3))
    merged.save_pretrained(tmp_path)
    again = load_merged(tmp_path, {"merge_into": into, "quantization": QUANTIZATION, "prepared": True})
    after = dict(last_logits(again, tokenizer, prompts, 3))
    assert all(torch.equal(after[i], before[i]) for i in range(3))
    four_bit = any(type(module).__name__ == "Linear4bit" for module in again.modules())
    assert four_bit == (into == "4bit")


def run_script(name, monkeypatch, arguments):
    words = [str(word) for option, value in arguments.items() for word in (option, value)]
    monkeypatch.setattr(sys, "argv", [name, *words])
    runpy.run_path(str(ROOT / "scripts" / name), run_name="__main__")


def types(model):
    """Parameter -> its type, without PEFT's prefix."""
    return {name.removeprefix("base_model.model."): p.dtype for name, p in model.named_parameters()}


@pytest.mark.parametrize(("prepared", "kept"), [(True, torch.float32), (False, None)])
@pytest.mark.parametrize(("into", "half"), [("4bit", "float16"), ("4bit", "bfloat16"), ("dequantized", "float16")])
def test_merge_error_is_that_of_the_models_that_answer(
    decoder_folder, adapter, rows, tmp_path, monkeypatch, into, half, prepared, kept
):
    """Norms, embeddings and head that `prepared` casts to float32 are also cast when the error is measured."""
    measured, answering = {}, []
    for part in ("adapter", "merged"):
        method = getattr(MergeError, f"measure_{part}")

        def record(self, model, part=part, method=method):
            measured[part] = types(model)
            return method(self, model)

        monkeypatch.setattr(MergeError, f"measure_{part}", record)
    monkeypatch.setattr(outline, "answer_splits", lambda args, spec, model, *rest: answering.append(types(model)))
    spec = {
        **QLORA_SPEC,
        "family": "qlora",
        "name": "merged",
        "merge_into": into,
        "prepared": prepared,
        "sample_seed": 1,
    }
    spec |= {"evaluation": {"examples": None, "batch_size": 4}, "scorers": ["label_logp"]}
    spec |= {"quantization": {**QUANTIZATION, "compute_dtype": half}}
    write_json(tmp_path / "spec.json", spec)
    write_split(rows.head(6), tmp_path / "matched.parquet")
    common = {"--spec": tmp_path / "spec.json", "--split": f"matched={tmp_path / 'matched.parquet'}", "--seed": 1}
    merge = {"--model": decoder_folder, "--adapter": adapter, "--output-dir": tmp_path / "merged"}
    run_script("merge_adapter.py", monkeypatch, {**common, **merge, "--error": tmp_path / "error.json"})
    answer = {"--predictions": tmp_path / "p.parquet", "--run": tmp_path / "run.json", "--record": tmp_path / "r.json"}
    for model in ({"--model": decoder_folder, "--adapter": adapter}, {"--model": tmp_path / "merged"}):
        run_script("predict_qlora.py", monkeypatch, {**common, **answer, **model})
    assert [measured["adapter"], measured["merged"]] == answering
    cast = {name: found["model.norm.weight"] for name, found in measured.items()}
    half = getattr(torch, half)
    assert cast == {"adapter": kept or half, "merged": (kept if into == "4bit" else None) or half}
    assert read_json(tmp_path / "error.json")["rows"] == 6


@pytest.mark.parametrize("half", ["float16", "bfloat16"])
def test_4_bit_merge_is_the_same_whether_the_model_was_prepared_before_or_is_after(
    decoder_folder, adapter, tmp_path, half
):
    quantization = {**QUANTIZATION, "compute_dtype": half}
    spec = {"merge_into": "4bit", "quantization": quantization, "prepared": True}
    before = load_adapter(prepared_to_answer(load_decoder(decoder_folder, quantization), spec), adapter)
    before = before.merge_and_unload().state_dict()
    MERGES["4bit"](decoder_folder, quantization, adapter).save_pretrained(tmp_path)
    after = load_merged(tmp_path, spec).state_dict()
    assert before.keys() == after.keys()
    assert all(before[name].dtype == after[name].dtype and torch.equal(before[name], after[name]) for name in before)
