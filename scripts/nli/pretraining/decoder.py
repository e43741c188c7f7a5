"""Pretrains a tiny Llama with grouped-query attention on pairs of sentences with a verdict."""

from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from nli.pretraining.loop import grouped_batches, optimise, pad
from nli.pretraining.texts import Text, draw_texts, plain_texts
from nli.pretraining.tokenizers import train_decoder_tokenizer


def tiny_llama(tokenizer: PreTrainedTokenizerFast, recipe: dict[str, Any]) -> LlamaForCausalLM:
    """A Llama with random weights. Query weights start equal to the key weights of their group, as in the encoder."""
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=recipe["hidden_size"],
        num_hidden_layers=recipe["layers"],
        num_attention_heads=recipe["heads"],
        num_key_value_heads=recipe["kv_heads"],
        intermediate_size=3 * recipe["hidden_size"],
        max_position_embeddings=recipe["max_positions"],
        initializer_range=recipe["initializer_range"],
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=None,
        tie_word_embeddings=False,
    )
    model = LlamaForCausalLM(config)
    # as for Llama, so that `generate` without arguments also samples in the demo
    model.generation_config.update(do_sample=True, temperature=0.6, top_p=0.9)
    with torch.no_grad():
        for layer in model.model.layers:
            key = layer.self_attn.k_proj.weight.view(recipe["kv_heads"], -1, recipe["hidden_size"])
            query = key.repeat_interleave(recipe["heads"] // recipe["kv_heads"], dim=0)
            layer.self_attn.q_proj.weight.copy_(query.reshape(-1, recipe["hidden_size"]))
    return model


def weighted_sequences(
    texts: list[Text], tokenizer: PreTrainedTokenizerFast, recipe: dict[str, Any]
) -> tuple[list[list[int]], list[list[int]]]:
    """Token ids of every text and their weights in the loss.

    A text longer than `max_length` loses tokens after its begin token.
    """
    bodies = tokenizer([text.body for text in texts], add_special_tokens=False)["input_ids"]
    sequences, weights = [], []
    for body, text in zip(bodies, texts, strict=True):
        first, *votes = tokenizer(text.answers, add_special_tokens=False)["input_ids"]
        votes = [token for vote in votes for token in vote]
        body = body[-(recipe["max_length"] - len(first) - len(votes) - 2) :]
        sequences.append([tokenizer.bos_token_id, *body, *first, *votes, tokenizer.eos_token_id])
        read = [1] * (len(body) + len(first))
        weights.append([*read, recipe["answer_weight"], *([recipe["vote_weight"]] * len(votes)), 1])
    return sequences, weights


def staged_batches(
    corpus: pd.DataFrame, lengths: np.ndarray, recipe: dict[str, Any], rng: np.random.Generator
) -> Iterator[np.ndarray]:
    """Batches of four lists of texts: only plain ones, then annotators agree, then they differ, then texts are wide.

    After `plain_steps`, a share `plain_share` is still plain texts.

    Args:
        lengths: lengths of the texts of the four lists, one after the other, each with a text for every pair.
    """
    plain, *others = (
        grouped_batches(corpus["premise"], part, recipe["batch_size"], rng) for part in np.split(lengths, 4)
    )
    for step in count():
        if step < recipe["plain_steps"] or rng.random() < recipe["plain_share"]:
            yield next(plain)
        else:
            stage = (step >= recipe["agreed_steps"]) + (step >= recipe["divided_steps"])
            yield next(others[stage]) + (1 + stage) * len(corpus)


def pretrain_decoder(
    corpus: pd.DataFrame, tokenizer: PreTrainedTokenizerFast, recipe: dict[str, Any], seed: int
) -> LlamaForCausalLM:
    """A pretrained tiny Llama; the token of the first label has weight `answer_weight` in the loss.

    It first learns to compare two sentences in texts of one layout, which takes a fraction of the steps that all
    layouts at once would take, then reads the other layouts, and learns last that annotators differ.
    """
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    model = tiny_llama(tokenizer, recipe)
    texts = plain_texts(corpus)
    for agreement in (1.0, recipe["agreement"]):
        texts += draw_texts(corpus, rng, agreement, recipe["examples"], wide=False)
    texts += draw_texts(corpus, np.random.default_rng([seed, 1]), recipe["agreement"], recipe["examples"], wide=True)
    sequences, weights = weighted_sequences(texts, tokenizer, recipe)

    def loss_of(rows: np.ndarray) -> tuple[torch.Tensor, dict[str, float]]:
        ids, weight = pad([sequences[row] for row in rows], -100), pad([weights[row] for row in rows], 0)
        targets, weight = ids[:, 1:], weight[:, 1:].float()
        # The answers and a random part of the other tokens, because the logits take most of a step's time.
        kept = (weight > 1) | ((weight > 0) & (torch.rand(targets.shape) < recipe["token_fraction"]))
        hidden = model.model(ids.clamp(min=0))[0][:, :-1]
        losses = torch.nn.functional.cross_entropy(model.lm_head(hidden[kept]), targets[kept], reduction="none")
        weight = weight[kept]
        first = weight == recipe["answer_weight"]
        figures = {"token loss": losses[weight == 1].mean().item(), "answer loss": losses[first].mean().item()}
        return (losses * weight).sum() / weight.sum(), figures

    lengths = np.array([len(ids) for ids in sequences])
    optimise(model, staged_batches(corpus, lengths, recipe, rng), loss_of, recipe)
    return model


def make_decoder(corpus: pd.DataFrame, folder: Path, recipe: dict[str, Any], seed: int) -> None:
    """Train tokenizer and decoder; save both in `folder` in the `from_pretrained` layout."""
    tokenizer = train_decoder_tokenizer(corpus, recipe["vocab_size"], recipe["max_positions"])
    pretrain_decoder(corpus, tokenizer, recipe, seed).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
