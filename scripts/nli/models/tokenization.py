"""Tokenizes many texts in memory that depends on the tokens that are kept, not on the length of the texts.

A tokenizer truncates after it has tokenized the whole text, with some 200 bytes a character. Here long texts are first
divided, at places where a tokenizer in `divisible` divides them anyway: between a letter, digit or mark and a space. So
the tokens of a text are those of its pieces, one after the other. The argument, part by part:

- Added tokens, which are searched for first, contain no such place, so none reaches from one piece into the next. They
  may take in the spaces before them, which are in their own piece, but not those behind.
- Normalization changes each character by itself, or composes it with following marks; a space is never one.
- Pre-tokenization divides the text into words from left to right. No word has a space behind another character, so each
  place ends a word, and whether it does so earlier depends on no character after the place.
- The model tokenizes each word by itself, such as WordPiece, to which a word of over 100 characters is unknown: pieces
  have whole words.

A text without such places, or of a tokenizer of another kind, is one piece.
"""

import json
import re
import sys
import unicodedata
from collections.abc import Iterator, Sequence
from typing import Any

from datasets import Dataset, concatenate_datasets
from tokenizers import AddedToken, Tokenizer, models
from transformers import PreTrainedTokenizerBase

PLACE = re.compile(r"[\w.,;:!?] ")  # divided before the space
CHARACTERS = 8  # of a token, on average, at most; with longer ones a text is cut later
PIECE = 100_000  # characters of a piece whose tokens are counted
BATCH_ROWS, BATCH_CHARACTERS = 1000, 1_000_000

NORMALIZERS = {"NFC", "NFD", "NFKC", "NFKD", "Lowercase"}
WORDS = {"ByteLevel", "Digits", "Whitespace", "WhitespaceSplit", "BertPreTokenizer"}
# What Llama 3 and Qwen take for a word; only the second alternative's first character may be a space.
PATTERNS = {
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|" + number + r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|"
    r"\s+(?!\S)|\s+"
    for number in (r"\p{N}{1,3}", r"\p{N}")
}


def parts_of(component: Any) -> list[dict[str, Any]]:
    """The settings of a tokenizer's normalizer or pre-tokenizer, of each in a sequence."""
    if component is None:
        return []
    settings = json.loads(component.__getstate__())
    return settings.get("normalizers") or settings.get("pretokenizers") or [settings]


def divisible(tokenizer: PreTrainedTokenizerBase) -> bool:
    """Whether the tokens of a text are those of its pieces, by the argument above."""
    if not tokenizer.is_fast:
        return False
    backend: Tokenizer = tokenizer.backend_tokenizer
    normalizers, words = parts_of(backend.normalizer), parts_of(backend.pre_tokenizer)
    bert = [part["type"] for part in words] == ["BertPreTokenizer"]  # drops the spaces that its normalizer adds
    return (
        all(part["type"] in NORMALIZERS or (part["type"] == "BertNormalizer" and bert) for part in normalizers)
        and makes_words(words)
        and isinstance(backend.model, models.BPE | models.WordPiece | models.WordLevel)
        and not getattr(backend.model, "dropout", None)
        and not any(spans_places(added) for added in tokenizer.added_tokens_decoder.values())
    )


def makes_words(pre_tokenizers: list[dict[str, Any]]) -> bool:
    """Whether pre-tokenizers, in their order, divide a text at every place, whatever follows."""
    if not all(part["type"] in WORDS or is_known_split(part) for part in pre_tokenizers):
        return False
    first = next((part for part in pre_tokenizers if part["type"] != "Digits"), {"use_regex": False})
    return first.get("use_regex", True)  # without, ByteLevel replaces spaces and divides nothing


def is_known_split(part: dict[str, Any]) -> bool:
    """Whether a pre-tokenizer's words are those of `PATTERNS`."""
    plain = part["type"] == "Split" and part["behavior"] == "Isolated" and not part["invert"]
    return plain and part["pattern"].get("Regex") in PATTERNS


def spans_places(added: AddedToken) -> bool:
    """Whether an added token can have, take in or look at a space behind its first character."""
    content = unicodedata.normalize("NFKC", added.content)
    return added.single_word or added.rstrip or re.search(r"\S\s", content) is not None


def pieces(text: str, size: int) -> Iterator[str]:
    """The text in pieces of `size` characters and up to the next place, or the end."""
    start = 0
    while start < len(text):
        place = PLACE.search(text, start + size)
        end = place.start() + 1 if place else len(text)
        yield text[start:end]
        start = end


def lengths(tokenizer: PreTrainedTokenizerBase, texts: Sequence[str]) -> list[int]:
    """The number of tokens of each text, without special ones."""
    size = PIECE if divisible(tokenizer) else sys.maxsize
    rows, parts = [], []
    for row, text in enumerate(texts):
        for piece in pieces(text, size):
            rows.append(row)
            parts.append(piece)
    found = [0] * len(texts)
    for batch in batches([parts]):
        encoded = tokenizer(parts[batch], add_special_tokens=False, verbose=False)["input_ids"]
        for row, ids in zip(rows[batch], encoded, strict=True):
            found[row] += len(ids)
    return found


def beginning(tokenizer: PreTrainedTokenizerBase, text: str, tokens: int) -> str:
    """The first pieces of a text, which have at least so many `tokens`; or the whole text."""
    size, end = CHARACTERS * tokens, 0
    if len(text) <= size:
        return text
    for piece in pieces(text, size):
        end += len(piece)
        if end < len(text):
            tokens -= len(tokenizer(piece, add_special_tokens=False, verbose=False)["input_ids"])
            if tokens <= 0:
                break
    return text[:end]


def beginning_of_pair(tokenizer: PreTrainedTokenizerBase, pair: Sequence[str], tokens: int) -> list[str]:
    """The `beginning` of both texts of a pair that the tokenizer truncates to `tokens`, the longest text first.

    Two texts that are both longer than half of what is left for them are cut to half of it, and of an odd number the
    longer text gets one token more. It is kept longer than the other here.
    """
    cut = [beginning(tokenizer, text, tokens) for text in pair]
    shortened = [one for one in (0, 1) if len(cut[one]) < len(pair[one])]
    if shortened and (tokens - tokenizer.num_special_tokens_to_add(pair=True)) % 2:
        longer = shortened[0]
        if len(shortened) == 2:
            first, second = lengths(tokenizer, pair)
            longer = 0 if first > second else 1
        (other,) = lengths(tokenizer, [cut[1 - longer]])
        cut[longer] = beginning(tokenizer, pair[longer], max(tokens, other + 1))
    return cut


def cut_texts(tokenizer: PreTrainedTokenizerBase, texts: Sequence[Sequence[str]], tokens: int) -> list[list[str]]:
    """Texts, one or two for each row, so short that their tokens, truncated to `tokens`, are the same.

    Args:
        texts: (1 or 2, rows).
    """
    if not divisible(tokenizer) or tokenizer.truncation_side != "right":
        return [list(column) for column in texts]
    if len(texts) == 1:
        return [[beginning(tokenizer, text, tokens) for text in texts[0]]]
    pairs = [beginning_of_pair(tokenizer, pair, tokens) for pair in zip(*texts, strict=True)]
    return [list(column) for column in zip(*pairs, strict=True)] if pairs else [[], []]


def batches(texts: Sequence[Sequence[str]]) -> Iterator[slice]:
    """The rows of `texts`, (1 or 2, rows), in slices that are neither many rows nor many characters."""
    start = characters = 0
    rows = len(texts[0])
    for row in range(rows):
        length = sum(len(column[row]) for column in texts)
        if row > start and (row - start == BATCH_ROWS or characters + length > BATCH_CHARACTERS):
            yield slice(start, row)
            start, characters = row, 0
        characters += length
    if rows:
        yield slice(start, rows)


def tokenize(
    tokenizer: PreTrainedTokenizerBase,
    texts: Sequence[Sequence[str]],
    labels: Sequence[int],
    tokenization: dict[str, Any],
) -> Dataset:
    """Token ids of texts, one or two for each row, cut to `max_length` and padded to it if `padding` says so.

    Args:
        texts: (1 or 2, rows).
    """
    limit, padding = tokenization["max_length"], tokenization["padding"] == "max_length"
    cut = cut_texts(tokenizer, texts, limit)
    settings = {"truncation": True, "max_length": limit, "padding": "max_length" if padding else False}
    found = []
    for part in batches(cut):
        encoded = tokenizer(*(column[part] for column in cut), **settings)
        found.append(Dataset.from_dict({**encoded, "labels": list(labels[part])}))
    return concatenate_datasets(found)


def first_tokens(tokenizer: PreTrainedTokenizerBase, texts: Sequence[str], tokens: int) -> list[list[int]]:
    """The first `tokens` token ids of each text, special ones included, or all if it has fewer."""
    (cut,) = cut_texts(tokenizer, [texts], tokens)
    return [ids[:tokens] for part in batches([cut]) for ids in tokenizer(cut[part], verbose=False)["input_ids"]]
