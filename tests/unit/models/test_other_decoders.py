"""Decoders other than Llama: tiny random ones of each family, in every experiment."""

import re

import pandas as pd
import pytest
import torch
import transformers
from conftest import train_tokenizer
from safetensors.torch import load_file, save_file
from transformers import (
    AutoModelForCausalLM,
    DataCollatorWithPadding,
    TrainingArguments,
)
from unit.specs import QLORA_SPEC, QUANTIZATION, dataset_of, trainable

from nli import runtime
from nli.answering.classify import classify
from nli.answering.generate import generate_answers
from nli.answering.pairs import answer_pairs
from nli.base.errors import StudyError
from nli.models.architecture import linear_layers, load_skeleton
from nli.models.base_weights import check_weights
from nli.models.compatibility import check_decoder
from nli.models.decoder import add_adapter, load_adapter, load_decoder, load_tokenizer
from nli.models.linear_head import add_head, tokenize_texts
from nli.models.merging import merge_into_4bit
from nli.models.qlora import make_trainer
from nli.models.training import StudyTrainer, run_training, training_arguments
from nli.models.training_texts import evaluation_prompts

GROUPED = {
    "hidden_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "intermediate_size": 128,
    "max_position_embeddings": 256,
    "initializer_range": 0.1,
}
LLAMA_TARGETS = QLORA_SPEC["lora"]["target_modules"]
DECODERS = {  # name -> (class of the config, its values, the LoRA targets by the names of its linear layers)
    "qwen2": ("Qwen2Config", GROUPED, LLAMA_TARGETS),
    "qwen3": ("Qwen3Config", {**GROUPED, "head_dim": 16}, LLAMA_TARGETS),
    "mistral": ("MistralConfig", GROUPED, LLAMA_TARGETS),
    "gemma": ("GemmaConfig", {**GROUPED, "head_dim": 16}, LLAMA_TARGETS),
    "phi3": ("Phi3Config", GROUPED, ["qkv_proj", "o_proj", "gate_up_proj", "down_proj"]),
    "gpt2": (
        "GPT2Config",
        {"n_embd": 64, "n_layer": 2, "n_head": 4, "n_positions": 256, "initializer_range": 0.1},
        ["c_attn", "c_proj", "c_fc"],
    ),
    "gpt_neox": (
        "GPTNeoXConfig",
        {k: v for k, v in GROUPED.items() if k != "num_key_value_heads"},
        ["query_key_value", "dense", "dense_h_to_4h", "dense_4h_to_h"],
    ),
}
END = "<|endoftext|>"


@pytest.fixture(scope="module")
def decoders(tmp_path_factory):
    """name -> folder of a tiny decoder with random weights and a tokenizer without a begin token, which pads left."""
    folders = {}
    for name, (config_class, values, _) in DECODERS.items():
        folders[name] = tmp_path_factory.mktemp(name)
        tokenizer = train_tokenizer([END], "$A", "$A $B", {"eos_token": END, "padding_side": "left"})
        ids = {"bos_token_id": 0, "eos_token_id": 0, "pad_token_id": 0}
        config = getattr(transformers, config_class)(vocab_size=len(tokenizer), **ids, **values)
        torch.manual_seed(0)
        AutoModelForCausalLM.from_config(config).save_pretrained(folders[name])
        tokenizer.save_pretrained(folders[name])
        assert (folders[name] / "model.safetensors").exists()
    return folders


def decoder_spec(name, **changes):
    lora = {**QLORA_SPEC["lora"], "target_modules": DECODERS[name][2]}
    return {**QLORA_SPEC, "family": "qlora", "name": "attempt1", "lora": lora, **changes}


def head_spec(name, position):
    tokenization = {"max_length": 64, "padding": "longest"}
    own = {"text": "{premise}\n{hypothesis}", "head": "linear", "position": position, "head_dropout": 0.0}
    own |= {"tokenization": tokenization, "training": {**QLORA_SPEC["training"], "head_learning_rate": None}}
    spec = {**decoder_spec(name), "family": "linear_head", "name": "last_token", **own}
    return {key: value for key, value in spec.items() if key != "label_words"}  # a head answers without words


@pytest.mark.parametrize("name", DECODERS)
def test_decoder_trains_answers_and_merges_in_4_bits(decoders, rows, tmp_path, name):
    folder, spec = decoders[name], decoder_spec(name, append_eos=True, loss_on="label")
    spec["training"] = {**QLORA_SPEC["training"], "max_steps": 3, "learning_rate": 5e-2}
    runtime.start(0, threads=1)
    tokenizer = load_tokenizer(folder)
    assert (tokenizer.pad_token, tokenizer.padding_side) == (END, "right")
    check_decoder(folder, tokenizer, spec)

    model = load_decoder(folder, QUANTIZATION)
    packed = {n.rsplit(".", 1)[-1] for n, m in model.named_modules() if type(m).__name__ == "Linear4bit"}
    assert packed >= set(spec["lora"]["target_modules"])
    generation, prompts = {"temperature": 0.0, "max_new_tokens": 4}, evaluation_prompts(rows.head(4), spec)
    before = generate_answers(model, tokenizer, prompts, generation, 2, seed=0)
    model = add_adapter(model, spec)
    trainer = make_trainer(model, tokenizer, dataset_of(rows, tokenizer, spec), spec, tmp_path / "checkpoints", 0)
    _, audit = run_training(trainer, tmp_path / "checkpoints")
    assert all("lora_" in n for n in trainable(model))
    assert audit.names == trainable(model)
    assert {n.split(".lora_")[0].rsplit(".", 1)[-1] for n in audit.names} == set(spec["lora"]["target_modules"])
    after = generate_answers(model, tokenizer, prompts, generation, 2, seed=0)
    assert after != before

    model.save_pretrained(tmp_path / "adapter")
    again = load_adapter(load_decoder(folder, QUANTIZATION), tmp_path / "adapter")
    assert generate_answers(again, tokenizer, prompts, generation, 2, seed=0) == after
    merged = merge_into_4bit(folder, QUANTIZATION, tmp_path / "adapter")
    ids = torch.tensor([tokenizer(prompts[0])["input_ids"]])
    with torch.no_grad():
        expected = merged.eval()(input_ids=ids).logits
        merged.save_pretrained(tmp_path / "merged")
        tokenizer.save_pretrained(tmp_path / "merged")
        check_decoder(tmp_path / "merged", load_tokenizer(tmp_path / "merged"), spec)
        found = load_decoder(tmp_path / "merged", QUANTIZATION).eval()(input_ids=ids).logits
    assert torch.equal(found, expected)


@pytest.mark.parametrize("name", DECODERS)
def test_linear_head_reads_any_decoder(decoders, rows, tmp_path, name):
    spec = head_spec(name, "last")
    runtime.start(0, threads=1)
    tokenizer = load_tokenizer(decoders[name])
    check_decoder(decoders[name], tokenizer, spec)
    dataset = tokenize_texts(rows.head(16), tokenizer, spec)
    model = add_head(load_decoder(decoders[name], QUANTIZATION), spec)
    seen = {}
    backbone = model.decoder.get_base_model().base_model
    backbone.register_forward_hook(lambda module, args, output: seen.update(states=output[0]))
    assert backbone is not model.decoder.get_base_model()
    arguments = training_arguments({**QLORA_SPEC["training"], "max_steps": 3}, tmp_path, 0)
    trainer = StudyTrainer(
        model=model,
        args=TrainingArguments(**arguments),
        train_dataset=dataset,
        data_collator=DataCollatorWithPadding(tokenizer),
    )
    _, audit = run_training(trainer, tmp_path)
    assert audit.names == trainable(model)
    scores = classify(model, dataset, DataCollatorWithPadding(tokenizer), 4)
    assert seen["states"].shape[-1] == 64
    assert scores.std(axis=0).min() > 1e-6


def test_first_position_reads_the_first_word_where_there_is_no_begin_token(decoders, rows):
    runtime.start(0, threads=1)
    tokenizer = load_tokenizer(decoders["qwen2"])
    model = add_head(load_decoder(decoders["qwen2"], QUANTIZATION), head_spec("qwen2", "first"))
    for text, same in (("Pair: {premise} {hypothesis}", True), ("{premise} {hypothesis}", False)):
        dataset = tokenize_texts(rows.head(6), tokenizer, {**head_spec("qwen2", "first"), "text": text})
        scores = classify(model, dataset, DataCollatorWithPadding(tokenizer), 6)
        assert (scores.std(axis=0).max() < 1e-6) == same


@pytest.mark.parametrize("name", ["qwen2", "phi3", "gpt2"])
def test_decoder_without_data_takes_adapter_and_head(decoders, name):
    spec = head_spec(name, "last")
    skeleton = load_skeleton(decoders[name], AutoModelForCausalLM, "decoder")
    assert trainable(add_head(skeleton, spec)) == trainable(add_head(load_decoder(decoders[name], QUANTIZATION), spec))


def test_target_that_the_model_lacks_names_the_key_and_the_layers(decoders):
    tokenizer = load_tokenizer(decoders["phi3"])
    spec = {**decoder_spec("phi3"), "lora": {**QLORA_SPEC["lora"], "target_modules": ["o_proj", "gate_proj"]}}
    with pytest.raises(
        StudyError,
        match=r"^families\.qlora\.lora\.target_modules \(or experiments\.qlora/attempt1\.lora\.target_modules\): "
        r"'gate_proj' is not a layer of Phi3ForCausalLM; it has o_proj, qkv_proj, gate_up_proj, down_proj$",
    ):
        check_decoder(decoders["phi3"], tokenizer, spec)
    spec = {**spec, "lora": {**QLORA_SPEC["lora"], "target_modules": None}}
    with pytest.raises(
        StudyError, match=r"target_modules\): PEFT has no default for Phi3ForCausalLM; .* it has o_proj, "
    ):
        check_decoder(decoders["phi3"], tokenizer, spec)


@pytest.mark.parametrize("name", DECODERS)
def test_linear_layers_are_those_of_the_transformer_layers(decoders, name):
    listed = set(linear_layers(load_skeleton(decoders[name], AutoModelForCausalLM, "decoder")))
    assert listed == set(DECODERS[name][2]) | ({"down_proj"} if "gate_proj" in DECODERS[name][2] else set())


def test_training_text_longer_than_the_decoder_is_refused(decoders):
    spec = decoder_spec("gpt2", tokenization={"max_length": 300, "padding": "longest"})
    with pytest.raises(
        StudyError, match=r"^families\.qlora\.tokenization\.max_length .*: 300 tokens .* the 256 positions"
    ):
        check_decoder(decoders["gpt2"], load_tokenizer(decoders["gpt2"]), spec)


def test_prompt_longer_than_the_decoder_is_refused_before_the_first_answer(decoders):
    tokenizer = load_tokenizer(decoders["gpt2"])
    model = load_decoder(decoders["gpt2"], QUANTIZATION)
    prompts = ["All dogs", " Maybe" * 253]
    length = len(tokenizer(prompts[1])["input_ids"])
    assert length == 253
    assert len(generate_answers(model, tokenizer, prompts, {"temperature": 0.0, "max_new_tokens": 3}, 1, 0)) == 2
    message = (
        r"^models\.decoder\.name: the longest prompt, of the row '8n', has 253 tokens, "
        r"generation\.max_new_tokens is 4, but the model has only 256 positions; .* remove the row"
    )
    with pytest.raises(StudyError, match=message):
        generate_answers(model, tokenizer, prompts, {"temperature": 0.0, "max_new_tokens": 4}, 1, 0, ["7n", "8n"])
    spec = {**QLORA_SPEC, "scorers": ["label_logp"], "evaluation": {"batch_size": 1}}
    rows = pd.DataFrame({"pair_id": ["7n", "8n"], "premise": ["All dogs", " Maybe" * 256], "hypothesis": ["b", "b"]})
    with pytest.raises(StudyError, match=r"the row '8n', has \d+ tokens, the longest label word has \d"):
        answer_pairs(model, tokenizer, rows, "matched", spec, 0)


def test_label_words_that_begin_alike_are_refused(decoders):
    tokenizer = load_tokenizer(decoders["qwen2"])
    words = {"entailment": "Maybe", "neutral": "Maybe not", "contradiction": "No"}
    with pytest.raises(
        StudyError,
        match=r"^families\.qlora\.label_words \(or .*: 'Maybe' and 'Maybe not' begin with the same token, ' Maybe'",
    ):
        check_decoder(decoders["qwen2"], tokenizer, decoder_spec("qwen2", label_words=words))
    same = {"entailment": "Yes", "neutral": "Maybe", "contradiction": "Yes"}
    with pytest.raises(StudyError, match=r"label_words .*'Yes' and 'Yes' begin with the same token"):
        check_decoder(decoders["qwen2"], tokenizer, decoder_spec("qwen2", label_words=same))


def icl_spec(answers, text="{premise} {hypothesis} Answer:"):
    return {"family": "icl", "name": "prompt2", "prompt": {"name": "prompt2", "text": text, "answers": answers}}


@pytest.mark.parametrize("text", ["{premise} {hypothesis} Answer:", "{premise} {hypothesis} Answer: ", "{premise}\n"])
def test_answers_of_a_prompt_may_begin_alike_within_a_class_only(decoders, text):
    folder = decoders["qwen2"]
    tokenizer = load_tokenizer(folder)
    answers = {"Yes": "entailment", "Yes sir": "entailment", "Maybe": "neutral", "No": "contradiction"}
    check_decoder(folder, tokenizer, icl_spec(answers, text))
    with pytest.raises(StudyError, match=r"^prompts\.prompt2\.answers: 'Yes' and 'Yes sir' begin with the same token"):
        check_decoder(folder, tokenizer, icl_spec({**answers, "Yes sir": "neutral"}, text))


def test_word_unknown_to_the_tokenizer_is_refused(decoders, tmp_path):
    from tokenizers import Tokenizer, models, pre_tokenizers

    words = {"[UNK]": 0, "[PAD]": 1, "Answer": 2, ":": 3, "Yes": 4, "No": 5}
    tokenizer = Tokenizer(models.WordLevel(words, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    fast = transformers.PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="[UNK]", pad_token="[PAD]")
    answers = {"Yes": "entailment", "Maybe": "neutral", "No": "contradiction"}
    with pytest.raises(
        StudyError, match=r"^prompts\.prompt2\.answers: 'Maybe' is unknown to the tokenizer of models\.decoder"
    ):
        check_decoder(decoders["qwen2"], fast, icl_spec(answers))
    with pytest.raises(StudyError, match=r"^prompts\.prompt2\.answers: ' ' has no token"):
        check_decoder(decoders["qwen2"], fast, icl_spec({"Yes": "entailment", " ": "neutral", "No": "contradiction"}))


@pytest.mark.parametrize("name", DECODERS)
def test_decoder_is_whole_without_a_head_and_not_without_a_layer(decoders, tmp_path, name):
    for auto_class in (AutoModelForCausalLM, transformers.AutoModelForSequenceClassification):
        check_weights(decoders[name], auto_class, "decoder")
    tensors = load_file(decoders[name] / "model.safetensors")
    kept = {key: tensor for key, tensor in tensors.items() if not re.search(r"(layers|h)\.1\.", key)}
    save_file(kept, tmp_path / "model.safetensors", metadata={"format": "pt"})
    (tmp_path / "config.json").write_bytes((decoders[name] / "config.json").read_bytes())
    lost = len(tensors) - len(kept)
    with pytest.raises(StudyError, match=rf"lack {lost} tensors of \w+: \w+\.(layers|h)\.1\."):
        check_weights(tmp_path, AutoModelForCausalLM, "decoder")


def test_decoder_without_an_end_token_can_run_what_needs_none(tmp_path):
    roles = {"pad_token": "[PAD]"}
    train_tokenizer(["[PAD]"], "$A", "$A $B", roles).save_pretrained(tmp_path)
    AutoModelForCausalLM.from_config(transformers.LlamaConfig(vocab_size=500, **GROUPED)).save_pretrained(tmp_path)
    tokenizer = load_tokenizer(tmp_path)
    assert (tokenizer.pad_token, tokenizer.eos_token) == ("[PAD]", None)
    check_decoder(tmp_path, tokenizer, decoder_spec("qwen2"))
    with pytest.raises(StudyError, match=r"^families\.qlora\.append_eos .* has no end token; set it to false"):
        check_decoder(tmp_path, tokenizer, decoder_spec("qwen2", append_eos=True))
    train_tokenizer(["[UNK]"], "$A", "$A $B", {"unk_token": "[UNK]"}).save_pretrained(tmp_path)
    with pytest.raises(StudyError, match=r"^models\.decoder\.name: .* no padding token and no end token"):
        load_tokenizer(tmp_path)


def test_padding_token_outside_the_embeddings_is_refused(decoders):
    tokenizer = load_tokenizer(decoders["qwen2"])
    size = len(tokenizer)
    tokenizer.add_special_tokens({"pad_token": "<|more|>"})
    with pytest.raises(StudyError, match=rf"^models\.decoder\.name: .* has the id {size}, .* for {size} tokens"):
        check_decoder(decoders["qwen2"], tokenizer, decoder_spec("qwen2"))
