"""Answers the pairs of a split with a prompted or fine-tuned decoder: in text, by label scores, or both."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from torch import nn
from transformers import PreTrainedTokenizerBase

from nli.answering.demonstrations import demonstrations
from nli.answering.generate import check_prompts, effective_generation, generate_answers
from nli.answering.label_scoring import CONTENT_FREE, LABEL_SCORERS, label_log_probabilities, with_spellings
from nli.answering.reading import SCORERS
from nli.answering.rows import answer_rows, scored_rows
from nli.base.labels import LABELS
from nli.data.draws import assign_draws
from nli.models.chat import chat_prompt, prompt_maker
from nli.models.training_texts import evaluation_prompts
from nli.texts import asked_template, fill, label_lead, lead_after, prompt_text


@dataclass(frozen=True)
class Question:
    """How the model is asked about a pair.

    Attributes:
        ask: (premise, hypothesis) -> prompt.
        lead: the text before the answer.
        words: word -> class.
        any_spelling: whether a word also counts in lower case and capitalised. A prompt's text may have its words in
            another case than `answers` (prompts 1 and 4 do), and a pretrained model answers in either. A fine-tuned
            model has learned the one spelling of its training texts.
    """

    ask: Callable[[str, str], str]
    lead: str
    words: Mapping[str, str]
    any_spelling: bool


def question_of(
    spec: Mapping[str, Any],
    examples: pd.DataFrame | None = None,
    seed: int = 0,
    draw: int = 0,
    tokenizer: PreTrainedTokenizerBase | None = None,
) -> Question:
    """The question of an experiment: its prompt, or the text for its fine-tuned model.

    Args:
        examples: rows from which a prompt with drawn examples draws, with `seed`.
        draw: index of the draw of examples.
        tokenizer: has the template of a `chat` prompt; only that needs it.
    """
    if "prompt" in spec:
        prompt = spec["prompt"]
        shown = demonstrations(prompt, examples, spec["order"], seed, draw)
        form = prompt_maker(spec, tokenizer)
        lead = lead_after(form(prompt["text"]))
        return Question(
            lambda p, h: form(shown + prompt_text(prompt, p, h)), lead, prompt["answers"], any_spelling=True
        )
    template = asked_template(spec)
    words = {word: label for label, word in spec["label_words"].items()}
    return Question(lambda p, h: fill(template, {"premise": p, "hypothesis": h}), label_lead(spec), words, False)


def generation_details(model: nn.Module, spec: Mapping[str, Any]) -> dict[str, Any]:
    """How the answers are generated, as an entry of run.json; empty if no scorer reads text."""
    reads = any(scorer in SCORERS for scorer in spec["scorers"])
    return {"generation": effective_generation(model, spec["generation"])} if reads else {}


def chat_details(tokenizer: PreTrainedTokenizerBase, spec: Mapping[str, Any]) -> dict[str, str]:
    """The prompt in the chat template, with its placeholders, as an entry of run.json; empty without `chat`."""
    return {"chat_prompt": chat_prompt(tokenizer, spec["prompt"]["text"])} if spec.get("chat") else {}


def answer_pairs(
    model: nn.Module,
    tokenizer: PreTrainedTokenizerBase,
    rows: pd.DataFrame,
    split: str,
    spec: Mapping[str, Any],
    seed: int,
    examples: pd.DataFrame | None = None,
) -> list[pd.DataFrame]:
    """Predictions for `rows`, one frame for each of the spec's scorers.

    Args:
        seed: for the sampler and the draw of worked examples.
        examples: rows from which worked examples are drawn.

    With several `draws` of examples each pair is asked after one of them (`nli.data.draws`), so several cost no more
    than one. Text is generated only if a scorer reads text, and labels are scored only if a scorer needs that.
    """
    draws = spec.get("draws", 1)
    questions = [question_of(spec, examples, seed, draw, tokenizer) for draw in range(draws)]
    question, batch_size = questions[0], spec["evaluation"]["batch_size"]
    drawn = assign_draws(len(rows), draws, seed)
    prompts = [questions[d].ask(row.premise, row.hypothesis) for d, row in zip(drawn, rows.itertuples(), strict=True)]
    frames = []
    reading = [scorer for scorer in spec["scorers"] if scorer in SCORERS]
    scoring = [scorer for scorer in spec["scorers"] if scorer in LABEL_SCORERS]
    names = list(rows["pair_id"])
    speed = spec.get("speed", "plain")
    groups = [np.flatnonzero(drawn == draw) for draw in range(draws)]  # their prompts begin with the same examples
    if reading:
        answers = np.empty(len(rows), dtype=object)
        for own in groups:
            asked, called = [prompts[i] for i in own], [names[i] for i in own]
            answers[own] = generate_answers(
                model, tokenizer, asked, spec["generation"], batch_size, seed, called, speed
            )
        frames += [answer_rows(rows, split, list(answers), question.words, scorer) for scorer in reading]
    if scoring:
        words = scored_words(tokenizer, question)
        longest = max(len(tokenizer(question.lead + word, add_special_tokens=False)["input_ids"]) for word in words)
        check_prompts(model, tokenizer, prompts, longest, names, "the longest label word has")
        scores, content_free = np.empty((len(rows), len(LABELS))), np.empty((len(rows), len(CONTENT_FREE), len(LABELS)))
        for its, own in zip(questions, groups, strict=True):
            asked = [*(prompts[i] for i in own), *(its.ask(text, text) for text in CONTENT_FREE)]
            found = label_log_probabilities(model, tokenizer, asked, question.lead, words, batch_size, speed)
            scores[own], content_free[own] = found[: len(own)], found[len(own) :]
        frames += [scored_rows(rows, split, LABEL_SCORERS[name](scores, content_free), name) for name in scoring]
    return frames


def scored_words(tokenizer: PreTrainedTokenizerBase, question: Question) -> Mapping[str, str]:
    """The words whose probabilities are summed, with the class of each."""
    if not question.any_spelling:
        return question.words
    return with_spellings(tokenizer, question.ask("", ""), question.lead, question.words)


def answer_sample(
    model: nn.Module, tokenizer: PreTrainedTokenizerBase, spec: dict[str, Any], seed: int
) -> dict[str, str | None]:
    """The prompt of the experiment's sample pair and what the model writes after it; nulls without a sample."""
    if not spec["sample"]:
        return {"prompt": None, "answer": None}
    prompts = evaluation_prompts(pd.DataFrame([spec["sample"]]), spec)
    answers = generate_answers(model, tokenizer, prompts, spec["generation"], 1, seed)
    return {"prompt": prompts[0], "answer": answers[0]}
