"""Prompts for a decoder tuned to chat, in the form of its tokenizer's chat template."""

from collections.abc import Callable, Mapping
from typing import Any

from jinja2 import TemplateError
from transformers import PreTrainedTokenizerBase

from nli.base.errors import StudyError

# What templates may ask for: a day (that of Llama 3.1's template, where it is not stated) and whether to think first.
FIXED = {"date_string": "26 Jul 2024", "enable_thinking": False}


def chat_prompt(tokenizer: PreTrainedTokenizerBase, text: str) -> str:
    """The text as a user's only message, up to where the model's answer begins.

    The prompt is the same on every day, and a model that can think before it answers is told not to. The special token
    that most templates begin with is left out if the tokenizer adds it to every text anyway.
    """
    message = [{"role": "user", "content": text}]
    prompt = tokenizer.apply_chat_template(message, tokenize=False, add_generation_prompt=True, **FIXED)
    first = tokenizer.bos_token or ""
    if first and tokenizer("")["input_ids"][:1] == [tokenizer.bos_token_id]:
        return prompt.removeprefix(first)
    return prompt


def check_chat(tokenizer: PreTrainedTokenizerBase, key: str) -> None:
    """Raise StudyError, with the key of config.yaml, unless the chat template keeps the whole of a user's message."""
    advice = "set it to false, or choose a decoder that was tuned to chat"
    if not tokenizer.chat_template:
        raise StudyError(f"{key}: the tokenizer of models.decoder has no chat template; {advice}")
    if "strftime_now" in tokenizer.chat_template and "date_string" not in tokenizer.chat_template:
        raise StudyError(f"{key}: the chat template of models.decoder prints today's date; {advice}")
    text = "premise and hypothesis"
    try:
        found = text in chat_prompt(tokenizer, text)
    except TemplateError as error:
        raise StudyError(f"{key}: the chat template of models.decoder fails ({error}); {advice}") from None
    if not found:
        raise StudyError(f"{key}: the chat template of models.decoder leaves out a user's message; {advice}")


def prompt_maker(spec: Mapping[str, Any], tokenizer: PreTrainedTokenizerBase | None) -> Callable[[str], str]:
    """The function that turns a filled text into the prompt: `chat_prompt`, or the text unchanged without `chat`."""
    if not spec.get("chat"):
        return str
    if tokenizer is None:
        raise ValueError("a chat prompt needs the tokenizer")
    return lambda text: chat_prompt(tokenizer, text)
