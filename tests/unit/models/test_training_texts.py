"""The decoder's training texts and prompts: tokens, loss, padding, grouping and accumulation."""

import pandas as pd
import pytest
import torch
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import AutoModelForCausalLM, PreTrainedTokenizerFast
from transformers.trainer_pt_utils import LengthGroupedSampler
from unit.specs import QLORA_SPEC, QUANTIZATION, dataset_of

from nli import runtime
from nli.answering.label_scoring import continuations
from nli.answering.pairs import question_of
from nli.models.decoder import add_adapter, load_adapter, load_decoder, load_tokenizer, prepared_to_answer
from nli.models.qlora import closing_losses, make_trainer
from nli.models.training import run_training
from nli.models.training_texts import IGNORED, PadTexts, count_lost_labels, encode_texts, evaluation_prompts
from nli.study.specs import prediction_spec

# What follows the prompt in the training text, and where a label word is expected in the answer.
AS_REPORTED, AS_TRAINED = ["attempt2", "attempt3", "attempt2_merged"], ["attempt2_as_trained", "attempt3_greedy"]
PAIR = pd.DataFrame([{"pair_id": "1", "premise": "Three cats play.", "hypothesis": "Animals play.", "label": 1}])


@pytest.fixture(scope="module")
def spec_of(demo_study):
    """The resolved prediction spec of a QLoRA experiment."""
    return lambda name: prediction_spec(demo_study, f"qlora/{name}")


@pytest.fixture(scope="module")
def tokenizer(decoder_folder):
    return load_tokenizer(decoder_folder)


def following(text, prompt, tokenizer):
    """The tokens of `text` after those shared with `prompt`, and the tokens of `prompt` that are not shared."""
    whole, asked = (tokenizer(part)["input_ids"] for part in (text, prompt))
    shared = next(
        (i for i, (a, b) in enumerate(zip(whole, asked, strict=False)) if a != b), min(len(whole), len(asked))
    )
    return [[tokenizer.decode([token]) for token in ids[shared:]] for ids in (whole, asked)]


@pytest.mark.parametrize("name", AS_REPORTED)
def test_as_reported_the_label_is_trained_behind_the_colon_and_asked_for_on_the_next_line(spec_of, tokenizer, name):
    spec = spec_of(name)
    text = spec["text"].format(premise="P.", hypothesis="H.", label="Neutral")
    assert text == "\n### Premise: P.\n\n### Hypothesis: H.\n\n### Label: Neutral\n"
    prompt = question_of(spec).ask("P.", "H.")
    assert prompt == "\n### Premise: P.\n\n### Hypothesis: H.\n\n### Label:\n"
    trained, asked = following(text, prompt, tokenizer)
    assert trained == [" Neutral", "\n"]  # what training taught after the colon
    assert asked == ["\n"]  # what is there instead, so that the next token is a label without its space


@pytest.mark.parametrize("name", [*AS_TRAINED, "attempt2_rate"])
def test_asked_as_trained_the_next_token_is_the_one_that_was_trained(spec_of, tokenizer, name):
    spec = spec_of(name)
    text = spec["text"].format(premise="P.", hypothesis="H.", label="Neutral")
    prompt = question_of(spec).ask("P.", "H.")
    assert prompt.endswith("### Label:")
    assert following(text, prompt, tokenizer) == [[" Neutral", "\n"], []]


LLAMA_3_SPLIT = (  # from its tokenizer.json: punctuation includes the line breaks after it
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)


def test_in_llamas_tokens_the_colon_and_the_line_break_are_one_that_training_never_showed(spec_of):
    tokenizer = Tokenizer(models.BPE())
    split = pre_tokenizers.Split(Regex(LLAMA_3_SPLIT), "isolated")
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([split, pre_tokenizers.ByteLevel(False, use_regex=False)])
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=400, initial_alphabet=alphabet, show_progress=False)
    tokenizer.train_from_iterator(["Label:\nNeutral\n", "Label: Neutral\n\n"] * 50, trainer)
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=tokenizer)
    spec = spec_of("attempt2")
    text = spec["text"].format(premise="P.", hypothesis="H.", label="Neutral")
    trained, asked = following(text, question_of(spec).ask("P.", "H."), tokenizer)
    assert (trained, asked) == ([":", " Neutral", "\n"], [":\n"])
    as_trained = question_of(spec_of("attempt2_as_trained")).ask("P.", "H.")
    assert following(text, as_trained, tokenizer) == [[" Neutral", "\n"], []]


@pytest.mark.parametrize(("name", "words"), [("attempt2", "Neutral"), ("attempt2_as_trained", " Neutral")])
def test_label_words_are_scored_where_the_prompt_leaves_off(spec_of, tokenizer, name, words):
    question = question_of(spec_of(name))
    prompt = question.ask("P.", "H.")
    found = continuations(tokenizer, [prompt], question.lead, {"Neutral": "neutral"})[0]
    assert tokenizer.decode(found.ids[found.start :]) == words
    assert found.ids[: found.start] == tokenizer(prompt)["input_ids"]


def test_loss_on_the_label_covers_the_label_and_the_line_break_that_ends_it(spec_of, tokenizer):
    spec = {**spec_of("attempt2_label_loss"), "tokenization": {"max_length": 96, "padding": "longest"}}
    (row,) = dataset_of(PAIR, tokenizer, spec)["labels"]
    assert [tokenizer.decode([token]) for token in row if token != IGNORED] == [" Neutral", "\n"]


def test_label_is_lost_when_a_token_of_it_is_and_not_when_its_line_break_is(spec_of, tokenizer):
    encoded = encode_texts(PAIR, tokenizer, {**spec_of("attempt2"), "tokenization": {"max_length": 512}})
    length = len(encoded.texts[0])
    assert [count_lost_labels(encoded, length - cut) for cut in (0, 1, 2)] == [0, 0, 1]


# ----------------------------------------------------------------------------------------- padding and grouping


def grouped(dataset):
    """Whether Trainer's sampler groups similar lengths, so that its order is not the plain permutation."""
    sampler = LengthGroupedSampler(4, dataset=dataset, generator=torch.Generator().manual_seed(0))
    plain = torch.randperm(len(dataset), generator=torch.Generator().manual_seed(0)).tolist()
    return list(sampler) != plain


@pytest.mark.parametrize(
    ("trainer", "padding", "groups"),
    [("transformers", "max_length", False), ("trl", "longest", True), ("trl", "max_length", True)],
)
def test_rows_padded_when_they_were_tokenized_are_grouped_by_nothing(rows, tokenizer, trainer, padding, groups):
    spec = {**QLORA_SPEC, "trainer": trainer, "tokenization": {"max_length": 64, "padding": padding}}
    dataset = dataset_of(rows, tokenizer, spec)
    assert grouped(dataset) == groups
    assert ({len(ids) for ids in dataset["input_ids"]} == {64}) == (not groups)


@pytest.mark.parametrize("key", ["qlora/attempt1", "qlora/attempt1_rate", "linear_head/first_token"])
def test_attempt_1_and_the_linear_head_group_nothing_at_either_scale(demo_study, paper_study, key):
    paper, demo = (study.experiments[key] for study in (paper_study, demo_study))
    assert (paper.training.group_by_length, paper.tokenization.padding) == (True, "max_length")  # one length
    assert (demo.training.group_by_length, demo.tokenization.padding) == (False, "longest")
    assert demo_study.experiments["qlora/attempt2"].training.group_by_length


def test_padded_rows_and_rows_that_the_collator_pads_make_the_same_batch(rows, tokenizer):
    limit = {"max_length": 64, "padding": "max_length"}
    batches = []
    for trainer in ("transformers", "trl"):
        spec = {**QLORA_SPEC, "trainer": trainer, "append_eos": True, "mask_end_token": False, "tokenization": limit}
        dataset = dataset_of(rows.head(3), tokenizer, spec)
        batches.append(PadTexts(tokenizer, spec)([dataset[i] for i in range(3)]))
    for key in ("input_ids", "attention_mask", "labels"):
        assert torch.equal(batches[0][key], batches[1][key]), key
    assert (batches[0]["labels"] != IGNORED).sum() == batches[0]["attention_mask"].sum()


# ----------------------------------------------------------------------------------------- loss on the padding

PADDED = {"loss_on": "padded", "mask_end_token": False, "tokenization": {"max_length": 64, "padding": "max_length"}}


def token_losses(model, ids, pad, limit):
    """Cross-entropy at each position of one text padded to `limit`, in plain torch: of the text and of the padding."""
    padded = torch.tensor([ids + [pad] * (limit - len(ids))])
    mask = (torch.arange(limit) < len(ids)).long()[None]
    with torch.no_grad():
        logp = model(input_ids=padded, attention_mask=mask).logits[0].double().log_softmax(-1)
    losses = [-logp[i, padded[0, i + 1]].item() for i in range(limit - 1)]
    return losses[: len(ids) - 1], losses[len(ids) - 1 :]


@pytest.mark.parametrize("trainer", ["transformers", "trl"])
def test_loss_on_the_padding_is_the_mean_over_every_position(decoder_folder, rows, tokenizer, tmp_path, trainer):
    runtime.start(0, threads=1)
    spec = {
        **QLORA_SPEC,
        **PADDED,
        "trainer": trainer,
        "training": {**QLORA_SPEC["training"], "batch_size": 2, "max_steps": 1},
    }
    model = add_adapter(load_decoder(decoder_folder, QUANTIZATION), spec)
    two = rows.head(2)
    made = make_trainer(model, tokenizer, dataset_of(two, tokenizer, spec), spec, tmp_path, 0)
    texts = encode_texts(two, tokenizer, spec).texts
    parts = [token_losses(model.eval(), ids, tokenizer.pad_token_id, 64) for ids in texts]
    every = [loss for text, padding in parts for loss in text + padding]
    assert len(every) == 2 * 63
    history, _ = run_training(made, tmp_path)
    assert history["steps"][0]["loss"] == pytest.approx(sum(every) / len(every), rel=1e-4)
    own = [loss for text, _ in parts for loss in text]
    assert history["steps"][0]["loss"] != pytest.approx(sum(own) / len(own), rel=1e-2)


def test_closing_losses_are_the_two_means_of_one_forward(decoder_folder, rows, tokenizer):
    model = load_decoder(decoder_folder, QUANTIZATION).eval()
    spec = {**QLORA_SPEC, "tokenization": {"max_length": 40, "padding": "longest"}}  # QLORA_SPEC masks the end token
    encoded = encode_texts(rows.head(5), tokenizer, spec)
    texts = [ids[:40] for ids in encoded.texts]
    parts = [token_losses(model, ids, tokenizer.pad_token_id, 40) for ids in texts]
    own = [loss for text, _ in parts for loss in text]
    every = own + [loss for _, padding in parts for loss in padding]
    found = closing_losses(model, tokenizer, encoded, spec)
    assert found["texts"] == 5
    assert found["tokens"] == pytest.approx(sum(map(len, texts)) / 5)
    assert found["loss_on_text"] == pytest.approx(sum(own) / len(own), rel=1e-5)
    assert found["loss_on_padded"] == pytest.approx(sum(every) / len(every), rel=1e-5)


# ----------------------------------------------------------------------------------------- accumulation


@pytest.mark.parametrize("trainer", ["transformers", "trl"])
@pytest.mark.parametrize("accumulation", ["micro_batches", "tokens"])
def test_step_of_two_unequal_batches_is_the_mean_of_means_or_the_mean_over_tokens(
    decoder_folder, tokenizer, tmp_path, trainer, accumulation
):
    runtime.start(0, threads=1)
    pairs = [("It rains.", "It is dry.", 2), ("A man reads a book at the station. " * 6, "All dogs sleep.", 1)]
    rows = pd.DataFrame([{"premise": p, "hypothesis": h, "label": y} for p, h, y in pairs])
    training = {
        **QLORA_SPEC["training"],
        "batch_size": 1,
        "gradient_accumulation": 2,
        "max_steps": 1,
        "max_grad_norm": 1e9,
    }
    limit = {"max_length": 256, "padding": "longest"}
    spec = {
        **QLORA_SPEC,
        "trainer": trainer,
        "tokenization": limit,
        "training": {**training, "accumulation": accumulation},
    }
    model = add_adapter(load_decoder(decoder_folder, QUANTIZATION), spec)
    texts = encode_texts(rows, tokenizer, spec).texts
    assert len(texts[1]) > 1.5 * len(texts[0])

    model.train()  # no dropout in QLORA_SPEC
    weights = [p for p in model.parameters() if p.requires_grad]
    sums, gradients, counts = [], [], []
    for ids in texts:
        logp = model(input_ids=torch.tensor([ids])).logits[0, :-1].log_softmax(-1)
        loss = -logp.gather(1, torch.tensor(ids[1:])[:, None]).sum()
        gradients.append(torch.cat([g.flatten() for g in torch.autograd.grad(loss, weights)]))
        sums.append(loss.item())
        counts.append(len(ids) - 1)
    weighings = {"micro_batches": [1 / (2 * count) for count in counts], "tokens": [1 / sum(counts)] * 2}
    losses = {name: sum(w * v for w, v in zip(shares, sums, strict=True)) for name, shares in weighings.items()}
    assert abs(losses["micro_batches"] - losses["tokens"]) > 0.003 * losses["tokens"]
    gradient = sum(w * g for w, g in zip(weighings[accumulation], gradients, strict=True))

    made = make_trainer(model, tokenizer, dataset_of(rows, tokenizer, spec), spec, tmp_path, 0)
    history, _ = run_training(made, tmp_path)
    (step,) = history["steps"]
    assert step["loss"] == pytest.approx(losses[accumulation], rel=1e-4)
    assert step["grad_norm"] == pytest.approx(gradient.norm().item(), rel=1e-3)


# ----------------------------------------------------------------------------------------- the prepared model


def dtypes(model):
    """The types of the norms, the embeddings, the head and the packed weights."""
    base = model.get_base_model() if hasattr(model, "get_base_model") else model
    layer = base.model.layers[0]
    parts = (layer.input_layernorm, base.model.norm, base.model.embed_tokens, base.lm_head)
    return {part.weight.dtype for part in parts}, layer.mlp.gate_proj.weight.dtype


HALF = {**QUANTIZATION, "compute_dtype": "float16"}


@pytest.mark.parametrize(("prepared", "dtype"), [(True, torch.float32), (False, torch.float16)])
def test_answers_come_from_the_model_that_the_report_had_prepared(decoder_folder, tmp_path, prepared, dtype):
    model = prepared_to_answer(load_decoder(decoder_folder, HALF), {"prepared": prepared})
    assert dtypes(model) == ({dtype}, torch.uint8)
    add_adapter(load_decoder(decoder_folder, HALF), QLORA_SPEC).save_pretrained(tmp_path)
    answering = load_adapter(model, tmp_path)
    assert dtypes(answering) == ({dtype}, torch.uint8)
    assert {p.dtype for name, p in answering.named_parameters() if "lora_" in name} == {torch.float32}


def test_merged_model_in_16_bits_is_not_cast(decoder_folder):
    model = AutoModelForCausalLM.from_pretrained(decoder_folder, dtype=torch.float16)
    assert {p.dtype for p in prepared_to_answer(model, {"prepared": True}).parameters()} == {torch.float16}


def test_prepared_model_is_the_one_that_training_has(decoder_folder):
    trained = add_adapter(load_decoder(decoder_folder, HALF), QLORA_SPEC)
    answering = prepared_to_answer(load_decoder(decoder_folder, HALF), {"prepared": True})
    assert dtypes(trained) == dtypes(answering)
    assert not answering.is_gradient_checkpointing


def test_evaluation_text_is_what_the_sample_and_the_merge_are_asked_with(spec_of):
    assert evaluation_prompts(PAIR, spec_of("attempt2"))[0].endswith("### Label:\n")
    assert evaluation_prompts(PAIR, spec_of("attempt2_as_trained"))[0].endswith("### Label:")
