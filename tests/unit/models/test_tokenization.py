"""Long texts are cut before they are tokenized, and their tokens are those of the whole texts."""

import random
import re
import unicodedata

import pytest
from conftest import ROOT
from tokenizers import AddedToken, Regex, Tokenizer, models, normalizers, pre_tokenizers, processors, trainers
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from nli.models import tokenization
from nli.models.tokenization import PATTERNS, PLACE, cut_texts, divisible, first_tokens, lengths, tokenize

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
CORPUS = ["A dog isn't running in the park, we'll see. 12 345 naïve и так далее 中文"] * 20
# Runs, unknown and too long words, contractions, marks that compose, special tokens, characters that look like spaces
ATOMS = [
    *("a", "the", "dog", ".", ",", "!?", "'", "'s", "'ll", "1", "2024", "_", "-", "…", "a" * 12, "x" * 101),
    *(" ", "  ", "\n", " \n", "\r\n", "\t", " " * 12, "\u00a0", "\u3000", "\u200b", "\u180e", "\x00", "\x1f", "\x85"),
    *(
        "中",
        "é",
        "e\u0301",
        "\u0301",
        " \u0301",
        "¨",
        "Σ",
        "İ",
        "ß",
        "ſ",
        "ﷺ",
        "①",
        "²",
        "한",
        "ᄀ",
        "ᅡ",
        "नमस्ते",
        "👩‍👧",
    ),
    *("<mask>", "</s>", "<s>", "[MASK]", "[SEP]", "<|end_of_text|>", "[LEFT]", " dog"),
]


def built(pre_tokenizer, normalizer=None, wordpiece=False):
    """A tokenizer that is trained on a few words, in BERT's layout: three special tokens to a pair, an odd number."""
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]") if wordpiece else models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizer
    if normalizer:
        tokenizer.normalizer = normalizer
    shared = {"vocab_size": 400, "special_tokens": SPECIAL, "show_progress": False}
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.WordPieceTrainer if wordpiece else trainers.BpeTrainer
    tokenizer.train_from_iterator(CORPUS, trainer(**shared, initial_alphabet=[] if wordpiece else alphabet))
    ends = [(name, tokenizer.token_to_id(name)) for name in ("[CLS]", "[SEP]")]
    layout = ("[CLS] $A [SEP]", "[CLS] $A [SEP] $B:1 [SEP]:1")
    tokenizer.post_processor = processors.TemplateProcessing(single=layout[0], pair=layout[1], special_tokens=ends)
    names = {f"{name.strip('[]').lower()}_token": name for name in SPECIAL}
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, **names)


def byte_level(**settings):
    return pre_tokenizers.ByteLevel(add_prefix_space=False, **settings)


def split(pattern):
    words = pre_tokenizers.Split(Regex(pattern), "isolated")
    return built(pre_tokenizers.Sequence([words, byte_level(use_regex=False)]))


def with_added(*tokens):
    tokenizer = built(byte_level())
    tokenizer.add_tokens(list(tokens))
    return tokenizer


KINDS = {
    "demo_encoder": lambda: AutoTokenizer.from_pretrained(ROOT / "models/encoder"),
    "demo_decoder": lambda: AutoTokenizer.from_pretrained(ROOT / "models/decoder", pad_token="<|end_of_text|>"),
    "bert": lambda: built(pre_tokenizers.BertPreTokenizer(), normalizers.BertNormalizer(), wordpiece=True),
    "llama3": lambda: split(max(PATTERNS, key=len)),
    "qwen": lambda: split(min(PATTERNS, key=len)),
    "smollm": lambda: built(pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True), byte_level()])),
    "nfkc": lambda: built(byte_level(), normalizers.Sequence([normalizers.NFKC(), normalizers.Lowercase()])),
    "prefix_space": lambda: built(pre_tokenizers.ByteLevel(add_prefix_space=True), normalizers.NFC()),
    "added": lambda: with_added(AddedToken("[LEFT]", lstrip=True), AddedToken("  ", normalized=True), " dog"),
}
OTHERS = {
    "no_words": lambda: built(byte_level(use_regex=False)),
    "unknown_words": lambda: split(r"\S+ ?"),
    "spaces_replaced": lambda: built(byte_level(), normalizers.Replace(" ", "a")),
    "added_with_space": lambda: with_added("dog the"),
    "added_takes_space_behind": lambda: with_added(AddedToken("dog", rstrip=True)),
    "added_looks_behind": lambda: with_added(AddedToken("dog", single_word=True)),
}


def random_text(rng):
    """Few of the atoms or many, with more or fewer spaces.

    Short, because a tokenizer keeps what it cuts off a pair in every combination.
    """
    atoms = rng.sample(ATOMS, rng.randint(1, len(ATOMS))) + [" "] * rng.randint(0, 8)
    return "".join(rng.choices(atoms, k=rng.choice([0, 3, 20, 40])))[:120]


@pytest.mark.parametrize("kind", KINDS)
def test_tokens_are_those_of_whole_texts(kind, monkeypatch):
    monkeypatch.setattr(tokenization, "PIECE", 3)
    tokenizer, rng, n_cut = KINDS[kind](), random.Random(kind), 0
    special = tokenizer.num_special_tokens_to_add(pair=False)
    for limit in (6, 7, 8, 9, 12, 17, 32) * 3:
        monkeypatch.setattr(tokenization, "CHARACTERS", rng.choice([1, 2, 8]))
        one, two = ([random_text(rng) for _ in range(8)] for _ in "12")
        for texts in ([one], [one, two]):
            cut, settings = cut_texts(tokenizer, texts, limit), {"truncation": True, "max_length": limit}
            assert dict(tokenizer(*cut, **settings)) == dict(tokenizer(*texts, **settings)), (limit, texts)
            n_cut += sum(len(text) for text in texts[0]) > sum(len(text) for text in cut[0])
        whole = tokenizer(one)["input_ids"]
        assert first_tokens(tokenizer, one, limit) == [ids[:limit] for ids in whole], (limit, one)
        assert [n + special for n in lengths(tokenizer, one)] == [len(ids) for ids in whole], one
    assert n_cut > 10


@pytest.mark.parametrize("kind", ["demo_encoder", "bert", "no_words"])
def test_data_sets_in_batches_are_those_of_all_rows(kind, monkeypatch):
    tokenizer, rng = (KINDS | OTHERS)[kind](), random.Random(kind)
    monkeypatch.setattr(tokenization, "BATCH_ROWS", 7)
    monkeypatch.setattr(tokenization, "BATCH_CHARACTERS", 300)
    texts = [[random_text(rng) for _ in range(20)] for _ in "12"]
    for padding in (False, "max_length"):
        whole = tokenizer(*texts, truncation=True, max_length=16, padding=padding)
        found = tokenize(tokenizer, texts, range(20), {"max_length": 16, "padding": padding or "longest"})
        assert {name: found[name][:] for name in found.column_names} == {**whole, "labels": list(range(20))}


@pytest.mark.parametrize("kind", OTHERS)
def test_tokenizer_of_another_kind_gets_whole_texts(kind):
    tokenizer, text = OTHERS[kind](), "the dog the " * 50
    assert not divisible(tokenizer)
    assert cut_texts(tokenizer, [[text]], 4) == [[text]]
    assert lengths(tokenizer, [text]) == [len(tokenizer(text, add_special_tokens=False)["input_ids"])]


def test_text_that_is_cut_on_the_left_is_whole():
    tokenizer = KINDS["demo_encoder"]()
    tokenizer.truncation_side = "left"
    assert cut_texts(tokenizer, [["a dog " * 99]], 4) == [["a dog " * 99]]


@pytest.mark.parametrize("kind", ["demo_encoder", "bert"])
@pytest.mark.parametrize("side", ["first", "second", "both"])
def test_what_is_tokenized_is_short_however_long_the_text(kind, side):
    long, short = "A dog is running. " * 10_000, "A dog."
    pair = {"first": [long, short], "second": [short, long], "both": [long, "B" + long]}[side]
    cut = cut_texts(KINDS[kind](), [[text] for text in pair], 128)
    assert max(len(text) for (text,) in cut) < 3000


def test_a_place_never_ends_with_a_space_after_normalization():
    for character in map(chr, range(0x110000)):
        if PLACE.match(character + " "):
            forms = [unicodedata.normalize(form, character) for form in ("NFC", "NFD", "NFKC", "NFKD")]
            assert not any(re.search(r"\s$", form) for form in [*forms, character.lower()]), hex(ord(character))
