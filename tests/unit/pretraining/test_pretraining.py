"""Pretraining of the demo's tiny models: tokenizers, masking, batches, determinism, and the saved layout."""

import copy
import hashlib
import json
import re

import numpy as np
import pandas as pd
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoModelForMaskedLM, AutoTokenizer

from nli.base.errors import StudyError
from nli.data import synthetic
from nli.pretraining.card import decoder_scores, encoder_scores, model_files, read_card, write_card
from nli.pretraining.decoder import make_decoder, staged_batches, weighted_sequences
from nli.pretraining.encoder import (
    encode_pairs,
    make_encoder,
    mask_tokens,
    masked_batch,
    pretrain_encoder,
    tiny_roberta,
)
from nli.pretraining.loop import grouped_batches, optimise
from nli.pretraining.texts import LAYOUTS, draw_texts, draw_votes, plain_texts
from nli.pretraining.tokenizers import ANSWERS, CONNECTIVES, train_decoder_tokenizer, train_encoder_tokenizer

SMALL = {"layers": 1, "hidden_size": 32, "vocab_size": 1000, "steps": 4, "batch_size": 6}


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


def test_no_text_of_the_corpus_is_laid_out_and_named_as_one_of_the_studys(demo_study):
    studys = [prompt.text for prompt in demo_study.prompts.values()]
    studys += [getattr(experiment, "text", None) or "" for experiment in demo_study.experiments.values()]
    corpus = pd.DataFrame({"premise": "{premise}", "hypothesis": "{hypothesis}", "label": [0, 1, 2] * 1000})
    texts = [text for wide in (False, True) for text in draw_texts(corpus, np.random.default_rng(0), 0.6, 0.0, wide)]
    frames = {text.body for text in texts}
    assert len(frames) > 1000
    assert not [frame for frame in frames if any(frame.split("{hypothesis}")[0] in text for text in studys)]


def test_texts_have_every_layout_and_the_labels_of_their_pairs():
    rows = [("A dog.", "An animal.", label) for label in (0, 1, 2) for _ in range(400)]
    corpus = pd.DataFrame(rows, columns=["premise", "hypothesis", "label"])
    texts = draw_texts(corpus, np.random.default_rng(0), agreement=1.0, examples=0.3, wide=True)
    positions = {word.lower(): i for words in ANSWERS for i, word in enumerate(words)}
    for label, text in zip(corpus["label"], texts, strict=True):
        assert {positions[answer.strip().lower()] for answer in text.answers} == {label}
    assert {len(text.answers) for text in texts} == {1, 5}
    with_example = [text for text in texts if any(f" {word}\n\n" in text.body.lower() for word in positions)]
    assert len(with_example) / len(texts) == pytest.approx(0.3 * 8 / 10, abs=0.04)
    assert any("[/" in text.body for text in texts)
    with_headings = [text for text in texts if text.body.startswith("###")]
    quizzes = [text for text in with_headings if text.answers[0].strip() in ANSWERS[2]]
    assert len(quizzes) / len(with_headings) == pytest.approx(0.5, abs=0.12)
    assert any("Can An animal. be said of A dog.?" in text.body for text in texts)
    for cue, yes_or_no in (("Answer", True), ("Label", False)):  # as in the study's prompts
        ends = re.compile(rf"Hypothesis(:| -) An animal\.\s{cue}(:| -)$")
        assert {text.answers[0].strip() in ANSWERS[2] for text in texts if ends.search(text.body)} == {yes_or_no}
    with_premise = ["premise" in text.body.lower() for text in with_headings]
    with_hypothesis = ["hypothesis" in text.body.lower() for text in with_headings]
    assert set(zip(with_premise, with_hypothesis, strict=True)) == {(True, False), (False, True)}
    assert len(LAYOUTS) == 9


def test_only_wide_texts_have_a_question_on_a_line_of_its_own_and_options_of_either_kind():
    rows = [("A dog.", "An animal.", label) for label in (0, 1, 2) for _ in range(400)]
    corpus = pd.DataFrame(rows, columns=["premise", "hypothesis", "label"])
    for wide in (False, True):
        texts = draw_texts(corpus, np.random.default_rng(0), 0.6, 0.0, wide)
        assert any(re.search(r"[?]\n\w+:$", text.body) for text in texts) == wide
        listed = [text for text in texts if text.body.endswith("):")]
        assert {text.answers[0].strip() in ANSWERS[2] for text in listed} == ({True, False} if wide else {False})


def test_plain_texts_come_first_alone_and_keep_their_share_afterwards(corpus, demo_study):
    made = recipe(demo_study, "decoder", plain_steps=20, agreed_steps=220, divided_steps=420, plain_share=0.25)
    batches = staged_batches(corpus, np.full(4 * len(corpus), 9), made, np.random.default_rng(0))
    lists = np.array([np.unique(rows // len(corpus)).tolist() for rows, _ in zip(batches, range(620), strict=False)])
    assert lists.shape == (620, 1)  # no batch is from two lists
    assert set(lists[:20, 0]) == {0}
    assert set(lists[20:220, 0]) == {0, 1}
    assert set(lists[220:420, 0]) == {0, 2}
    assert set(lists[420:, 0]) == {0, 3}
    assert (lists[20:] == 0).mean() == pytest.approx(0.25, abs=0.08)
    assert {text.body.split("\n")[-1] for text in plain_texts(corpus)} == {"Class:"}


def test_annotators_agree_as_often_as_stated():
    rng = np.random.default_rng(0)
    votes = np.array([draw_votes(1, rng, 0.6) for _ in range(2000)])
    assert votes.shape == (2000, 5)
    assert [(votes == label).mean() for label in (0, 1, 2)] == pytest.approx([0.2, 0.6, 0.2], abs=0.02)


def test_the_first_label_and_the_votes_weigh_as_stated(corpus, demo_study):
    made = recipe(demo_study, "decoder", max_length=40, answer_weight=7, vote_weight=2)
    tokenizer = train_decoder_tokenizer(corpus, 900, 64)
    texts = draw_texts(corpus, np.random.default_rng(0), 0.6, 0.1, wide=True)
    sequences, weights = weighted_sequences(texts, tokenizer, made)
    words = {f"{space}{word}" for group in ANSWERS for word in group for space in ("", " ")}
    assert max(map(len, sequences)) <= 40
    for ids, weight in zip(sequences, weights, strict=True):
        assert len(ids) == len(weight)
        assert (ids[0], ids[-1]) == (tokenizer.bos_token_id, tokenizer.eos_token_id)
        first = weight.index(7)
        assert tokenizer.decode(ids[first]) in words
        assert weight[first + 1 : -1] in ([], [2] * 4)
        assert weight[:first] == [1] * first


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
    with pytest.raises(StudyError, match="the corpus has 1 pairs, fewer than a batch of 2"):
        next(batches)


def test_diverged_pretraining_is_one_clear_error(demo_study):
    model = torch.nn.Linear(2, 1)
    losses = iter([1.0, float("inf")])

    def loss_of(rows):
        return model(torch.ones(2)).sum() * next(losses), {}

    with pytest.raises(StudyError, match=r"^pretraining diverged: the loss is -?inf at step 2; lower .*learning_rate$"):
        optimise(model, iter([None] * 4), loss_of, recipe(demo_study, "encoder"))


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


@pytest.mark.parametrize(("role", "make"), [("encoder", make_encoder), ("decoder", make_decoder)])
def test_card_holds_recipe_hashes_and_scores(corpus, tmp_path, demo_study, role, make):
    made = recipe(demo_study, role)
    make(corpus, tmp_path, made, 1)
    rows = corpus.head(30)
    write_card(tmp_path, role, {"source": "made", "recipe": made}, {"matched": rows, "mismatched": rows}, 1, "0123abc")
    card = read_card(tmp_path)
    assert card["made"] == {"commit": "0123abc", "seed": 1, "recipe": made}
    assert sorted(card["files"]) == [path.name for path in model_files(tmp_path)]
    for name, digest in card["files"].items():
        assert digest == hashlib.sha256((tmp_path / name).read_bytes()).hexdigest()
    scores = [line for line in (tmp_path / "README.md").read_text().splitlines() if line.startswith("| ")][1:]
    assert len(scores) == {"encoder": 1, "decoder": len(LAYOUTS)}[role]
    for line in scores:
        _, matched, mismatched = line.strip("| ").split(" | ")
        assert matched == mismatched  # the same pairs
        assert 0 <= float(matched) <= 100


def test_card_scores_what_the_model_says(tmp_path, corpus, demo_study):
    """An encoder with a dominant output bias scores the share of the label that the bias favours."""
    make_encoder(corpus, tmp_path, recipe(demo_study, "encoder"), 1)
    model = AutoModelForMaskedLM.from_pretrained(tmp_path)
    word = AutoTokenizer.from_pretrained(tmp_path).convert_tokens_to_ids("Ġ" + CONNECTIVES[2])
    with torch.no_grad():
        model.lm_head.bias[word] = 1000
    model.save_pretrained(tmp_path)
    rows = corpus.head(50)
    assert encoder_scores(tmp_path, rows) == {"masked connective": pytest.approx((rows["label"] == 2).mean())}


def test_card_of_a_decoder_scores_every_layout(tmp_path, corpus, demo_study):
    """If all words are equally probable, the first is chosen, entailment's, in every layout."""
    make_decoder(corpus, tmp_path, recipe(demo_study, "decoder"), 1)
    model = AutoModelForCausalLM.from_pretrained(tmp_path)
    with torch.no_grad():
        model.lm_head.weight.zero_()
    model.save_pretrained(tmp_path)
    rows = corpus.head(50)
    scores = decoder_scores(tmp_path, rows)
    assert list(scores.values()) == pytest.approx([(rows["label"] == 0).mean()] * len(LAYOUTS))


@pytest.mark.parametrize(("shift", "moved"), [(0, False), (40, True)])
def test_positions_behind_the_longest_text_are_trained_where_texts_start_late(
    corpus, encoder_tokenizer, demo_study, shift, moved
):
    made = recipe(demo_study, "encoder", weight_decay=0.0, position_shift=shift, steps=6)
    trained = pretrain_encoder(corpus, encoder_tokenizer, made, seed=1)
    torch.manual_seed(1)
    start = tiny_roberta(encoder_tokenizer, made)
    first = made["max_length"] + 4  # texts are at most max_length long, and positions count from 2
    rows = [model.roberta.embeddings.position_embeddings.weight[first:] for model in (start, trained)]
    assert torch.equal(*rows) != moved
