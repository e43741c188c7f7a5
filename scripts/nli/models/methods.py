"""The encoder's methods: full fine-tuning, the top layers, the head alone, LoRA, soft prompts.

Each method is one function from a classifier to a classifier with the right parameters trainable; `METHODS` is the
table of them. A new method is one function and one entry.
"""

from collections.abc import Callable
from typing import Any

import torch
from peft import PrefixTuningConfig, PromptEncoderConfig, PromptTuningConfig, TaskType, get_peft_model
from torch import nn
from transformers import PreTrainedModel

from nli.models.adapters import lora_config
from nli.models.architecture import head_modules, transformer_blocks

SPECIAL_TOKENS = 4  # RoBERTa's vocabulary starts with <s>, <pad>, </s>, <unk>
Method = Callable[[PreTrainedModel, dict[str, Any]], nn.Module]


def tune_everything(model: PreTrainedModel, spec: dict[str, Any]) -> nn.Module:
    """Full fine-tuning: every parameter trains."""
    return model


def tune_head(model: PreTrainedModel, spec: dict[str, Any]) -> nn.Module:
    """The classification head alone trains."""
    model.requires_grad_(False)
    for module in head_modules(model).values():
        module.requires_grad_(True)
    return model


def tune_top_layers(model: PreTrainedModel, spec: dict[str, Any]) -> nn.Module:
    """The head and the last `layers` transformer layers train."""
    tune_head(model, spec)
    transformer_blocks(model)[-spec["layers"] :].requires_grad_(True)
    return model


def tune_lora(model: PreTrainedModel, spec: dict[str, Any]) -> nn.Module:
    """Low-rank updates of the attention's projections (Hu et al. 2021), with a trainable head."""
    config = lora_config(spec["lora"], TaskType.SEQ_CLS)
    config.modules_to_save = list(head_modules(model))  # PEFT knows "classifier" and "score" alone
    return get_peft_model(model, config)


def tune_prompt(model: PreTrainedModel, spec: dict[str, Any]) -> nn.Module:
    """Virtual tokens before the input (Lester et al. 2021), with a trainable head.

    PEFT puts the virtual tokens first, so a head that reads position 0 reads a virtual token. Pooling
    `sentence_start` makes it read `<s>`, the first token behind them: what leaves the last transformer layer has lost
    the virtual positions, so it holds for a pooler within the encoder (BERT) as well as for a head above it.
    """
    words = model.get_input_embeddings()
    tuned = add_soft_prompt(model, spec, PromptTuningConfig, words.embedding_dim)
    if spec["prompt"]["init"] == "vocabulary":
        start_from_vocabulary(tuned.prompt_encoder["default"].embedding, words)
    return tuned


def start_from_vocabulary(prompt: nn.Embedding, words: nn.Embedding) -> None:
    """Start each virtual token as the embedding of a frequent word (Lester et al. 2021: of the 5,000 most common).

    BPE vocabularies are ordered by frequency, RoBERTa's by that of its tokens, others' by that of their merges. PEFT's
    own start is a normal distribution of variance 1, tens of times as large as an embedding.
    """
    frequent = range(SPECIAL_TOKENS, min(SPECIAL_TOKENS + 5000, words.num_embeddings))
    chosen = torch.randperm(len(frequent), device="cpu")[: prompt.num_embeddings] + frequent.start
    with torch.no_grad():
        prompt.weight.copy_(words.weight[chosen.to(words.weight.device)])


def tune_p(model: PreTrainedModel, spec: dict[str, Any]) -> nn.Module:
    """Virtual tokens that a small bidirectional LSTM makes (P-tuning, Liu et al. 2021), with a trainable head."""
    size = model.get_input_embeddings().embedding_dim
    return add_soft_prompt(
        model, spec, PromptEncoderConfig, size, encoder_reparameterization_type="LSTM", encoder_hidden_size=size
    )


def tune_prefix(model: PreTrainedModel, spec: dict[str, Any]) -> nn.Module:
    """Keys and values before those of every layer, made by a small network (Li and Liang 2021), and a trainable head.

    The prefix is no part of the hidden states, so that position 0 is `<s>`.
    """
    size = model.config.hidden_size
    return add_soft_prompt(model, spec, PrefixTuningConfig, size, prefix_projection=True, encoder_hidden_size=size)


def add_soft_prompt(
    model: PreTrainedModel, spec: dict[str, Any], config_class: type, token_dim: int, **settings: Any
) -> nn.Module:
    """The classifier with what PEFT puts before its input, and a trainable head."""
    length = spec["prompt"]["num_virtual_tokens"]
    if spec["pooling"] == "sentence_start":
        transformer_blocks(model)[-1].register_forward_hook(SkipPositions(length))
    config = config_class(
        task_type=TaskType.SEQ_CLS,
        num_virtual_tokens=length,
        token_dim=token_dim,  # PEFT takes hidden_size, which ELECTRA projects to
        num_attention_heads=model.config.num_attention_heads,  # PEFT asks DistilBERT for it in vain
        modules_to_save=list(head_modules(model)),
        **settings,
    )
    return get_peft_model(model, config)


class SkipPositions:
    """Forward hook that takes the first `length` positions off a layer's hidden states, (batch, positions, size)."""

    def __init__(self, length: int) -> None:
        self.length = length

    def __call__(self, module: nn.Module, inputs: tuple[Any, ...], output: Any) -> Any:
        if isinstance(output, tuple):
            return (output[0][:, self.length :], *output[1:])
        return output[:, self.length :]


def train_word_embeddings_only(model: nn.Module) -> None:
    """The report's freezing: everything, then the word-embedding table is unfrozen.

    It freezes the prompt and the head, which are what prompt tuning trains.
    """
    model.requires_grad_(False)
    model.get_input_embeddings().requires_grad_(True)


# A cloze has no entry: it is another model, see nli.models.cloze.
METHODS: dict[str, Method] = {
    "full": tune_everything,
    "lora": tune_lora,
    "prompt_tuning": tune_prompt,
    "p_tuning": tune_p,
    "prefix_tuning": tune_prefix,
    "top_layers": tune_top_layers,
    "head_only": tune_head,
}
