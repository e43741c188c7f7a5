"""Scores of label words: equal to a plain computation, one text at a time, and calibrated as in the paper."""

import numpy as np
import pytest
import torch
from conftest import train_tokenizer
from unit.specs import QLORA_SPEC, QUANTIZATION

from nli.answering import pairs
from nli.answering.label_scoring import (
    CONTENT_FREE,
    LABEL_SCORERS,
    calibrate,
    continuations,
    label_log_probabilities,
    shared_passes,
    with_spellings,
)
from nli.answering.pairs import answer_pairs, question_of, scored_words
from nli.base.labels import LABELS
from nli.data.draws import assign_draws
from nli.data.predictions import write_predictions
from nli.models.decoder import load_decoder, load_tokenizer
from nli.models.training_texts import evaluation_prompts
from nli.study.specs import prediction_spec

WORDS = {"Entailment": "entailment", "Neutral": "neutral", "No way at all": "contradiction"}  # one to many tokens


def plain(model, tokenizer, prompt, word):
    """Sum of the log-probabilities of the word's tokens, read off one unbatched forward pass."""
    ids = tokenizer(f"{prompt} {word}")["input_ids"]
    with torch.no_grad():
        values = torch.log_softmax(model(input_ids=torch.tensor([ids])).logits[0].double(), dim=-1)
    start = len(tokenizer(prompt)["input_ids"])
    return sum(float(values[place - 1, ids[place]]) for place in range(start, len(ids)))


@pytest.mark.parametrize("batch_size", [1, 5, 64])
def test_batched_scores_are_those_of_a_plain_computation(decoder_folder, rows, batch_size):
    tokenizer = load_tokenizer(decoder_folder)
    model = load_decoder(decoder_folder, QUANTIZATION).eval()
    prompts = evaluation_prompts(rows.head(5), QLORA_SPEC)
    scores = label_log_probabilities(model, tokenizer, prompts, " ", WORDS, batch_size)
    expected = [[plain(model, tokenizer, prompt, word) for word in WORDS] for prompt in prompts]
    np.testing.assert_allclose(scores, expected, atol=1e-4)


def test_class_with_two_words_has_the_sum_of_their_probabilities(decoder_folder, rows):
    tokenizer = load_tokenizer(decoder_folder)
    model = load_decoder(decoder_folder, QUANTIZATION).eval()
    prompts = evaluation_prompts(rows.head(1), QLORA_SPEC)
    words = {**WORDS, "Yes": "entailment"}
    scores = label_log_probabilities(model, tokenizer, prompts, " ", words, 8)
    either = sum(np.exp(plain(model, tokenizer, prompts[0], word)) for word in ("Entailment", "Yes"))
    assert scores[0, LABELS.index("entailment")] == pytest.approx(np.log(either), abs=1e-4)


SPELLED = {"Entailment": "entailment", "entailment": "entailment", "Neutral": "neutral", "No": "contradiction"}


@pytest.mark.parametrize("words", [SPELLED, {**SPELLED, "No way at all": "contradiction"}])
def test_words_that_share_a_pass_score_as_each_does_alone(decoder_folder, rows, words):
    tokenizer = load_tokenizer(decoder_folder)
    model = load_decoder(decoder_folder, QUANTIZATION).eval()
    prompts = evaluation_prompts(rows.head(4), QLORA_SPEC)
    read = []
    hook = model.register_forward_pre_hook(
        lambda module, args, named: read.append(len(named["input_ids"])), with_kwargs=True
    )
    scores = label_log_probabilities(model, tokenizer, prompts, " ", words, 3)
    hook.remove()
    assert sum(read) == len(prompts)  # once each, even for several words
    each = np.array([[np.exp(plain(model, tokenizer, prompt, word)) for word in words] for prompt in prompts])
    expected = [[each[i, [words[w] == label for w in words]].sum() for label in LABELS] for i in range(len(prompts))]
    np.testing.assert_allclose(np.exp(scores), expected, rtol=1e-4)


def test_words_of_several_tokens_that_part_take_a_pass_each(decoder_folder):
    tokenizer = load_tokenizer(decoder_folder)
    words = {"Entailment too": "entailment", "Entailment so": "entailment", "Neutral": "neutral", "No": "contradiction"}
    texts = continuations(tokenizer, ["Is it? Answer:"], " ", words)
    assert {len(text.ids) - text.start for text in texts} > {1}
    passes = shared_passes(texts)
    assert sorted(len(one.scored) for one in passes) == [1, 3]
    assert all(text.ids[:-1] == one.ids[: len(text.ids) - 1] for one in passes for text in one.scored)


def test_label_words_are_scored_as_stated_in_lower_case_and_capitalised(decoder_folder):
    spelled = with_spellings(
        load_tokenizer(decoder_folder), "Label:", " ", {"ENTAILMENT": "entailment", "Maybe": "neutral"}
    )
    assert spelled == {
        "ENTAILMENT": "entailment",
        "entailment": "entailment",
        "Maybe": "neutral",
        "maybe": "neutral",
    }


def test_spelling_with_the_tokens_of_another_is_counted_once():
    from tokenizers import normalizers

    tokenizer = train_tokenizer(["<|end|>"], "$A", "$A $B", {"eos_token": "<|end|>"})
    tokenizer.backend_tokenizer.normalizer = normalizers.Lowercase()
    words = {"Yes": "entailment", "Maybe": "neutral", "No": "contradiction"}
    assert with_spellings(tokenizer, "Answer:", " ", words) == words


def test_spelling_that_begins_as_another_class_or_is_unknown_is_left_out():
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    vocabulary = {token: i for i, token in enumerate(["[UNK]", "Answer:", "Yes", "yes", "No", "MAYBE"])}
    backend = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    backend.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=backend, unk_token="[UNK]")
    words = {"Yes": "entailment", "MAYBE": "neutral", "yes sir": "contradiction"}
    assert with_spellings(tokenizer, "Answer:", " ", words) == words  # yes begins like contradiction; maybe is unknown
    words["yes sir"] = "entailment"
    assert "yes" in with_spellings(tokenizer, "Answer:", " ", words)


def test_a_prompt_scores_every_spelling_and_a_fine_tuned_model_the_one_it_learned(decoder_folder, demo_study):
    tokenizer = load_tokenizer(decoder_folder)
    found = {
        key: scored_words(tokenizer, question_of(spec))
        for key in ("icl/prompt4", "qlora/attempt2")
        for spec in [prediction_spec(demo_study, key)]
    }
    assert {word for word, label in found["icl/prompt4"].items() if label == "neutral"} == {"Neutral", "neutral"}
    assert set(found["qlora/attempt2"]) == {"Entailment", "Neutral", "Contradiction"}


def test_calibration_divides_by_the_content_free_probabilities():
    scores = np.log([[0.6, 0.3, 0.1]])
    calibrated = np.exp(calibrate(scores, np.log([[0.6, 0.2, 0.2]])))  # 1 : 1.5 : 0.5
    np.testing.assert_allclose(calibrated, [[1 / 3, 0.5, 1 / 6]])


def test_calibration_averages_the_probabilities_after_three_content_free_prompts():
    scores = np.log([[0.06, 0.03, 0.01]])
    blank = np.log([[0.3, 0.1, 0.2], [0.04, 0.03, 0.01], [0.02, 0.02, 0.03]])  # means 0.12, 0.05, 0.08
    ratios = np.array([0.5, 0.6, 0.125])
    np.testing.assert_allclose(np.exp(calibrate(scores, blank)), [ratios / 1.225])
    own = np.stack([blank, np.log(np.full((3, 3), 0.1))])  # the second row's prompts prefer no class
    both = np.exp(calibrate(np.repeat(scores, 2, axis=0), own))
    np.testing.assert_allclose(both, [ratios / 1.225, [0.6, 0.3, 0.1]])


def test_each_pair_is_calibrated_by_the_content_free_prompts_of_its_own_draw(monkeypatch, demo_study, rows):
    spec = {**prediction_spec(demo_study, "icl/shot1_order0"), "scorers": ["calibrated_logp"], "draws": 2}
    seen = []

    def score(model, tokenizer, prompts, lead, words, batch_size, speed):
        seen.append(prompts)
        blank = np.log([[[0.5, 0.25, 0.25]], [[0.25, 0.5, 0.25]]][len(seen) - 1] * 3)
        return np.concatenate([np.log(np.full((len(prompts) - 3, 3), 0.2)), blank])

    monkeypatch.setattr(pairs, "label_log_probabilities", score)
    monkeypatch.setattr(pairs, "scored_words", lambda *_: {"yes": "entailment"})
    monkeypatch.setattr(pairs, "check_prompts", lambda *_: None)
    (frame,) = answer_pairs(None, lambda *_, **__: {"input_ids": [1]}, rows.head(8), "matched", spec, 3, rows)
    drawn = assign_draws(8, 2, 3)
    expected = np.where(drawn[:, None] == 0, [[0.2, 0.4, 0.4]], [[0.4, 0.2, 0.4]])
    np.testing.assert_allclose(np.exp(frame.filter(like="logp_")), expected)
    questions = [question_of(spec, rows, 3, draw) for draw in (0, 1)]
    for draw, question in enumerate(questions):  # a call for each draw, whose prompts begin with the same example
        own = [question.ask(row.premise, row.hypothesis) for row in rows.head(8)[drawn == draw].itertuples()]
        assert seen[draw] == [*own, *(question.ask(text, text) for text in CONTENT_FREE)]


def test_every_scorer_judges_the_same_pairs(decoder_folder, rows, tmp_path):
    spec = {
        **QLORA_SPEC,
        "family": "qlora",
        "scorers": ["first_label", *LABEL_SCORERS],
        "generation": {"temperature": 0.0, "max_new_tokens": 2},
        "evaluation": {"batch_size": 4},
    }
    tokenizer = load_tokenizer(decoder_folder)
    frames = answer_pairs(load_decoder(decoder_folder, QUANTIZATION), tokenizer, rows.head(6), "matched", spec, seed=0)
    assert [frame["scorer"].iloc[0] for frame in frames] == spec["scorers"]
    assert all(list(frame["pair_id"]) == list(rows.head(6)["pair_id"]) for frame in frames)
    for frame in frames:
        write_predictions(frame, tmp_path / "predictions.parquet")  # each fulfils the contract


def test_question_of_a_training_text_ends_before_the_labels_space():
    question = question_of({**QLORA_SPEC, "family": "qlora"})
    assert (
        question.ask("A dog {x}.", "It barks.") == "### Premise: A dog {x}.\n\n### Hypothesis: It barks.\n\n### Label:"
    )
    assert question.lead == " "


def test_question_of_a_prompt_is_the_prompt_itself(demo_study):
    question = question_of(prediction_spec(demo_study, "icl/prompt2_direction"))
    text = question.ask("P.", "H.")
    assert text.endswith("Does H. follow logically from the P.?. Answer:")
    assert question.words == {"Yes": "entailment", "Maybe": "neutral", "No": "contradiction"}
