"""The three merges on a random Llama: what each does to the adapter's effect, and what is saved."""

import pytest
import torch
from unit.test_decoder import QUANTIZATION, SPEC

from nli import runtime
from nli.decoder import add_adapter, load_adapter, load_decoder, load_tokenizer
from nli.language_modeling import evaluation_prompts
from nli.merging import MERGES, last_logits, load_merged, relative_error


@pytest.fixture(scope="module")
def adapter(decoder_folder, tmp_path_factory):
    """An adapter that does something: its B is not zero."""
    folder = tmp_path_factory.mktemp("adapter")
    runtime.start(0, threads=1)
    model = add_adapter(load_decoder(decoder_folder, QUANTIZATION), SPEC)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "lora_B" in name:
                parameter.normal_(std=0.01)
    model.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def errors(decoder_folder, adapter, rows):
    tokenizer = load_tokenizer(decoder_folder)
    prompts = evaluation_prompts(rows.head(6), SPEC)
    model = load_adapter(load_decoder(decoder_folder, QUANTIZATION), adapter)
    adapted = last_logits(model, tokenizer, prompts)
    with model.disable_adapter():
        base = last_logits(model, tokenizer, prompts)
    merged = {into: merge(decoder_folder, QUANTIZATION, adapter) for into, merge in MERGES.items()}
    return {
        into: relative_error(last_logits(model, tokenizer, prompts), adapted, base) for into, model in merged.items()
    }


def test_4_bit_merge_errs_more_than_five_times_as_much_as_the_dequantized_one(errors):
    assert errors["4bit"]["relative_error"] > 5 * errors["dequantized"]["relative_error"]
    assert errors["4bit"]["relative_error"] > 0.1


def test_dequantized_merge_is_the_adapter_on_its_base(errors):
    assert errors["dequantized"]["relative_error"] < 1e-4


def test_original_weights_are_not_those_that_the_adapter_was_trained_on(errors):
    assert errors["original"]["relative_error"] > 5 * errors["dequantized"]["relative_error"]


def test_error_is_the_share_of_the_adapters_effect():
    base, adapted = torch.tensor([[0.0, 0.0]]), torch.tensor([[3.0, 4.0]])
    found = relative_error(torch.tensor([[3.0, 3.0]]), adapted, base)
    assert found == {"error": 1.0, "effect": 5.0, "relative_error": 0.2}
    assert relative_error(base, base, base)["relative_error"] is None


@pytest.mark.parametrize("into", list(MERGES))
def test_merged_model_is_saved_and_answers_as_before(decoder_folder, adapter, rows, tmp_path, into):
    tokenizer = load_tokenizer(decoder_folder)
    prompts = evaluation_prompts(rows.head(3), SPEC)
    merged = MERGES[into](decoder_folder, QUANTIZATION, adapter)
    before = last_logits(merged, tokenizer, prompts)
    merged.save_pretrained(tmp_path)
    again = load_merged(tmp_path, {"merge_into": into, "quantization": QUANTIZATION})
    assert torch.equal(last_logits(again, tokenizer, prompts), before)
    four_bit = any(type(module).__name__ == "Linear4bit" for module in again.modules())
    assert four_bit == (into == "4bit")
