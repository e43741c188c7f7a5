"""Label scoring: how probable each label word is after a prompt, instead of what the model writes there."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile

import numpy as np
import torch
from torch import nn
from torch.nn.utils.rnn import pad_sequence
from transformers import PreTrainedTokenizerBase

from nli.labels import LABELS

CONTENT_FREE = "N/A"  # a premise and a hypothesis that say nothing (Zhao et al. 2021)


@dataclass(frozen=True)
class Continuation:
    """A prompt with one word behind it: token ids, where the word's own begin, and the class it stands for."""

    row: int
    label: str
    ids: list[int]
    start: int


def continuations(
    tokenizer: PreTrainedTokenizerBase, prompts: Sequence[str], lead: str, words: Mapping[str, str]
) -> list[Continuation]:
    """Every prompt with every word, encoded as one text, as it would stand in a training text.

    Args:
        lead: what stands between prompt and word, as a rule a space; it belongs to the word's token.
        words: word -> class.
    """
    found = []
    for row, prompt in enumerate(prompts):
        before = tokenizer(prompt)["input_ids"]
        for word, label in words.items():
            ids = tokenizer(f"{prompt}{lead}{word}")["input_ids"]
            shared = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(before, ids, strict=False)))
            found.append(Continuation(row, label, ids, shared))
    return found


@torch.no_grad()
def label_log_probabilities(
    model: nn.Module,
    tokenizer: PreTrainedTokenizerBase,
    prompts: Sequence[str],
    lead: str,
    words: Mapping[str, str],
    batch_size: int,
) -> np.ndarray:
    """Log-probability of each class after each prompt: of its word, summed over the word's tokens.

    A class with several words has the sum of their probabilities. Texts of like length share a batch, padded at the
    right, where a causal model does not see it.

    Returns:
        (prompts, 3), float64, in the order of `LABELS`; not normalised over the classes.
    """
    model.eval()
    texts = sorted(continuations(tokenizer, prompts, lead, words), key=lambda text: len(text.ids))
    scores = np.full((len(prompts), len(LABELS)), -np.inf)
    for begin in range(0, len(texts), batch_size):
        batch = texts[begin : begin + batch_size]
        for text, value in zip(batch, _score_batch(model, batch, tokenizer.pad_token_id), strict=True):
            place = text.row, LABELS.index(text.label)
            scores[place] = np.logaddexp(scores[place], value)
    return scores


def _score_batch(model: nn.Module, batch: Sequence[Continuation], pad: int) -> list[float]:
    """The summed log-probability of each text's own tokens."""
    target = next(model.parameters()).device
    ids = pad_sequence([torch.tensor(text.ids) for text in batch], batch_first=True, padding_value=pad)
    lengths = torch.tensor([len(text.ids) for text in batch])
    mask = (torch.arange(ids.shape[1]) < lengths[:, None]).long()
    first = min(text.start for text in batch) - 1  # the position that predicts the first token that is scored
    kept = ids.shape[1] - first
    logits = model(input_ids=ids.to(target), attention_mask=mask.to(target), logits_to_keep=kept).logits[:, -kept:]
    values = torch.log_softmax(logits.float(), dim=-1)[:, :-1].cpu()
    own = values.gather(2, ids[:, first + 1 :, None])[:, :, 0].double()
    return [float(own[i, text.start - first - 1 : len(text.ids) - first - 1].sum()) for i, text in enumerate(batch)]


def as_scored(scores: np.ndarray, content_free: np.ndarray) -> np.ndarray:
    """The log-probabilities as they are."""
    return scores


def calibrate(scores: np.ndarray, content_free: np.ndarray) -> np.ndarray:
    """Contextual calibration (Zhao et al. 2021): each class's probability divided by that after the content-free
    prompt, normalised over the classes; in logarithms.

    Args:
        scores: (rows, 3).
        content_free: (3,).
    """
    ratios = scores - content_free
    return ratios - np.logaddexp.reduce(ratios, axis=1, keepdims=True)


LABEL_SCORERS: dict[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {
    "label_logp": as_scored,
    "calibrated_logp": calibrate,
}
