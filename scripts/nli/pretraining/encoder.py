"""Pretrains a tiny RoBERTa on masked words and on the connective that joins premise and hypothesis."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from transformers import PreTrainedTokenizerFast, RobertaConfig, RobertaForMaskedLM

from nli.pretraining.loop import grouped_batches, optimise, pad
from nli.pretraining.tokenizers import CONNECTIVES, train_encoder_tokenizer


def encode_pairs(tokenizer, corpus: pd.DataFrame, max_length: int) -> list[tuple[list, list]]:
    """Token ids of every premise and hypothesis, cut so that the pair fits `max_length` with six more tokens."""
    room = max_length - 6
    pairs = []
    encoded = (
        tokenizer(corpus[column].tolist(), add_special_tokens=False)["input_ids"]
        for column in ("premise", "hypothesis")
    )
    for premise, hypothesis in zip(*encoded, strict=True):
        keep = max(room - len(hypothesis), room // 2)
        pairs.append((premise[:keep], hypothesis[: room - len(premise[:keep])]))
    return pairs


def mask_tokens(ids: torch.Tensor, chosen: torch.Tensor, mask_id: int) -> torch.Tensor:
    """`ids` with 50% of the `chosen` tokens replaced by `<mask>`, 10% by another token of the batch, 40% unchanged.

    More are unchanged than in BERT (10%), because a short text would lose too much information.
    """
    how = torch.rand(ids.shape)
    others = ids[chosen][torch.randint(int(chosen.sum()), ids.shape)] if chosen.any() else ids
    inputs = torch.where(chosen & (how < 0.5), mask_id, ids)
    return torch.where(chosen & (how >= 0.9), others, inputs)


def tiny_roberta(tokenizer: PreTrainedTokenizerFast, recipe: dict[str, Any]) -> RobertaForMaskedLM:
    """A RoBERTa with random weights and without dropout, even in fine-tuning, where it would only cost time.

    Query and key weights start equal, so a word first attends to its own repetitions, and the model learns far sooner
    to compare two sentences.
    """
    config = RobertaConfig(
        vocab_size=len(tokenizer),
        hidden_size=recipe["hidden_size"],
        num_hidden_layers=recipe["layers"],
        num_attention_heads=recipe["heads"],
        intermediate_size=4 * recipe["hidden_size"],
        max_position_embeddings=recipe["max_positions"],
        type_vocab_size=1,
        layer_norm_eps=1e-5,
        initializer_range=recipe["initializer_range"],
        bos_token_id=tokenizer.bos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        eos_token_id=tokenizer.eos_token_id,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
    )
    model = RobertaForMaskedLM(config)
    with torch.no_grad():
        for layer in model.roberta.encoder.layer:
            layer.attention.self.key.weight.copy_(layer.attention.self.query.weight)
    return model


@dataclass(frozen=True)
class MaskedBatch:
    """`inputs`, and the `targets` at positions where `predicted`, all [batch, length]."""

    inputs: torch.Tensor
    targets: torch.Tensor
    predicted: torch.Tensor
    connective: torch.Tensor  # where the target is a connective
    attention_mask: torch.Tensor


def masked_batch(
    pairs: list[tuple[list, list]], words: list[int], tokenizer: PreTrainedTokenizerFast, recipe: dict[str, Any]
) -> MaskedBatch:
    """Texts `<s> premise </s></s> connective hypothesis </s>` with something to predict in each.

    A text shows its connective, and much of the hypothesis is masked; or the connective is masked; or it is left out
    and `<s>` predicts it (as in DisSent, Nie et al. 2019), in the same format as in fine-tuning.
    """
    bos, eos = tokenizer.bos_token_id, tokenizer.eos_token_id
    kinds = torch.multinomial(
        torch.tensor([recipe["connective"][kind] for kind in ("shown", "masked", "dropped")]),
        len(pairs),
        replacement=True,
    )
    texts, places = [], []
    for (premise, hypothesis), word, kind in zip(pairs, words, kinds.tolist(), strict=True):
        joint = [] if kind == 2 else [word]
        texts.append([bos, *premise, eos, eos, *joint, *hypothesis, eos])
        places.append(0 if kind == 2 else len(premise) + 3)
    ids = pad(texts, tokenizer.pad_token_id)
    columns, places = torch.arange(ids.shape[1])[None], torch.tensor(places)[:, None]
    shown, masked, dropped = (kinds == 0)[:, None], (kinds == 1)[:, None], (kinds == 2)[:, None]
    place = columns == places
    probability = torch.full(ids.shape, recipe["mlm_probability"])
    probability[shown & (columns > places)] = recipe["hypothesis_mlm_probability"]
    chosen = (ids >= len(tokenizer.all_special_ids)) & ~place & (torch.rand(ids.shape) < probability)
    inputs = mask_tokens(ids, chosen, tokenizer.mask_token_id)
    connective = place & ~shown
    return MaskedBatch(
        inputs=torch.where(place & masked, tokenizer.mask_token_id, inputs),
        targets=torch.where(place & dropped, torch.tensor(words)[:, None], ids),
        predicted=chosen | connective,
        connective=connective,
        attention_mask=(ids != tokenizer.pad_token_id).long(),
    )


def pretrain_encoder(
    corpus: pd.DataFrame, tokenizer: PreTrainedTokenizerFast, recipe: dict[str, Any], seed: int
) -> RobertaForMaskedLM:
    """A tiny RoBERTa, pretrained on masked tokens and on the connective between premise and hypothesis."""
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    model = tiny_roberta(tokenizer, recipe)
    pairs = encode_pairs(tokenizer, corpus, recipe["max_length"])
    labels = corpus["label"].to_numpy()
    connectives = tokenizer.convert_tokens_to_ids(["Ġ" + word for word in CONNECTIVES])

    def loss_of(rows: np.ndarray) -> tuple[torch.Tensor, dict[str, float]]:
        words = [connectives[labels[row]] for row in rows]
        batch = masked_batch([pairs[row] for row in rows], words, tokenizer, recipe)
        # Positions start anywhere, so that the model reads a text after virtual tokens like one without them.
        starts = torch.randint(recipe["position_shift"] + 1, (len(rows), 1)) + model.config.pad_token_id + 1
        positions = starts + torch.arange(batch.inputs.shape[1])
        hidden = model.roberta(batch.inputs, attention_mask=batch.attention_mask, position_ids=positions)[0]
        logits = model.lm_head(hidden[batch.predicted])  # only where something is predicted
        targets = batch.targets[batch.predicted]
        losses = torch.nn.functional.cross_entropy(logits, targets, reduction="none")
        connective = batch.connective[batch.predicted]
        figures = {"masked-token loss": losses[~connective], "connective loss": losses[connective]}
        means = {name: values.mean() for name, values in figures.items() if len(values)}
        extra = recipe["connective_weight"] * means.get("connective loss", 0.0)
        return losses.mean() + extra, {name: mean.item() for name, mean in means.items()}

    lengths = np.array([len(premise) + len(hypothesis) for premise, hypothesis in pairs])
    batches = grouped_batches(corpus["premise"], lengths, recipe["batch_size"], rng)
    optimise(model, batches, loss_of, recipe)
    return model


def make_encoder(corpus: pd.DataFrame, folder: Path, recipe: dict[str, Any], seed: int) -> None:
    """Train tokenizer and encoder; save both in `folder` in the `from_pretrained` layout."""
    tokenizer = train_encoder_tokenizer(corpus, recipe["vocab_size"], recipe["max_positions"] - 2)
    pretrain_encoder(corpus, tokenizer, recipe, seed).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
