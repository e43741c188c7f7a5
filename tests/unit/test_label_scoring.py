"""Scores of label words: equal to a plain computation, one text at a time, and calibrated as the paper says."""

import numpy as np
import pytest
import torch
from unit.test_decoder import QUANTIZATION, SPEC

from nli.answering import answer_pairs, question_of
from nli.decoder import load_decoder, load_tokenizer
from nli.label_scoring import LABEL_SCORERS, calibrate, label_log_probabilities
from nli.labels import LABELS
from nli.language_modeling import evaluation_prompts
from nli.predictions import write_predictions

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
    prompts = evaluation_prompts(rows.head(5), SPEC)
    scores = label_log_probabilities(model, tokenizer, prompts, " ", WORDS, batch_size)
    expected = [[plain(model, tokenizer, prompt, word) for word in WORDS] for prompt in prompts]
    np.testing.assert_allclose(scores, expected, atol=1e-4)


def test_class_with_two_words_has_the_sum_of_their_probabilities(decoder_folder, rows):
    tokenizer = load_tokenizer(decoder_folder)
    model = load_decoder(decoder_folder, QUANTIZATION).eval()
    prompts = evaluation_prompts(rows.head(1), SPEC)
    words = {**WORDS, "Yes": "entailment"}
    scores = label_log_probabilities(model, tokenizer, prompts, " ", words, 8)
    either = sum(np.exp(plain(model, tokenizer, prompts[0], word)) for word in ("Entailment", "Yes"))
    assert scores[0, LABELS.index("entailment")] == pytest.approx(np.log(either), abs=1e-4)


def test_calibration_divides_by_the_content_free_probabilities():
    scores = np.log([[0.6, 0.3, 0.1]])
    calibrated = np.exp(calibrate(scores, np.log([0.6, 0.2, 0.2])))  # 1 : 1.5 : 0.5
    np.testing.assert_allclose(calibrated, [[1 / 3, 0.5, 1 / 6]])


def test_every_scorer_judges_the_same_pairs(decoder_folder, rows, tmp_path):
    spec = {
        **SPEC,
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
        write_predictions(frame, tmp_path / "predictions.parquet")  # each keeps the contract


def test_question_of_a_training_text_ends_before_the_labels_space():
    question = question_of({**SPEC, "family": "qlora"})
    assert (
        question.ask("A dog {x}.", "It barks.") == "### Premise: A dog {x}.\n\n### Hypothesis: It barks.\n\n### Label:"
    )
    assert question.lead == " "


def test_question_of_a_prompt_is_the_prompt_itself(demo_study):
    from nli.config import prediction_spec

    question = question_of(prediction_spec(demo_study, "icl/prompt2_direction"))
    text = question.ask("P.", "H.")
    assert text.endswith("Does H. follow logically from the P.?. Answer:")
    assert question.words == {"Yes": "entailment", "Maybe": "neutral", "No": "contradiction"}
