"""The encoder's methods: one function for each entry of `study.methods.METHODS`, with the same name.

Each takes the encoder, the spec and, for a method with label words, the tokenizer, and returns the model with the right
parameters trainable.
"""

from typing import Any

import torch
from peft import IA3Config, PrefixTuningConfig, PromptEncoderConfig, PromptTuningConfig, TaskType, get_peft_model
from torch import nn
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from nli.base.errors import StudyError
from nli.models.adapters import add_lora
from nli.models.architecture import head_modules, transformer_blocks
from nli.models.cloze import ask_mask

SPECIAL_TOKENS = 4  # RoBERTa's vocabulary starts with <s>, <pad>, </s>, <unk>
Spec = dict[str, Any]
Tokenizer = PreTrainedTokenizerBase | None


def full(model: PreTrainedModel, spec: Spec, tokenizer: Tokenizer = None) -> nn.Module:
    """Full fine-tuning: every parameter trains."""
    return model


def head_only(model: PreTrainedModel, spec: Spec, tokenizer: Tokenizer = None) -> nn.Module:
    """Only the classification head trains."""
    model.requires_grad_(False)
    for module in head_modules(model).values():
        module.requires_grad_(True)
    return model


def top_layers(model: PreTrainedModel, spec: Spec, tokenizer: Tokenizer = None) -> nn.Module:
    """The head and the last `layers` transformer layers train."""
    head_only(model, spec)
    transformer_blocks(model)[-spec["layers"] :].requires_grad_(True)
    return model


def lora(model: PreTrainedModel, spec: Spec, tokenizer: Tokenizer = None) -> nn.Module:
    """Low-rank updates of linear layers (Hu et al. 2021), or a variant of them, with a trainable head."""
    # PEFT itself only knows heads called "classifier" or "score"
    return add_lora(model, spec["lora"], TaskType.SEQ_CLS, saved=list(head_modules(model)))


def ia3(model: PreTrainedModel, spec: Spec, tokenizer: Tokenizer = None) -> nn.Module:
    """Learned factors for keys, values and feed-forward activations ((IA)³, Liu et al. 2022), with a trainable head."""
    config = IA3Config(
        task_type=TaskType.SEQ_CLS,
        target_modules=spec["ia3"]["target_modules"],
        feedforward_modules=spec["ia3"]["feedforward_modules"],
        modules_to_save=list(head_modules(model)),
    )
    return get_peft_model(model, config)


def bitfit(model: PreTrainedModel, spec: Spec, tokenizer: Tokenizer = None) -> nn.Module:
    """The biases and the head train (Ben Zaken et al. 2022).

    Raises:
        StudyError: the encoder has no biases.
    """
    head_only(model, spec)
    biases = [tensor for name, tensor in model.base_model.named_parameters() if name.endswith("bias")]
    if not biases:
        kind = type(model).__name__
        raise StudyError(
            f"experiments.roberta/{spec['name']}.method: 'bitfit' trains biases, {kind} has none; choose another"
        )
    for bias in biases:
        bias.requires_grad_(True)
    return model


def prompt_tuning(model: PreTrainedModel, spec: Spec, tokenizer: Tokenizer = None) -> nn.Module:
    """Virtual tokens before the input (Lester et al. 2021), with a trainable head.

    PEFT puts the virtual tokens first, so a head that reads position 0 reads a virtual token. With pooling
    `sentence_start` it reads `<s>`, the first token after them: the virtual positions are removed from the output of
    the last transformer layer, which works for a pooler inside the encoder (BERT) and for a head above it.
    """
    words = model.get_input_embeddings()
    tuned = add_soft_prompt(model, spec, PromptTuningConfig, words.embedding_dim)
    if spec["prompt"]["init"] == "vocabulary":
        start_from_vocabulary(tuned.prompt_encoder["default"].embedding, words)
    return tuned


def start_from_vocabulary(prompt: nn.Embedding, words: nn.Embedding) -> None:
    """Initialise each virtual token with the embedding of a frequent word (Lester et al. 2021: the 5,000 most common).

    BPE vocabularies are ordered by frequency, of tokens for RoBERTa and of merges for others. PEFT's default
    initialisation, a normal distribution of variance 1, is tens of times larger than an embedding.
    """
    frequent = range(SPECIAL_TOKENS, min(SPECIAL_TOKENS + 5000, words.num_embeddings))
    chosen = torch.randperm(len(frequent), device="cpu")[: prompt.num_embeddings] + frequent.start
    with torch.no_grad():
        prompt.weight.copy_(words.weight[chosen.to(words.weight.device)])


def p_tuning(model: PreTrainedModel, spec: Spec, tokenizer: Tokenizer = None) -> nn.Module:
    """Virtual tokens from a small bidirectional LSTM (P-tuning, Liu et al. 2021), with a trainable head."""
    size = model.get_input_embeddings().embedding_dim
    return add_soft_prompt(
        model, spec, PromptEncoderConfig, size, encoder_reparameterization_type="LSTM", encoder_hidden_size=size
    )


def prefix_tuning(model: PreTrainedModel, spec: Spec, tokenizer: Tokenizer = None) -> nn.Module:
    """Keys and values before those of every layer, from a small network (Li and Liang 2021), and a trainable head.

    The prefix is not part of the hidden states, so position 0 is `<s>`.
    """
    size = model.config.hidden_size
    return add_soft_prompt(model, spec, PrefixTuningConfig, size, prefix_projection=True, encoder_hidden_size=size)


def add_soft_prompt(
    model: PreTrainedModel, spec: dict[str, Any], config_class: type, token_dim: int, **settings: Any
) -> nn.Module:
    """The classifier with PEFT's soft prompt before its input, and a trainable head."""
    length = spec["prompt"]["num_virtual_tokens"]
    if spec["pooling"] == "sentence_start":
        transformer_blocks(model)[-1].register_forward_hook(SkipPositions(length))
    config = config_class(
        task_type=TaskType.SEQ_CLS,
        num_virtual_tokens=length,
        token_dim=token_dim,  # PEFT would use hidden_size, to which ELECTRA projects
        num_attention_heads=model.config.num_attention_heads,  # PEFT does not find it in DistilBERT's configuration
        modules_to_save=list(head_modules(model)),
        **settings,
    )
    return get_peft_model(model, config)


class SkipPositions:
    """Forward hook that removes the first `length` positions of a layer's hidden states, (batch, positions, size)."""

    def __init__(self, length: int) -> None:
        self.length = length

    def __call__(self, module: nn.Module, inputs: tuple[Any, ...], output: Any) -> Any:
        if isinstance(output, tuple):
            return (output[0][:, self.length :], *output[1:])
        return output[:, self.length :]


def cloze(model: PreTrainedModel, spec: Spec, tokenizer: Tokenizer = None) -> nn.Module:
    """The masked language model as a cloze classifier, or without a tokenizer unchanged; every parameter trains."""
    return ask_mask(model, tokenizer, spec) if tokenizer else model


def train_word_embeddings_only(model: nn.Module) -> None:
    """Freeze everything except the word-embedding table, as the original did.

    This freezes the prompt and the head, which prompt tuning should train.
    """
    model.requires_grad_(False)
    model.get_input_embeddings().requires_grad_(True)
