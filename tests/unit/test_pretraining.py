"""Pretraining of the demo's tiny models: tokenizers, masking, batches, determinism, and the saved layout."""

import json

import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from transformers import AutoModelForCausalLM, AutoModelForMaskedLM, AutoTokenizer

from nli import pretraining, synthetic
from nli.errors import StudyError

TINY = {"layers": 1, "hidden_size": 32, "vocab_size": 700, "steps": 4, "batch_size": 6}


@pytest.fixture(scope="module")
def corpus() -> pd.DataFrame:
    return synthetic.generate(0, 0, 0, 0, 300, seed=1)["corpus"]


def silent(_: str) -> None:
    pass


def test_encoder_tokenizer_frames_pairs_as_roberta(corpus):
    tokenizer = pretraining.train_encoder_tokenizer(corpus, 700, 64)
    a, b = (tokenizer(text, add_special_tokens=False)["input_ids"] for text in ("Anna.", "Tom."))
    bos, eos = tokenizer.bos_token_id, tokenizer.eos_token_id
    assert tokenizer("Anna.", "Tom.")["input_ids"] == [bos, *a, eos, eos, *b, eos]
    assert (bos, tokenizer.pad_token_id, eos) == (0, 1, 2)
    assert "token_type_ids" not in tokenizer("Anna.")


def test_decoder_tokenizer_prepends_bos_and_has_no_pad_token(corpus):
    tokenizer = pretraining.train_decoder_tokenizer(corpus, 700, 64)
    ids = tokenizer("Anna.")["input_ids"]
    assert ids[0] == tokenizer.bos_token_id
    assert ids[-1] != tokenizer.eos_token_id
    assert tokenizer.pad_token is None
    assert tokenizer.decode(ids, skip_special_tokens=True) == "Anna."


@pytest.mark.parametrize("word", [w for group in pretraining.ANSWERS for w in group])
def test_every_label_word_is_one_token(corpus, word):
    tokenizer = pretraining.train_decoder_tokenizer(corpus, 900, 64)
    for text in (word, f" {word}"):
        assert len(tokenizer(text, add_special_tokens=False)["input_ids"]) == 1


def test_corpus_formats_are_not_the_studys_prompts():
    with open("report/reported.yaml") as file:
        llama = yaml.safe_load(file)["llama"]
    texts = [prompt["text"] for prompt in llama["icl"]["prompts"].values()]
    texts += [llama["qlora"]["attempt1"]["train_text"], llama["qlora"]["attempt2"]["text"]]
    for pattern in pretraining.FORMATS:
        frame = pattern.split("{hypothesis}")[0]
        assert not any(frame in text for text in texts)


def test_masking_leaves_other_tokens_alone_and_always_masks_the_connective(corpus):
    tokenizer = pretraining.train_encoder_tokenizer(corpus, 700, 64)
    torch.manual_seed(0)
    ids = torch.arange(10, 210).reshape(10, 20)
    maskable = torch.ones_like(ids, dtype=torch.bool)
    maskable[:, 0] = False
    always = torch.zeros_like(maskable)
    always[:, 5] = True
    inputs, chosen = pretraining.mask_tokens(ids, maskable & ~always, always, tokenizer, 0.3)
    assert (inputs[:, 5] == tokenizer.mask_token_id).all()
    assert (inputs[~chosen] == ids[~chosen]).all()
    assert not chosen[:, 0].any()
    assert 0.2 < chosen[:, 6:].float().mean() < 0.4


def test_batches_keep_the_pairs_of_a_premise_together():
    premises = pd.Series(["a", "b", "c", "a", "b", "c", "a", "b", "c"])
    lengths = np.full(9, 7)
    batches = pretraining.grouped_batches(premises, lengths, 3, np.random.default_rng(0))
    for _ in range(6):
        assert premises[next(batches)].nunique() == 1


def test_a_corpus_smaller_than_a_batch_says_so():
    batches = pretraining.grouped_batches(pd.Series(["a"]), np.array([3]), 2, np.random.default_rng(0))
    with pytest.raises(StudyError, match="the corpus has 1 pairs, a batch takes 2"):
        next(batches)


@pytest.mark.parametrize(
    ("make", "auto"),
    [
        (pretraining.make_encoder, AutoModelForMaskedLM),
        (pretraining.make_decoder, AutoModelForCausalLM),
    ],
)
def test_models_load_from_pretrained_and_are_the_same_for_a_seed(corpus, tmp_path, make, auto):
    states = []
    for name, seed in (("first", 1), ("again", 1), ("other", 2)):
        make(corpus, tmp_path / name, TINY, seed, silent)
        states.append(auto.from_pretrained(tmp_path / name).state_dict())
    first, again, other = states
    assert all(torch.equal(first[key], again[key]) for key in first)
    assert any(not torch.equal(first[key], other[key]) for key in first)
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "first")
    assert len(tokenizer) == next(iter(first.values())).shape[0]


def test_decoder_has_grouped_query_attention(corpus, tmp_path):
    pretraining.make_decoder(corpus, tmp_path, TINY, 1, silent)
    config = json.loads((tmp_path / "config.json").read_text())
    assert (config["num_attention_heads"], config["num_key_value_heads"]) == (4, 2)


def test_long_rows_are_cut_to_the_maximal_length(corpus):
    tokenizer = pretraining.train_encoder_tokenizer(corpus, 700, 64)
    long = corpus.head(3).assign(premise="Anna works. " * 60, hypothesis="Tom works. " * 60)
    for premise, hypothesis in pretraining.encode_with_connective(tokenizer, long, 40):
        assert len(premise) + len(hypothesis) + 6 == 40


def test_an_unknown_key_of_a_spec_is_named(tmp_path):
    path = tmp_path / "spec.json"
    path.write_text('{"stepz": 3}')
    with pytest.raises(StudyError, match="unknown stepz"):
        pretraining.read_spec(path, pretraining.ENCODER_SPEC)
