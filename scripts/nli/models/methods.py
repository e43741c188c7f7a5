"""The encoder's methods: for each entry of `study.methods.METHODS` the function of its name.

It takes the encoder, the spec and, for a method that asks for words, the tokenizer, and returns the model with the
right parameters trainable.
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
    """The classification head alone trains."""
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
    # PEFT by itself knows heads called "classifier" or "score" alone
    return add_lora(model, spec["lora"], TaskType.SEQ_CLS, saved=list(head_modules(model)))


def ia3(model: PreTrainedModel, spec: Spec, tokenizer: Tokenizer = None) -> nn.Module:
    """Learned factors of keys, values and feed-forward activations ((IA)³, Liu et al. 2022), with a trainable head."""
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
        raise StudyError(f"experiments.roberta/{spec['name']}.method: 'bitfit' trains biases, {kind} has none")
    for bias in biases:
        bias.requires_grad_(True)
    return model


def prompt_tuning(model: PreTrainedModel, spec: Spec, tokenizer: Tokenizer = None) -> nn.Module:
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


def p_tuning(model: PreTrainedModel, spec: Spec, tokenizer: Tokenizer = None) -> nn.Module:
    """Virtual tokens that a small bidirectional LSTM makes (P-tuning, Liu et al. 2021), with a trainable head."""
    size = model.get_input_embeddings().embedding_dim
    return add_soft_prompt(
        model, spec, PromptEncoderConfig, size, encoder_reparameterization_type="LSTM", encoder_hidden_size=size
    )


def prefix_tuning(model: PreTrainedModel, spec: Spec, tokenizer: Tokenizer = None) -> nn.Module:
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


def cloze(model: PreTrainedModel, spec: Spec, tokenizer: Tokenizer = None) -> nn.Module:
    """Every parameter of the masked language model trains, asked at the mask; without a tokenizer it is not asked."""
    return ask_mask(model, tokenizer, spec) if tokenizer else model


def train_word_embeddings_only(model: nn.Module) -> None:
    """The report's freezing: everything, then the word-embedding table is unfrozen.

    It freezes the prompt and the head, which are what prompt tuning trains.
    """
    model.requires_grad_(False)
    model.get_input_embeddings().requires_grad_(True)
