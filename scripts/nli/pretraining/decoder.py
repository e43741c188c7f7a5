"""A tiny Llama with grouped-query attention: a causal language model that has read pairs with a verdict."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from nli.pretraining.loop import grouped_batches, optimise, pad
from nli.pretraining.tokenizers import ANSWERS, train_decoder_tokenizer

# Formats of the decoder's corpus, two for each of the answer sets in turn. None is a prompt or a training text
# of the study, though they are of their kind, as some that a large model has read are.
FORMATS = (
    "[Text]: {premise} [Claim]: {hypothesis} [/END]",
    "### Fact: {premise}\n\n### Guess: {hypothesis}\n\n### Class:",
    "text: {premise}\nclaim: {hypothesis}\nVerdict:",
    'Text: "{premise}"\nClaim: "{hypothesis}"\nRelation:',
    "Given: {premise}\nThen: {hypothesis}\nReply:",
    "text: {premise}\nclaim: {hypothesis}\nDoes it follow?",
)


def decoder_texts(corpus: pd.DataFrame, rng: np.random.Generator) -> list[tuple[str, str]]:
    """(text before the answer, answer) of every pair, in a random one of the formats."""
    formats = rng.integers(len(FORMATS), size=len(corpus))
    texts = []
    for row, which in zip(corpus.itertuples(), formats, strict=True):
        text = FORMATS[which].format(premise=row.premise, hypothesis=row.hypothesis)
        texts.append((text, " " + ANSWERS[which // 2][row.label]))
    return texts


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
    # as Llama's own, so that `generate` without arguments samples in the demo as it does there
    model.generation_config.update(do_sample=True, temperature=0.6, top_p=0.9)
    with torch.no_grad():
        for layer in model.model.layers:
            key = layer.self_attn.k_proj.weight.view(recipe["kv_heads"], -1, recipe["hidden_size"])
            query = key.repeat_interleave(recipe["heads"] // recipe["kv_heads"], dim=0)
            layer.self_attn.q_proj.weight.copy_(query.reshape(-1, recipe["hidden_size"]))
    return model


def pretrain_decoder(
    corpus: pd.DataFrame, tokenizer: PreTrainedTokenizerFast, recipe: dict[str, Any], seed: int
) -> LlamaForCausalLM:
    """A tiny Llama with grouped-query attention; the token of the answer weighs `answer_weight` in the loss."""
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    model = tiny_llama(tokenizer, recipe)
    texts = decoder_texts(corpus, rng)
    bodies = tokenizer([body for body, _ in texts])["input_ids"]
    answers = tokenizer([answer for _, answer in texts], add_special_tokens=False)["input_ids"]
    room = recipe["max_length"] - max(map(len, answers)) - 1
    bos = tokenizer.bos_token_id
    bodies = [ids if len(ids) <= room else [bos, *ids[-room + 1 :]] for ids in bodies]
    sequences = [[*body, *answer, tokenizer.eos_token_id] for body, answer in zip(bodies, answers, strict=True)]
    lengths = np.array([len(ids) for ids in sequences])

    def loss_of(rows: np.ndarray) -> tuple[torch.Tensor, dict[str, float]]:
        ids = pad([sequences[row] for row in rows], -100)
        weights = (ids != -100).float()
        for i, row in enumerate(rows):
            weights[i, len(bodies[row]) : len(bodies[row]) + len(answers[row])] = recipe["answer_weight"]
        hidden = model.model(ids.clamp(min=0))[0][:, :-1]
        targets, weights = ids[:, 1:], weights[:, 1:]
        # The answers, and a random part of the other tokens: the vocabulary's logits cost most of a step.
        kept = (targets != -100) & (torch.rand(targets.shape) < recipe["token_fraction"])
        kept |= weights > 1
        logits = model.lm_head(hidden[kept])
        losses = torch.nn.functional.cross_entropy(logits, targets[kept], reduction="none")
        weights = weights[kept]
        figures = {
            "token loss": losses.mean().item(),
            "answer loss": losses[weights > 1].mean().item(),
        }
        return (losses * weights).sum() / weights.sum(), figures

    batches = grouped_batches(corpus["premise"], lengths, recipe["batch_size"], rng)
    optimise(model, batches, loss_of, recipe)
    return model


def make_decoder(corpus: pd.DataFrame, folder: Path, recipe: dict[str, Any], seed: int) -> None:
    """Train tokenizer and decoder; save both in `folder` in the `from_pretrained` layout."""
    tokenizer = train_decoder_tokenizer(corpus, recipe["vocab_size"], recipe["max_positions"])
    pretrain_decoder(corpus, tokenizer, recipe, seed).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
