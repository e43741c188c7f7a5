"""A model with random weights, for real counts, speed and memory when no weights are available."""

from pathlib import Path

import pandas as pd
import torch
from transformers import AutoModelForCausalLM, AutoModelForMaskedLM, PretrainedConfig

from nli.pretraining.tokenizers import train_decoder_tokenizer, train_encoder_tokenizer


def save_random_model(role: str, config: PretrainedConfig, corpus: pd.DataFrame, folder: Path) -> None:
    """Write a model with random weights, in its configuration's dtype, and a tokenizer trained on the corpus.

    The tokenizer's vocabulary is at most the architecture's; the model keeps its full embedding table.
    """
    train = {"encoder": train_encoder_tokenizer, "decoder": train_decoder_tokenizer}[role]
    tokenizer = train(corpus, config.vocab_size, config.max_position_embeddings)
    for token in ("bos_token_id", "eos_token_id", "pad_token_id"):
        setattr(config, token, getattr(tokenizer, token))
    auto_class = {"encoder": AutoModelForMaskedLM, "decoder": AutoModelForCausalLM}[role]
    auto_class.from_config(config, dtype=config.dtype or torch.float32).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
