"""What a step of a ladder changes, in words: one phrase for each key of an experiment's configuration."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from nli.base.labels import LABELS
from nli.reporting.markup import listing, setting

LONGEST_TEXT = 40  # characters of a text that a phrase quotes


@dataclass(frozen=True)
class Phrase:
    """A key's sentence part with {before} and {after}; what is in brackets is said only if there was a value before.

    `words` has the words for values that are none themselves, `absent` those for no value. Without `absent`, a value
    that goes is not mentioned: it goes with the method that it belongs to, and the method's own phrase says so.
    """

    text: str
    words: Mapping[Any, str] = field(default_factory=dict)
    absent: str | None = None


SCORERS = {
    "classifier": "the classifier",
    "parsed": "the text written",
    "first_word": "the first word",
    "first_label": "the first label",
    "most_frequent_label": "the most frequent label",
    "label_logp": "the label words' probabilities",
    "calibrated_logp": "the calibrated probabilities",
}
COUNTED = {"all": "every answer counts", "parsed": "only parsed answers count"}
METHODS = {
    "full": "full fine-tuning",
    "lora": "LoRA",
    "dora": "DoRA",
    "prompt_tuning": "prompt tuning",
    "p_tuning": "P-tuning",
    "prefix_tuning": "prefix tuning",
    "cloze": "label words at the mask",
    "top_layers": "the top layers and the head",
    "head_only": "the head alone",
    "ia3": "(IA)³",
    "bitfit": "BitFit (the biases)",
    "finetune": "an adapter beside the weights",
    "merge": "a merged adapter",
}
WORD = "the word for {label} is “{{after}}”[ instead of “{{before}}”]"
PHRASES = {
    "experiment": Phrase("{after}[ instead of {before}]"),
    "method": Phrase("{after}[ instead of {before}]", METHODS),
    "scorer": Phrase("judged by {after}[ instead of {before}]", SCORERS),
    "counted": Phrase("{after}", COUNTED),
    "trainable": Phrase(
        "{after} train[ instead of {before}]",
        {"method": "the method's own weights and the head", "word_embeddings": "the word embeddings"},
    ),
    "pooling": Phrase("the head reads {after}[ instead of {before}]", {"first": "position 0", "sentence_start": "<s>"}),
    "position": Phrase(
        "the head reads {after}[ instead of {before}]", {"first": "the first token", "last": "the last token"}
    ),
    "head": Phrase("{after}[ instead of {before}]", {"linear": "a linear layer", "library": "the library's head"}),
    "head_dropout": Phrase("dropout {after}[ instead of {before}] before the head"),
    "layers": Phrase("number of top layers: {after}[ instead of {before}]"),
    "lora.variant": Phrase(
        "{after}[ instead of {before}]", {"lora": "plain LoRA", "dora": "DoRA", "rslora": "rank-stabilized LoRA"}
    ),
    "lora.r": Phrase("rank {after}[ instead of {before}]"),
    "lora.alpha": Phrase("alpha {after}[ instead of {before}]"),
    "lora.dropout": Phrase("LoRA dropout {after}[ instead of {before}]"),
    "lora.bias": Phrase(
        "{after}", {"none": "no biases train", "all": "all biases train", "lora_only": "LoRA's biases train"}
    ),
    "lora.target_modules": Phrase("LoRA on {after}[ instead of {before}]", absent="the library's usual layers"),
    "ia3.target_modules": Phrase("(IA)³ on {after}[ instead of {before}]"),
    "ia3.feedforward_modules": Phrase("{after}[ instead of {before}] as feed-forward layers"),
    "prompt.init": Phrase(
        "virtual tokens start as {after}[ instead of {before}]", {"random": "random vectors", "vocabulary": "words"}
    ),
    "prompt.num_virtual_tokens": Phrase("{after}[ instead of {before}] virtual tokens"),
    "cloze.trained": Phrase("{after}", {True: "fine-tuned", False: "not trained"}),
    "cloze.first": Phrase("the premise's text is “{after}”[ instead of “{before}”]"),
    "cloze.second": Phrase("the hypothesis's text is “{after}”[ instead of “{before}”]"),
    **{f"cloze.words.{label}": Phrase(WORD.format(label=label)) for label in LABELS},
    "prompt": Phrase("the prompt “{after}”[ instead of “{before}”]"),
    "chat": Phrase("{after}", {True: "asked in the chat template", False: "asked without the chat template"}),
    "order": Phrase("the examples in order {after}[ instead of {before}]"),
    "draws": Phrase("draws of the examples: {after}[ instead of {before}]"),
    "evaluation_text": Phrase("asked with {after}", absent="the training text up to the label"),
    "generation.temperature": Phrase(
        "temperature {after}[ instead of {before}]", {0.0: "0 (greedy)"}, absent="the model's own"
    ),
    "loss_on": Phrase(
        "loss on {after}[ instead of {before}]",
        {"all": "the whole text", "label": "the label alone", "padded": "the text and its padding"},
    ),
    "append_eos": Phrase("{after}", {True: "an end token closes the text", False: "no end token closes the text"}),
    "mask_end_token": Phrase("{after}", {True: "no loss on the end token", False: "loss on the end token"}),
    "merge_into": Phrase(
        "merged into {after}[ instead of {before}]",
        {"4bit": "the 4-bit weights", "original": "the 16-bit original", "dequantized": "the dequantized weights"},
    ),
    "tokenization.max_length": Phrase("at most {after} tokens[ instead of {before}]"),
    "tokenization.padding": Phrase(
        "padded to {after}[ instead of {before}]",
        {"longest": "the longest text", "max_length": "the largest number of tokens"},
    ),
    "training.warmup_steps": Phrase("warm-up: {after}[ instead of {before}]", {0: "none", 0.06: "6% of the steps"}),
    "training.batch_size": Phrase("batches of {after}[ instead of {before}]"),
    "training.learning_rate": Phrase("learning rate {after}[ instead of {before}]"),
    "training.head_learning_rate": Phrase(
        "learning rate of the head {after}[ instead of {before}]", absent="that of the other weights"
    ),
}


def in_words(changed: Sequence[Mapping[str, Any]]) -> list[str]:
    """A phrase for each key that differs between two rungs, as {"key", "before", "after"}: plain text."""
    return [said for change in changed if (said := phrase(change["key"], change["before"], change["after"]))]


def phrase(key: str, before: Any, after: Any) -> str:
    """ "learning rate 0.01 instead of 3e-5"; "" for a value that goes with its method."""
    given = PHRASES.get(key) or Phrase(f"{key.replace('.', ' ').replace('_', ' ')} {{after}}[ instead of {{before}}]")
    if isinstance(before, list) and isinstance(after, list) and set(before) < set(after):
        added = listing([str(each) for each in after if each not in before])
        return f"{without_brackets(given.text, None).replace('{after}', added)} too"
    old, new = (in_value_words(given, value) for value in (before, after))
    return "" if new is None else without_brackets(given.text, old).replace("{after}", new)


def without_brackets(text: str, before: str | None) -> str:
    """The text of a phrase with its part in brackets filled in, or left out if there was no value before."""
    start, end = text.find("["), text.find("]")
    if start < 0:
        return text
    said = "" if before is None else text[start + 1 : end].replace("{before}", before)
    return text[:start] + said + text[end + 1 :]


def in_value_words(given: Phrase, value: Any) -> str | None:
    """A value in words; None if it is absent and the phrase has no words for that."""
    if value is None:
        return given.absent
    if isinstance(value, list):
        return listing([in_value_words(given, each) or "" for each in value])
    if value in given.words:
        return given.words[value]
    if isinstance(value, float):
        return setting(value) if 0 < abs(value) < 1e-2 else f"{value:g}"
    text = " ".join(str(value).split())
    return text if len(text) <= LONGEST_TEXT else f"{text[: LONGEST_TEXT - 1]}…"
