"""Checks that a configured model suits an experiment, from its files and before any weight is read.

A failed check raises a StudyError that names the key of config.yaml and says what the model offers.
"""

from itertools import combinations, dropwhile, takewhile
from pathlib import Path
from typing import Any

import torch
from peft.utils.constants import TRANSFORMERS_MODELS_TO_IA3_TARGET_MODULES_MAPPING as IA3_DEFAULTS
from peft.utils.constants import TRANSFORMERS_MODELS_TO_LORA_TARGET_MODULES_MAPPING as LORA_DEFAULTS
from torch import nn
from transformers import (
    AutoModelForCausalLM,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)
from transformers.pytorch_utils import Conv1D

from nli.base.errors import StudyError
from nli.models.architecture import linear_layers, load_skeleton, max_positions
from nli.models.base_weights import check_weights
from nli.models.chat import check_chat, prompt_maker
from nli.models.encoder import encoder_class, prepare_encoder
from nli.study.methods import METHODS
from nli.texts import asked_template, label_lead, lead_after

ADAPTER_DEFAULTS = {"lora": LORA_DEFAULTS, "ia3": IA3_DEFAULTS}  # section -> model type -> layers


def check_encoder(folder: Path | str, spec: dict[str, Any]) -> None:
    """Raise StudyError unless the encoder in `folder` can run the experiment."""
    model = load_skeleton(folder, encoder_class(spec), "encoder")
    section = METHODS[spec["method"]].section
    check_length(model, spec, spec["prompt"]["num_virtual_tokens"] if section == "prompt" else 0)
    if section in ADAPTER_DEFAULTS:
        check_targets(model, spec, section)
    with torch.random.fork_rng(devices=[]):  # does not affect the run's own draws
        prepare_encoder(model, spec)  # the method also refuses an unsuitable skeleton
    check_weights(folder, encoder_class(spec), "encoder")


def check_decoder(folder: Path | str, tokenizer: PreTrainedTokenizerBase, spec: dict[str, Any]) -> None:
    """Raise StudyError unless the decoder in `folder` can run the experiment, of any family."""
    model = load_skeleton(folder, AutoModelForCausalLM, "decoder")
    check_padding(model, tokenizer)
    if "tokenization" in spec:
        check_length(model, spec)
    if "lora" in spec:
        check_targets(model, spec, "lora")
    if "label_words" in spec:
        check_end_token(tokenizer, spec)
        asked = asked_template(spec)
        words = [(word, label) for label, word in spec["label_words"].items()]
        check_label_words(tokenizer, asked, asked + label_lead(spec), words, key_of(spec, "label_words"))
    if "prompt" in spec:
        prompt = spec["prompt"]
        if spec.get("chat"):
            check_chat(tokenizer, key_of(spec, "chat"))
        asked = prompt_maker(spec, tokenizer)(prompt["text"])
        words = list(prompt["answers"].items())
        check_label_words(tokenizer, asked, asked + lead_after(asked), words, f"prompts.{prompt['name']}.answers")
    check_weights(folder, AutoModelForCausalLM, "decoder")


def key_of(spec: dict[str, Any], field: str) -> str:
    """The keys of config.yaml that may set a field of an experiment."""
    return f"families.{spec['family']}.{field} (or experiments.{spec['family']}/{spec['name']}.{field})"


def check_length(model: PreTrainedModel, spec: dict[str, Any], virtual_tokens: int = 0) -> None:
    """Raise StudyError if `max_length` tokens after the virtual ones exceed the model's positions."""
    limit, length = max_positions(model), spec["tokenization"]["max_length"]
    if limit is None or length + virtual_tokens <= limit:
        return
    beside = f" and {virtual_tokens} virtual tokens" if virtual_tokens else ""
    raise StudyError(
        f"{key_of(spec, 'tokenization.max_length')}: {length} tokens{beside} are more than the {limit} positions of "
        f"{type(model).__name__}; take at most {limit - virtual_tokens}"
    )


def check_targets(model: PreTrainedModel, spec: dict[str, Any], section: str) -> None:
    """Raise StudyError unless every target of an adapter is a layer of the model, or PEFT has a default.

    Args:
        section: the adapter's section, "lora" or "ia3".
    """
    key, kind = key_of(spec, f"{section}.target_modules"), model.config.model_type
    targets = spec[section]["target_modules"]
    offered = f"it has {', '.join(linear_layers(model))}"
    if targets is None:
        if kind not in ADAPTER_DEFAULTS[section]:
            raise StudyError(f"{key}: PEFT has no default for {type(model).__name__}; name its layers: {offered}")
        return
    known = {name for name, module in model.named_modules() if isinstance(module, nn.Linear | Conv1D | nn.Embedding)}
    for target in targets:
        if not any(name == target or name.endswith(f".{target}") for name in known):
            raise StudyError(f"{key}: '{target}' is not a layer of {type(model).__name__}; {offered}")


def check_padding(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> None:
    """Raise StudyError if the padding token is outside the model's embedding table."""
    size = model.get_input_embeddings().num_embeddings
    if tokenizer.pad_token_id >= size:
        raise StudyError(
            f"models.decoder.name: the padding token '{tokenizer.pad_token}' has the id {tokenizer.pad_token_id}, but "
            f"the model has embeddings for {size} tokens; choose a model that fits its tokenizer"
        )


def check_end_token(tokenizer: PreTrainedTokenizerBase, spec: dict[str, Any]) -> None:
    """Raise StudyError if the experiment appends an end token that the tokenizer does not have."""
    if spec["append_eos"] and tokenizer.eos_token_id is None:
        key = key_of(spec, "append_eos")
        raise StudyError(f"{key}: the tokenizer of models.decoder has no end token; set it to false")


def check_label_words(
    tokenizer: PreTrainedTokenizerBase, prompt: str, lead: str, words: list[tuple[str, str]], key: str
) -> None:
    """Raise StudyError unless the label words are known tokens and their first tokens distinguish the classes.

    Args:
        prompt: the model's input.
        lead: the text before a word: the prompt and usually a space.
        words: (word, class) pairs.
        key: the key of config.yaml that sets them.
    """
    first = []
    for word, label in words:
        tokens = word_tokens(tokenizer, prompt, lead + word)
        if not tokens or not word.strip():
            raise StudyError(f"{key}: '{word}' has no token in the tokenizer of models.decoder; choose another word")
        if tokenizer.unk_token_id in tokens:
            raise StudyError(f"{key}: '{word}' is unknown to the tokenizer of models.decoder; choose another word")
        first.append((word, label, tokens[0]))
    for (one, its, token), (other, others, same) in combinations(first, 2):
        if its != others and token == same:
            raise StudyError(
                f"{key}: '{one}' and '{other}' begin with the same token, '{tokenizer.decode([token])}', in the "
                "tokenizer of models.decoder; choose words that differ in their first token"
            )


def word_tokens(tokenizer: PreTrainedTokenizerBase, prompt: str, text: str) -> list[int]:
    """The tokens of the word at the end of `text`, in that context: those that follow the tokens of its beginning.

    Leading tokens without a letter or digit (a space or a colon at the prompt's end) do not belong to the word, unless
    it has no others.
    """
    before, whole = (tokenizer(part, add_special_tokens=False)["input_ids"] for part in (prompt, text))
    shared = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(before, whole, strict=False)))
    own = whole[shared:]

    def is_lead(token: int) -> bool:
        if token == tokenizer.unk_token_id:
            return False
        text = tokenizer.decode([token])  # part of a letter decodes to the replacement character
        return not any(letter.isalnum() or letter == "\N{REPLACEMENT CHARACTER}" for letter in text)

    return list(dropwhile(is_lead, own)) or own
