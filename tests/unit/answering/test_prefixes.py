"""What prompts begin with is computed once: the same answers, from fewer tokens."""

import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM
from unit.specs import QUANTIZATION

from nli.answering.generate import generate_answers, padded_after_prefix
from nli.answering.prefixes import common_prefix, takes_prefix
from nli.models.decoder import load_decoder, load_tokenizer

SHOWN = "Premise: A dog runs. Hypothesis: An animal runs. Label: Entailment\n\n"
GREEDY = {"temperature": 0.0, "max_new_tokens": 5}
SAMPLED = {"temperature": 1.5, "top_k": 0, "top_p": 1.0, "max_new_tokens": 5}
KINDS = ["llama", "mistral", "qwen2", "qwen3", "gemma3_text"]


def test_prefix_is_common_to_all_and_leaves_a_token_of_each_text():
    prompts = [list(range(1, 12)), [*range(1, 10), 50, 51], list(range(1, 10))]
    assert common_prefix(prompts) == list(range(1, 9))
    assert common_prefix(prompts[:1]) == []  # of one text nothing is shared
    assert common_prefix([[1, 2], [1, 3]]) == []  # too short to be worth a pass


def test_padding_stands_between_the_prefix_and_what_is_a_texts_own():
    batch = padded_after_prefix([[1, 2, 3, 4, 5], [1, 2, 6]], 2, pad=0)
    assert batch["input_ids"].tolist() == [[1, 2, 3, 4, 5], [1, 2, 0, 0, 6]]
    assert batch["attention_mask"].tolist() == [[1, 1, 1, 1, 1], [1, 1, 0, 0, 1]]


@pytest.fixture(scope="module", params=KINDS)
def model(request, decoder_folder):
    """A tiny decoder of the kind, with random weights that make its answers differ."""
    kind = request.param
    if kind == "llama":
        return load_decoder(decoder_folder, QUANTIZATION)
    sizes = {"num_hidden_layers": 2, "hidden_size": 64, "intermediate_size": 128, "num_attention_heads": 4}
    config = AutoConfig.for_model(
        kind,
        **sizes,
        num_key_value_heads=2,
        head_dim=16,
        vocab_size=len(load_tokenizer(decoder_folder)),
        initializer_range=0.3,
        sliding_window=256,
    )
    torch.manual_seed(0)
    return AutoModelForCausalLM.from_config(config).eval()


@pytest.mark.parametrize("generation", [GREEDY, SAMPLED])
def test_answers_are_those_without_it(model, decoder_folder, rows, generation):
    tokenizer = load_tokenizer(decoder_folder)
    prompts = [f"{SHOWN}Premise: {row.premise} Hypothesis: {row.hypothesis} Label:" for row in rows.itertuples()][:9]
    tokens = []
    hook = model.get_input_embeddings().register_forward_hook(
        lambda module, args, output: tokens.append(args[0].numel())
    )
    answers, computed = {}, {}
    for speed in ("plain", "fast"):
        tokens.clear()
        answers[speed] = generate_answers(model, tokenizer, prompts, generation, 4, 3, speed=speed)
        computed[speed] = sum(tokens)
    hook.remove()
    assert answers["fast"] == answers["plain"]
    assert len(set(answers["plain"])) > 1 or generation is GREEDY
    assert computed["fast"] < 0.75 * computed["plain"]


def test_texts_beyond_a_sliding_window_share_no_prefix(decoder_folder):
    model = load_decoder(decoder_folder, QUANTIZATION)
    assert takes_prefix(model, 10_000)
    model.config.sliding_window = 64
    assert takes_prefix(model, 64)
    assert not takes_prefix(model, 65)
