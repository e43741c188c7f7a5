"""Pretraining of the demo's tiny models: tokenizers, masking, batches, determinism, and the saved layout."""

import copy
import json

import numpy as np
import pandas as pd
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoModelForMaskedLM, AutoTokenizer

from nli import synthetic
from nli.errors import StudyError
from nli.pretraining.decoder import FORMATS, make_decoder
from nli.pretraining.encoder import encode_pairs, make_encoder, mask_tokens, masked_batch
from nli.pretraining.loop import grouped_batches
from nli.pretraining.tokenizers import ANSWERS, CONNECTIVES, train_decoder_tokenizer, train_encoder_tokenizer

SMALL = {"layers": 1, "hidden_size": 32, "vocab_size": 700, "steps": 4, "batch_size": 6}


@pytest.fixture(scope="module")
def corpus() -> pd.DataFrame:
    return synthetic.generate(0, 0, 0, 0, 300, seed=1)["corpus"]


@pytest.fixture(scope="module")
def encoder_tokenizer(corpus):
    return train_encoder_tokenizer(corpus, 700, 64)


def recipe(demo_study, role, **changes):
    return copy.deepcopy(getattr(demo_study.models, role).recipe.model_dump()) | SMALL | changes


def test_encoder_tokenizer_frames_pairs_as_roberta(encoder_tokenizer):
    tokenizer = encoder_tokenizer
    a, b = (tokenizer(text, add_special_tokens=False)["input_ids"] for text in ("Anna.", "Tom."))
    bos, eos = tokenizer.bos_token_id, tokenizer.eos_token_id
    assert tokenizer("Anna.", "Tom.")["input_ids"] == [bos, *a, eos, eos, *b, eos]
    assert (bos, tokenizer.pad_token_id, eos) == (0, 1, 2)


def test_decoder_tokenizer_prepends_bos_and_has_no_pad_token(corpus):
    tokenizer = train_decoder_tokenizer(corpus, 700, 64)
    ids = tokenizer("Anna.")["input_ids"]
    assert ids[0] == tokenizer.bos_token_id
    assert ids[-1] != tokenizer.eos_token_id
    assert tokenizer.pad_token is None
    assert tokenizer.decode(ids, skip_special_tokens=True) == "Anna."


@pytest.mark.parametrize("word", [word for group in ANSWERS for word in group])
def test_every_label_word_is_one_token(corpus, word):
    tokenizer = train_decoder_tokenizer(corpus, 900, 64)
    for text in (word, f" {word}"):
        assert len(tokenizer(text, add_special_tokens=False)["input_ids"]) == 1


def test_corpus_formats_are_not_the_studys_prompts_or_texts(demo_study):
    texts = [prompt.text for prompt in demo_study.prompts.values()]
    texts += [getattr(experiment, "text", "") for experiment in demo_study.experiments.values()]
    for pattern in FORMATS:
        frame = pattern.split("{hypothesis}")[0]
        assert not any(frame in text for text in texts)


def test_masking_touches_the_chosen_tokens_only():
    torch.manual_seed(0)
    ids = torch.arange(10, 4010).reshape(100, 40)
    chosen = torch.zeros_like(ids, dtype=torch.bool)
    chosen[:, 5:15] = True
    inputs = mask_tokens(ids, chosen, mask_id=4)
    assert torch.equal(inputs[~chosen], ids[~chosen])
    shares = [(inputs[chosen] == 4).float().mean(), (inputs[chosen] == ids[chosen]).float().mean()]
    assert shares == pytest.approx([0.5, 0.4], abs=0.05)


@pytest.mark.parametrize("kind", ["shown", "masked", "dropped"])
def test_connective_is_shown_masked_or_predicted_at_the_sentence_start(corpus, encoder_tokenizer, demo_study, kind):
    tokenizer = encoder_tokenizer
    made = recipe(demo_study, "encoder", connective={"shown": 0.0, "masked": 0.0, "dropped": 0.0} | {kind: 1.0})
    pairs = encode_pairs(tokenizer, corpus.head(6), 64)
    word = tokenizer.convert_tokens_to_ids("Ġ" + CONNECTIVES[0])
    batch = masked_batch(pairs, [word] * 6, tokenizer, made)
    places = batch.connective.nonzero()[:, 1].tolist()
    if kind == "shown":
        assert places == []
        assert all(word in row for row in batch.inputs.tolist())
    elif kind == "masked":
        assert places == [len(premise) + 3 for premise, _ in pairs]
        assert (batch.inputs[batch.connective] == tokenizer.mask_token_id).all()
    else:
        assert places == [0] * 6
        assert (batch.inputs[:, 0] == tokenizer.bos_token_id).all()
    assert (batch.targets[batch.connective] == word).all()


def test_batches_keep_the_pairs_of_a_premise_together():
    premises = pd.Series(["a", "b", "c", "a", "b", "c", "a", "b", "c"])
    batches = grouped_batches(premises, np.full(9, 7), 3, np.random.default_rng(0))
    for _ in range(6):
        assert premises[next(batches)].nunique() == 1


def test_a_corpus_smaller_than_a_batch_says_so():
    batches = grouped_batches(pd.Series(["a"]), np.array([3]), 2, np.random.default_rng(0))
    with pytest.raises(StudyError, match="the corpus has 1 pairs, a batch takes 2"):
        next(batches)


@pytest.mark.parametrize(
    ("role", "make", "auto"),
    [("encoder", make_encoder, AutoModelForMaskedLM), ("decoder", make_decoder, AutoModelForCausalLM)],
)
def test_models_load_from_pretrained_and_are_the_same_for_a_seed(corpus, tmp_path, demo_study, role, make, auto):
    states = []
    for name, seed in (("first", 1), ("again", 1), ("other", 2)):
        make(corpus, tmp_path / name, recipe(demo_study, role), seed)
        states.append(auto.from_pretrained(tmp_path / name).state_dict())
    first, again, other = states
    assert all(torch.equal(first[key], again[key]) for key in first)
    assert any(not torch.equal(first[key], other[key]) for key in first)
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "first")
    assert len(tokenizer) == next(iter(first.values())).shape[0]


def test_decoder_has_grouped_query_attention(corpus, tmp_path, demo_study):
    make_decoder(corpus, tmp_path, recipe(demo_study, "decoder"), 1)
    config = json.loads((tmp_path / "config.json").read_text())
    assert (config["num_attention_heads"], config["num_key_value_heads"]) == (4, 2)


def test_encoder_has_positions_for_the_longest_pair_and_its_virtual_tokens(demo_study):
    experiment = demo_study.experiments["roberta/prompt_tuning"]
    needed = experiment.tokenization.max_length + experiment.prompt.num_virtual_tokens + 2  # RoBERTa starts at 2
    assert demo_study.models.encoder.recipe.max_positions >= needed


def test_long_rows_are_cut_to_the_maximal_length(corpus, encoder_tokenizer):
    long = corpus.head(3).assign(premise="Anna works. " * 60, hypothesis="Tom works. " * 60)
    for premise, hypothesis in encode_pairs(encoder_tokenizer, long, 40):
        assert len(premise) + len(hypothesis) + 6 == 40
