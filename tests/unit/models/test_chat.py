"""Prompts in a chat template: a user's message, with every special token once, answered and scored like any other."""

import numpy as np
import pytest
from unit.specs import QUANTIZATION

from nli.answering.pairs import answer_pairs, chat_details, question_of
from nli.base.errors import StudyError
from nli.models.chat import chat_prompt
from nli.models.compatibility import check_decoder
from nli.models.decoder import load_decoder, load_tokenizer
from nli.study.specs import prediction_spec

LOGP = ["logp_entailment", "logp_neutral", "logp_contradiction"]
TEMPLATE = (
    "{{ bos_token }}{% for message in messages %}### {{ message['role'] }}\n{{ message['content'] }}\n{% endfor %}"
    "{% if add_generation_prompt %}### assistant\n{% endif %}"
)


@pytest.fixture
def tokenizer(decoder_folder):
    tokenizer = load_tokenizer(decoder_folder)
    tokenizer.chat_template = TEMPLATE
    return tokenizer


@pytest.fixture
def spec(demo_study):
    return {**prediction_spec(demo_study, "icl/prompt2_direction"), "chat": True}


def test_whole_prompt_is_a_users_message_before_the_models_turn(tokenizer, spec):
    plain = question_of({**spec, "chat": False})
    question = question_of(spec, tokenizer=tokenizer)
    assert question.ask("P.", "H.").endswith(f"### user\n{plain.ask('P.', 'H.')}\n### assistant\n")
    assert (plain.lead, question.lead) == (" ", "")  # the template ends in a line break


def test_record_has_the_prompt_in_the_template(tokenizer, spec):
    text = spec["prompt"]["text"]
    assert "{premise}" in text
    assert chat_details(tokenizer, spec) == {"chat_prompt": f"### user\n{text}\n### assistant\n"}
    assert chat_details(tokenizer, {**spec, "chat": False}) == {}


def test_beginning_of_text_stands_once(tokenizer):
    ids = tokenizer(chat_prompt(tokenizer, "text"))["input_ids"]
    begins = tokenizer.bos_token_id
    assert begins is not None
    assert ids.count(begins) == 1
    assert ids[0] == begins


def test_both_ways_of_judging_answer_every_pair(decoder_folder, tokenizer, spec, rows):
    model = load_decoder(decoder_folder, QUANTIZATION)
    asked = rows.head(4)
    frames = {
        chat: answer_pairs(model, tokenizer, asked, "matched", {**spec, "chat": chat}, seed=0) for chat in (True, False)
    }
    assert [len(frame) for frame in frames[True]] == [len(asked)] * len(spec["scorers"])
    scores = {chat: found[1][LOGP].to_numpy() for chat, found in frames.items()}
    assert np.isfinite(scores[True]).all()
    assert not np.allclose(scores[True], scores[False])


@pytest.mark.parametrize(
    ("template", "message"),
    [
        (None, "has no chat template"),
        (
            "{{ raise_exception('no system prompt') }}",
            r"the chat template of models\.decoder fails \(no system prompt\)",
        ),
        ("{{ messages[0]['role'] }}", "leaves out a user's message"),
        ("{{ strftime_now('%d %b') }}{{ messages[0]['content'] }}", "prints today's date"),
    ],
)
def test_tokenizer_that_cannot_chat_is_refused(decoder_folder, tokenizer, spec, template, message):
    tokenizer.chat_template = template
    with pytest.raises(StudyError, match=rf"families\.icl\.chat .*{message}"):
        check_decoder(decoder_folder, tokenizer, spec)
