"""Label scoring in one pass: the trees, and that the scores are those of separate texts."""

import numpy as np
import pytest
from transformers import AutoConfig, AutoModelForCausalLM
from unit.specs import QLORA_SPEC, QUANTIZATION, small_decoder

from nli.answering import label_scoring
from nli.answering.label_scoring import label_log_probabilities
from nli.answering.label_trees import takes_trees, tree_batch, tree_of
from nli.models.architecture import STANDARD_DECODERS
from nli.models.decoder import load_decoder, load_tokenizer
from nli.models.training_texts import evaluation_prompts

WORDS = {
    "Entailment": "entailment", "Entailment too": "entailment", "Entailment so": "entailment",
    "Neutral": "neutral", "No way at all": "contradiction",
}  # fmt: skip


SMALL = tree_of([([1, 2, 3, 7, 8, 9], 3)])  # a context of 3 tokens, branches of 2


def test_tree_shares_what_the_words_share_and_leaves_out_their_last_tokens():
    tree = tree_of([([1, 2, 3, 7, 8, 9], 3), ([1, 2, 3, 7, 8, 5], 3), ([1, 2, 3, 6], 3), ([1, 2, 3, 7, 4], 3)])
    assert tree.context == [1, 2, 3]
    assert tree.tokens == [7, 8]
    assert tree.parents == [-1, 0]
    assert tree.depths == [1, 2]
    assert tree.words == [([0, 1, 2], [7, 8, 9]), ([0, 1, 2], [7, 8, 5]), ([0], [6]), ([0, 1], [7, 4])]


def test_context_ends_where_a_word_changes_the_prompts_own_tokens():
    tree = tree_of([([1, 2, 30], 2), ([1, 20, 31, 32], 1)])
    assert tree.context == [1]
    assert tree.tokens == [2, 20, 31]
    assert tree.parents == [-1, -1, 1]
    assert tree.words == [([1], [30]), ([0, 2, 3], [20, 31, 32])]


def test_branch_sees_the_context_and_its_own_tokens_only():
    tree = tree_of([([1, 2, 7, 8, 9], 2), ([1, 2, 6, 5], 2)])
    inputs, kept = tree_batch([tree, tree_of([([1, 2, 3, 4], 3)])], 0, pad=0)
    assert kept == 4
    assert inputs["input_ids"].tolist() == [[0, 1, 2, 7, 8, 6], [1, 2, 3, 0, 0, 0]]
    assert inputs["position_ids"][0].tolist()[1:] == [0, 1, 2, 3, 2]
    seen = inputs["attention_mask"][0, 0].int().tolist()
    assert seen == [
        [1, 0, 0, 0, 0, 0],
        [0, 1, 0, 0, 0, 0],
        [0, 1, 1, 0, 0, 0],
        [0, 1, 1, 1, 0, 0],
        [0, 1, 1, 1, 1, 0],
        [0, 1, 1, 0, 0, 1],
    ]


def both(model, tokenizer, prompts, words, batch_size):
    return [
        label_log_probabilities(model, tokenizer, prompts, " ", words, batch_size, speed) for speed in ("plain", "fast")
    ]


@pytest.mark.parametrize("batch_size", [1, 5, 64])
@pytest.mark.parametrize("start", ["", "Here is one sentence, and here is another one, so what is it?\n\n"])
def test_scores_are_those_of_separate_texts(decoder_folder, rows, batch_size, start, monkeypatch):
    tokenizer, model = load_tokenizer(decoder_folder), load_decoder(decoder_folder, QUANTIZATION).eval()
    prompts = [start + prompt for prompt in evaluation_prompts(rows.head(7), QLORA_SPEC)]
    plain = label_log_probabilities(model, tokenizer, prompts, " ", WORDS, batch_size)
    monkeypatch.setattr(label_scoring, "shared_passes", None)  # the plain path cannot run
    fast = label_log_probabilities(model, tokenizer, prompts, " ", WORDS, batch_size, "fast")
    np.testing.assert_allclose(fast, plain, atol=1e-4)
    assert (fast.argmax(axis=1) == plain.argmax(axis=1)).all()


def test_each_prompt_takes_one_row_of_one_pass(decoder_folder, rows):
    tokenizer, model = load_tokenizer(decoder_folder), load_decoder(decoder_folder, QUANTIZATION).eval()
    prompts = evaluation_prompts(rows.head(4), QLORA_SPEC)
    read = []
    hook = model.register_forward_pre_hook(
        lambda _, args, named: read.append(len(named["input_ids"])), with_kwargs=True
    )
    label_log_probabilities(model, tokenizer, prompts, " ", WORDS, 3, "fast")
    hook.remove()
    assert sum(read) == len(prompts) + 1  # what they begin with, once


@pytest.mark.parametrize("kind", STANDARD_DECODERS)
def test_every_kind_of_decoder_scores_as_it_does_text_by_text(decoder_folder, rows, kind):
    tokenizer = load_tokenizer(decoder_folder)
    model = small_decoder(kind, len(tokenizer))
    assert takes_trees(model, [SMALL])
    prompts = ["It is so, or is it not so at all? " + text for text in evaluation_prompts(rows.head(5), QLORA_SPEC)]
    plain, fast = both(model, tokenizer, prompts, WORDS, 3)
    np.testing.assert_allclose(fast, plain, atol=1e-4)


def test_decoders_of_other_kinds_attentions_and_windows_take_the_plain_path(decoder_folder):
    tokenizer = load_tokenizer(decoder_folder)
    window = small_decoder("gemma3_text", len(tokenizer))
    window.config.sliding_window = 5
    assert takes_trees(window, [SMALL])
    assert not takes_trees(window, [SMALL, tree_of([([1, 2, 3, 4, 5], 4)])])  # its 4 tokens and the other's branches
    model = small_decoder("llama", len(tokenizer))
    model.config._attn_implementation = "eager"
    assert not takes_trees(model, [SMALL])
    other = AutoConfig.for_model("gpt2", n_layer=1, n_embd=8, n_head=1)
    assert not takes_trees(AutoModelForCausalLM.from_config(other), [SMALL])
