"""Byte-level BPE tokenizers for the tiny models, with the words that must be single tokens."""

from collections.abc import Iterator

import pandas as pd
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast

# Words that join premise and hypothesis, by label.
CONNECTIVES = ("therefore", "perhaps", "otherwise")
# Answers of the decoder's corpus, by label.
ANSWERS = (
    ("Entailment", "Neutral", "Contradiction"),
    ("entailment", "neutral", "contradiction"),
    ("Yes", "Maybe", "No"),
)
# Names of premise, hypothesis and label in the decoder's corpus; the study's own are last.
PREMISES = ("Text", "Fact", "Given", "Passage", "Source", "Context", "First", "Known", "Report", "Premise")
HYPOTHESES = ("Claim", "Guess", "Then", "Idea", "Target", "Second", "Thought", "Sentence", "Reading", "Hypothesis")
CUES = (
    "Class",
    "Verdict",
    "Relation",
    "Reply",
    "Judgement",
    "Result",
    "Outcome",
    "Choice",
    "Finding",
    "Label",
    "Answer",
)
# Further words of the study's prompts.
PROMPT_WORDS = ("Example", "Task", "INST", "Now", "classify", "following")


def _bpe(texts: Iterator[str], vocab_size: int, special_tokens: list[str]) -> Tokenizer:
    """Byte-level BPE (GPT-2's, also used by RoBERTa and Llama 3) trained on `texts`."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=special_tokens,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


def tokenizer_texts(corpus: pd.DataFrame) -> Iterator[str]:
    """The corpus, and the words that must be single tokens: connectives, labels, names in every case, prompt words."""
    words = [word for group in (CONNECTIVES, *ANSWERS, PROMPT_WORDS) for word in group]
    for name in (*PREMISES, *HYPOTHESES, *CUES):
        words += [name, name.lower()]
    words += [cue.upper() for cue in CUES]
    yield from corpus["premise"]
    yield from corpus["hypothesis"]
    for word in words:  # repeated so often that it is merged before any rare piece of the corpus
        for _ in range(max(20, len(corpus) // 100)):
            yield from (word, f" {word}")


def train_encoder_tokenizer(corpus: pd.DataFrame, vocab_size: int, max_length: int) -> PreTrainedTokenizerFast:
    """A RoBERTa-style tokenizer: `<s> a </s>` for one sentence, `<s> a </s></s> b </s>` for a pair."""
    special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    tokenizer = _bpe(tokenizer_texts(corpus), vocab_size, special)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>",
        pair="<s> $A </s> </s> $B </s>",
        special_tokens=[("<s>", special.index("<s>")), ("</s>", special.index("</s>"))],
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token="<s>",
        cls_token="<s>",
        eos_token="</s>",
        sep_token="</s>",
        pad_token="<pad>",
        unk_token="<unk>",
        mask_token="<mask>",
        model_max_length=max_length,
        model_input_names=["input_ids", "attention_mask"],
    )


def train_decoder_tokenizer(corpus: pd.DataFrame, vocab_size: int, max_length: int) -> PreTrainedTokenizerFast:
    """A Llama-3-style tokenizer: `<|begin_of_text|>` before every text, no padding token."""
    bos, eos = "<|begin_of_text|>", "<|end_of_text|>"
    tokenizer = _bpe(tokenizer_texts(corpus), vocab_size, [bos, eos])
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{bos} $A", pair=f"{bos} $A {bos} $B", special_tokens=[(bos, 0)]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token=bos,
        eos_token=eos,
        model_max_length=max_length,
        model_input_names=["input_ids", "attention_mask"],
    )
