"""Label scoring: the probability of each label word after a prompt, instead of the text that the model writes."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby, takewhile

import numpy as np
import torch
from torch import nn
from transformers import PreTrainedTokenizerBase

from nli.answering.label_trees import takes_trees, tree_of, word_log_probabilities
from nli.base.labels import LABELS
from nli.models.compatibility import word_tokens
from nli.models.next_token import next_token_logits

CONTENT_FREE = ("N/A", "", "[MASK]")  # replace both premise and hypothesis (Zhao et al. 2021)


def with_spellings(
    tokenizer: PreTrainedTokenizerBase, prompt: str, lead: str, words: Mapping[str, str]
) -> dict[str, str]:
    """The label words as stated, in lower case and capitalised, because reading ignores case and so must scoring.

    A spelling is left out if it has the same tokens as another (an uncased tokenizer), if one of them is unknown, or if
    it begins like a word of another class. `compatibility.check_label_words` has checked the stated spellings.

    Args:
        prompt: the text before `lead`, which affects the words' tokens.
        lead: the text between prompt and word.
        words: word -> class.

    Returns:
        spelling -> class.
    """
    tokens = {word: word_tokens(tokenizer, prompt, f"{prompt}{lead}{word}") for word in words}
    spelled = dict(words)
    for word, label in words.items():
        for other in (word.lower(), word[:1].upper() + word[1:]):
            own = word_tokens(tokenizer, prompt, f"{prompt}{lead}{other}")
            if not own or own in tokens.values() or tokenizer.unk_token_id in own:
                continue
            if not any(spelled[known] != label and ids[0] == own[0] for known, ids in tokens.items()):
                spelled[other], tokens[other] = label, own
    return spelled


@dataclass(frozen=True)
class Continuation:
    """A prompt followed by one word: token ids, where the word's tokens begin, and the class that it means."""

    row: int
    label: str
    ids: list[int]
    start: int


@dataclass
class Pass:
    """A text for one forward pass, and the continuations whose tokens it predicts."""

    ids: list[int]
    scored: list[Continuation] = field(default_factory=list)

    @property
    def start(self) -> int:
        """The first position whose next token is scored."""
        return min(text.start for text in self.scored) - 1


def continuations(
    tokenizer: PreTrainedTokenizerBase, prompts: Sequence[str], lead: str, words: Mapping[str, str]
) -> list[Continuation]:
    """Every prompt with every word, encoded as one text, as in a training text.

    Args:
        lead: the text between prompt and word, usually a space; it belongs to the word's token.
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


def shared_passes(texts: Sequence[Continuation]) -> list[Pass]:
    """The fewest texts that predict every scored token.

    The tokens before a word's last token predict it. So one-token words after the same prompt share the prompt's pass,
    which is also part of the pass of a word with several tokens.
    """
    passes: dict[int, list[Pass]] = {}
    for text in sorted(texts, key=lambda text: -len(text.ids)):
        before, of_row = text.ids[:-1], passes.setdefault(text.row, [])
        found = next((known for known in of_row if known.ids[: len(before)] == before), None)
        if found is None:
            found = Pass(before)
            of_row.append(found)
        found.scored.append(text)
    return [known for of_row in passes.values() for known in of_row]


def label_log_probabilities(
    model: nn.Module,
    tokenizer: PreTrainedTokenizerBase,
    prompts: Sequence[str],
    lead: str,
    words: Mapping[str, str],
    batch_size: int,
    speed: str = "plain",
) -> np.ndarray:
    """Log-probability of each class after each prompt: that of its word, summed over the word's tokens.

    The probability of a class with several words is the sum over the words.

    Args:
        speed: "fast": one pass per prompt, for decoders that can (`label_trees`); "plain": a text per pass.

    Returns:
        (prompts, 3), float64, in the order of `LABELS`; not normalised over the classes.
    """
    texts = continuations(tokenizer, prompts, lead, words)
    scores = np.full((len(prompts), len(LABELS)), -np.inf)
    score = scored_trees(model, texts, tokenizer.pad_token_id, batch_size) if speed == "fast" else None
    for text, value in score or scored_texts(model, texts, tokenizer.pad_token_id, batch_size):
        place = text.row, LABELS.index(text.label)
        scores[place] = np.logaddexp(scores[place], value)
    return scores


def scored_trees(
    model: nn.Module, texts: Sequence[Continuation], pad: int, batch_size: int
) -> Iterator[tuple[Continuation, float]] | None:
    """Each continuation with its log-probability, from one pass for each prompt; None for a model that cannot."""
    rows = [list(of_row) for _, of_row in groupby(texts, key=lambda text: text.row)]
    trees = [tree_of([(text.ids, text.start) for text in of_row]) for of_row in rows]
    if not takes_trees(model, trees):
        return None
    scored = word_log_probabilities(model, trees, pad, batch_size)
    return (pair for index, values in scored for pair in zip(rows[index], values, strict=True))


def scored_texts(
    model: nn.Module, texts: Sequence[Continuation], pad: int, batch_size: int
) -> Iterator[tuple[Continuation, float]]:
    """Each continuation with its log-probability, from the fewest texts that predict all of them."""
    passes = shared_passes(texts)
    ids, starts = [one.ids for one in passes], [one.start for one in passes]
    for index, logits in next_token_logits(model, ids, starts, pad, batch_size):
        values = torch.log_softmax(logits.float(), dim=-1)
        for text in passes[index].scored:
            own = torch.tensor(text.ids[text.start :], device=values.device)
            first = text.start - 1 - starts[index]
            yield text, float(values[first : first + len(own)].gather(1, own[:, None]).double().sum())


def as_scored(scores: np.ndarray, content_free: np.ndarray) -> np.ndarray:
    """The log-probabilities, unchanged."""
    return scores


def calibrate(scores: np.ndarray, content_free: np.ndarray) -> np.ndarray:
    """Contextual calibration (Zhao et al. 2021): each class's probability divided by its mean after the content-free
    prompts, normalised over the classes; in logarithms.

    As in the paper's code, the mean is over probabilities, not logarithms, and before any normalisation: a content-free
    prompt is weighted by the total probability of the label words after it.

    Args:
        scores: (rows, 3).
        content_free: (prompts, 3), or (rows, prompts, 3) if rows have different ones.
    """
    prompts = content_free.shape[-2]
    ratios = scores - (np.logaddexp.reduce(content_free, axis=-2) - np.log(prompts))
    return ratios - np.logaddexp.reduce(ratios, axis=1, keepdims=True)


LABEL_SCORERS: dict[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {
    "label_logp": as_scored,
    "calibrated_logp": calibrate,
}
