"""Generation: whose settings apply, the right distribution, and dependence on row and seed only."""

import math

import pytest
import torch
from transformers import GenerationConfig, LlamaConfig
from unit.specs import QLORA_SPEC, QUANTIZATION

from nli.answering.generate import effective_generation, generate_answers, sampler
from nli.answering.pairs import answer_pairs, generation_details
from nli.models.decoder import load_decoder, load_tokenizer
from nli.models.training_texts import evaluation_prompts
from nli.pretraining.decoder import tiny_llama

OPEN = {"temperature": None, "top_k": None, "top_p": None, "max_new_tokens": 20}
LLAMA = {"do_sample": True, "temperature": 0.6, "top_p": 0.9}  # from generation_config.json
SAMPLED = {"temperature": 1.5, "top_k": 0, "top_p": 1.0, "max_new_tokens": 6}


class Model:
    """A fake model with only a generation_config."""

    def __init__(self, **values):
        self.generation_config = GenerationConfig(**values)


@pytest.fixture(scope="module")
def loaded(decoder_folder):
    return load_decoder(decoder_folder, QUANTIZATION), load_tokenizer(decoder_folder)


def test_what_a_study_leaves_open_the_model_decides_and_then_the_library():
    effective = effective_generation(Model(**LLAMA), OPEN)
    assert effective == {
        "do_sample": True,
        "temperature": 0.6,
        "top_k": 50,
        "top_p": 0.9,
        "max_new_tokens": 20,
        "source": "the model's generation_config",
    }


def test_model_that_says_nothing_of_sampling_answers_greedily():
    effective = effective_generation(Model(temperature=0.6), OPEN)  # a temperature alone does not sample
    assert (effective["do_sample"], effective["temperature"], effective["source"]) == (
        False,
        None,
        "the model's generation_config",
    )


def test_temperature_0_is_greedy_whatever_the_model_says():
    effective = effective_generation(Model(**LLAMA), {"temperature": 0.0, "max_new_tokens": 4})
    assert effective["do_sample"] is False
    assert (effective["top_k"], effective["top_p"], effective["source"]) == (None, None, "the study")


def test_temperature_of_the_study_leaves_top_k_and_top_p_to_the_model():
    effective = effective_generation(Model(**LLAMA), {**OPEN, "temperature": 0.1, "max_new_tokens": 2})
    assert (effective["temperature"], effective["top_k"], effective["top_p"]) == (0.1, 50, 0.9)
    assert effective["source"] == "the study; top_k and top_p: the model's generation_config"
    both = effective_generation(Model(**LLAMA), {"temperature": 0.1, "top_k": 0, "top_p": 1.0, "max_new_tokens": 2})
    assert (both["top_k"], both["top_p"], both["source"]) == (0, 1.0, "the study")


@pytest.mark.parametrize("values", [LLAMA, {**LLAMA, "top_k": 7}, {}, {"do_sample": True}])
def test_values_are_those_that_the_library_prepares_for_generate(loaded, values):
    """Our values must equal those of `generate`, which merges arguments, model configuration and defaults."""
    model, _ = loaded
    kept, model.generation_config = model.generation_config, GenerationConfig(**values)
    try:
        prepared, _ = model._prepare_generation_config(None, max_new_tokens=20)
        ours = effective_generation(model, OPEN)
    finally:
        model.generation_config = kept
    assert ours["do_sample"] == prepared.do_sample
    if ours["do_sample"]:
        assert [ours[k] for k in ("temperature", "top_k", "top_p")] == [
            getattr(prepared, k) for k in ("temperature", "top_k", "top_p")
        ]


def test_demos_decoder_samples_as_llama_does(loaded, tmp_path):
    _, tokenizer = loaded
    recipe = {"hidden_size": 32, "layers": 1, "heads": 2, "kv_heads": 1, "max_positions": 64, "initializer_range": 0.02}
    tiny_llama(tokenizer, recipe).save_pretrained(tmp_path)
    saved = GenerationConfig.from_pretrained(tmp_path)
    assert {key: getattr(saved, key) for key in LLAMA} == LLAMA
    assert LlamaConfig.from_pretrained(tmp_path).hidden_size == 32


def draws(values, logits, n):
    """The share of each token among the samples of n rows with the same logits."""
    processors = sampler({"do_sample": True, **values}, 5, [f"row {i}" for i in range(n)])
    scores = torch.tensor([logits] * n)
    chosen = processors(torch.zeros((n, 1), dtype=torch.long), scores).argmax(dim=1)
    return torch.bincount(chosen, minlength=len(logits)) / n


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        # softmax of (log 8, log 4, log 2, log 1) is 8:4:2:1; at temperature 0.5 its squares, 64:16:4:1
        ({"temperature": 1.0, "top_k": 0, "top_p": 1.0}, [8 / 15, 4 / 15, 2 / 15, 1 / 15]),
        ({"temperature": 0.5, "top_k": 0, "top_p": 1.0}, [64 / 85, 16 / 85, 4 / 85, 1 / 85]),
        ({"temperature": 1.0, "top_k": 2, "top_p": 1.0}, [8 / 12, 4 / 12, 0, 0]),
        # the first two sum to 12/15 = 0.8, with the third to 14/15
        ({"temperature": 1.0, "top_k": 50, "top_p": 0.9}, [8 / 14, 4 / 14, 2 / 14, 0]),
    ],
)
def test_draws_have_the_distribution_that_sampling_has(values, expected):
    n = 20_000
    shares = draws(values, [math.log(8), math.log(4), math.log(2), 0.0], n)
    for share, probability in zip(shares.tolist(), expected, strict=True):
        assert abs(share - probability) <= 4 * math.sqrt(probability * (1 - probability) / n), (shares, expected)


def test_steps_of_a_row_are_drawn_apart():
    """With the same noise at every step, the same token would be sampled again and again."""
    processors = sampler({"do_sample": True, "temperature": 1.0, "top_k": 0, "top_p": 1.0}, 0, ["row"])
    flat = torch.zeros((1, 1000))
    chosen = {int(processors(torch.zeros((1, 1), dtype=torch.long), flat.clone()).argmax()) for _ in range(20)}
    assert len(chosen) > 15


def test_rows_and_seeds_draw_for_themselves():
    names = ["1", "11", "1 1", "2"]
    values = {"do_sample": True, "temperature": 1.0, "top_k": 0, "top_p": 1.0}
    flat = torch.zeros((4, 100_000))
    ids = torch.zeros((4, 1), dtype=torch.long)
    chosen = [sampler(values, seed, names)(ids, flat.clone()).argmax(dim=1).tolist() for seed in (0, 1, 0)]
    assert len({*chosen[0], *chosen[1]}) == 8
    assert chosen[2] == chosen[0]


def test_sampled_answers_depend_neither_on_the_batch_nor_on_the_order(loaded, rows):
    model, tokenizer = loaded
    asked = rows.head(12)
    prompts, names = evaluation_prompts(asked, QLORA_SPEC), list(asked["pair_id"])
    alone = generate_answers(model, tokenizer, prompts, SAMPLED, 1, 3, names)
    assert len(set(alone)) > 6  # rows 6 to 11 repeat the texts of rows 0 to 5, but are sampled independently
    for batch_size in (3, 8):
        assert generate_answers(model, tokenizer, prompts, SAMPLED, batch_size, 3, names) == alone
    backwards = generate_answers(model, tokenizer, prompts[::-1], SAMPLED, 8, 3, names[::-1])
    assert backwards[::-1] == alone
    part = generate_answers(model, tokenizer, prompts[4:7], SAMPLED, 8, 3, names[4:7])
    assert part == alone[4:7]


def test_answers_to_the_pairs_are_drawn_by_pair(loaded, rows):
    model, tokenizer = loaded
    spec = {**QLORA_SPEC, "family": "qlora", "scorers": ["first_label"], "generation": SAMPLED}
    frames = [
        answer_pairs(model, tokenizer, part, "matched", {**spec, "evaluation": {"batch_size": size}}, seed=1)[0]
        for part, size in ((rows.head(8), 3), (rows.head(8).iloc[::-1], 8))
    ]
    answers = [frame.set_index("pair_id")["answer"].to_dict() for frame in frames]
    assert answers[0] == answers[1]


def test_sampling_moves_no_other_generator(loaded, rows):
    model, tokenizer = loaded
    torch.manual_seed(9)
    expected = torch.rand(3)
    torch.manual_seed(9)
    generate_answers(model, tokenizer, evaluation_prompts(rows.head(2), QLORA_SPEC), SAMPLED, 2, 0)
    assert torch.equal(torch.rand(3), expected)


def test_run_records_how_answers_were_drawn_where_any_were(loaded):
    model, _ = loaded
    spec = {"scorers": ["first_word", "label_logp"], "generation": OPEN}
    assert generation_details(model, spec)["generation"]["max_new_tokens"] == 20
    assert generation_details(model, {**spec, "scorers": ["label_logp"]}) == {}
