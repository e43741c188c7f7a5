"""Soft and hard prompts of the encoder: where they start, what trains, what the mask answers."""

import pandas as pd
import pytest
import torch
from transformers import AutoModelForMaskedLM, DataCollatorWithPadding
from unit.specs import CLOZE, TOKENIZATION, batch, build, encoder_spec, gradients, trainable

from nli.base.errors import StudyError
from nli.models.cloze import fill_cloze
from nli.models.encoder import build_encoder, load_tokenizer, tokenize_pairs
from nli.models.training import load_trained, save_trained
from nli.study.resolve import load_study


def test_prompt_from_the_vocabulary_starts_as_embeddings_of_words(encoder_folder):
    model = build(encoder_folder, "prompt_tuning", prompt={"num_virtual_tokens": 5, "init": "vocabulary"})
    prompt = model.prompt_encoder["default"].embedding.weight
    table = model.base_model.get_input_embeddings().weight
    places = [(table == row).all(dim=1).nonzero().flatten().tolist() for row in prompt]
    assert all(len(found) == 1 and found[0] >= 4 for found in places)  # no special token
    assert len({found[0] for found in places}) == 5


def test_random_prompt_is_far_larger_than_any_word(encoder_folder):
    model = build(encoder_folder, "prompt_tuning")
    prompt = model.prompt_encoder["default"].embedding.weight
    assert prompt.std() > 10 * model.base_model.get_input_embeddings().weight.std()


@pytest.mark.parametrize("method", ["p_tuning", "prefix_tuning"])
def test_network_of_the_prompt_and_the_head_train_and_the_encoder_does_not(encoder_folder, rows, method):
    model = build(encoder_folder, method)
    parts = {"prompt_encoder", "classifier"}
    names = trainable(model)
    assert {part for part in parts for name in names if part in name} == parts
    assert all(any(part in name for part in parts) for name in names)
    assert gradients(model, batch(encoder_folder, rows)) == names


def test_prefix_leaves_the_sentence_start_at_position_0(encoder_folder, rows):
    model = build(encoder_folder, "prefix_tuning").eval()
    inputs = batch(encoder_folder, rows, 2)
    shapes = []
    hook = model.base_model.classifier.register_forward_hook(lambda module, args, output: shapes.append(args[0].shape))
    with torch.no_grad():
        model(**inputs)
    hook.remove()
    assert shapes[0][1] == inputs["input_ids"].shape[1]


@pytest.mark.parametrize("method", ["p_tuning", "prefix_tuning", "cloze"])
def test_saved_prompt_answers_as_before(encoder_folder, rows, tmp_path, method):
    changes = {"cloze": CLOZE} if method == "cloze" else {}
    model = build(encoder_folder, method, **changes)
    save_trained(model, tmp_path)
    again = build(encoder_folder, method, seed=1, **changes)
    load_trained(again, tmp_path)
    inputs = cloze_batch(encoder_folder, rows) if method == "cloze" else batch(encoder_folder, rows)
    with torch.no_grad():
        first, second = (m.eval()(**inputs).logits for m in (model, again))
    assert torch.allclose(first, second, atol=1e-6)


def cloze_batch(folder, rows, n=6):
    tokenizer = load_tokenizer(folder)
    dataset = tokenize_pairs(rows.head(n), tokenizer, TOKENIZATION, CLOZE)
    return DataCollatorWithPadding(tokenizer)([dataset[i] for i in range(n)])


def test_paper_pattern_drops_the_premises_final_punctuation(encoder_folder, config):
    study = load_study({**config, "scale": "paper", "rungs": "all"})
    cloze = study.experiments["roberta/cloze"].cloze.model_dump()
    premises = ["All dogs sleep.", 'He said "no!"', "Mr. Smith (the U.S. envoy), left...", "No mark"]
    rows = pd.DataFrame({"premise": premises, "hypothesis": "Some dogs sleep."})
    first, second = fill_cloze(rows, load_tokenizer(encoder_folder), cloze)
    assert first == ["All dogs sleep?", 'He said "no?', "Mr. Smith (the U.S. envoy), left?", "No mark?"]
    assert second == ["<mask>, Some dogs sleep."] * 4  # the hypothesis keeps its own


def test_demo_pattern_keeps_it(encoder_folder, demo_study):
    rows = pd.DataFrame({"premise": ["All dogs sleep."], "hypothesis": "Some dogs sleep."})
    cloze = demo_study.experiments["roberta/cloze"].cloze.model_dump()
    assert fill_cloze(rows, load_tokenizer(encoder_folder), cloze)[0] == ["All dogs sleep."]


def test_cloze_fills_the_two_segments(encoder_folder, rows):
    tokenizer = load_tokenizer(encoder_folder)
    ids = tokenize_pairs(rows.head(1), tokenizer, TOKENIZATION, CLOZE)[0]["input_ids"]
    assert tokenizer.decode(ids) == "<s>All dogs sleep in the house.?</s></s><mask>, Some dogs sleep.</s>"


def test_cloze_logits_are_the_label_words_scores_at_the_mask(encoder_folder, rows):
    model = build(encoder_folder, "cloze", cloze=CLOZE).eval()
    inputs = cloze_batch(encoder_folder, rows, 3)
    tokenizer = load_tokenizer(encoder_folder)
    words = [tokenizer.convert_tokens_to_ids(f"\u0120{word}") for word in ("Yes", "Maybe", "No")]
    plain = AutoModelForMaskedLM.from_pretrained(encoder_folder).eval()
    with torch.no_grad():
        logits = model(input_ids=inputs["input_ids"], attention_mask=inputs["attention_mask"]).logits
        for i, ids in enumerate(inputs["input_ids"]):
            alone = ids[inputs["attention_mask"][i].bool()][None]
            place = int((alone[0] == tokenizer.mask_token_id).nonzero())
            assert torch.allclose(logits[i], plain(input_ids=alone).logits[0, place, words], atol=1e-4)


def test_cloze_word_of_several_tokens_is_refused(encoder_folder):
    words = {**CLOZE["words"], "neutral": " nevertheless"}
    with pytest.raises(StudyError, match=r"cloze\.words: ' nevertheless' is"):
        build_encoder(encoder_folder, encoder_spec("cloze", cloze={**CLOZE, "words": words}))
