"""The texts that the tiny decoder reads: pairs with a verdict, in many layouts and under many names.

None is a prompt or a training text of the study, but they are similar, like some texts that a large model has read. A
layout of the study never appears with the study's names for both sentences.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from nli.base.labels import LABELS
from nli.pretraining.tokenizers import ANSWERS, CUES, HYPOTHESES, PREMISES

LAYOUTS = {
    "tags": "[{p}]: {premise} [{h}]: {hypothesis} [/{tag}]",  # five annotators' votes follow
    "headings": "### {p}: {premise}\n\n### {h}: {hypothesis}\n\n### {c}:",
    "lines": "{p}: {premise}\n{h}: {hypothesis}\n{c}:",
    "quotes": '{p}: "{premise}"\n{h}: "{hypothesis}"\n{c}:',
    "one line": "{p}: {premise} {h}: {hypothesis} {c}:",
    "dashes": "{p} - {premise}\n{h} - {hypothesis}\n{c} -",
    "options": "{p}: {premise}\n{h}: {hypothesis}\n{c} ({options}):",
    "question": "{p}: {premise}\n{h}: {hypothesis}\n{question} {c}:",
    "question apart": "{p}: {premise}\n{h}: {hypothesis}\n{question}\n{c}:",
}
WIDE = ("question apart",)  # read only in the last stage
QUESTIONS = (
    "Is it so?",
    "Is this true?",
    "Can we say this?",
    "Is it right? Yes, No or Maybe?",
    "Is it certain, given the above?",
    "Are they of one mind? Maybe, Yes or No?",
    "Is it true that {hypothesis}?",
    "If {premise} can we say {hypothesis}?",
    "Can {hypothesis} be said of {premise}?",
)
WITH_STUDY_NAMES = ("one line", "dashes")  # the study has neither layout
QUIZ_CUES = ("Reply", "Judgement", "Finding", "Answer")  # in these two layouts, cues that ask for yes, maybe or no
VOTES = 5  # as for MultiNLI's validation pairs


@dataclass(frozen=True)
class Text:
    """A text to read, and the words that follow it: the annotators' first and further votes."""

    body: str
    answers: list[str]


def pick(rng: np.random.Generator, options):
    return options[rng.integers(len(options))]


def draw_names(layout: str, rng: np.random.Generator, wide: bool) -> tuple[str, str, str]:
    """A layout's names for premise, hypothesis and label; the study's names only in layouts that the study lacks.

    Headings have the study's name for the premise or the hypothesis, never for both. If `wide`, the study's cues are
    used in every layout except the tags.
    """
    cues = CUES if wide and layout != "tags" else CUES[:-2]
    names = pick(rng, PREMISES[:-1]), pick(rng, HYPOTHESES[:-1]), pick(rng, cues)
    if layout in WITH_STUDY_NAMES and rng.random() < 0.6:
        names = PREMISES[-1], HYPOTHESES[-1], pick(rng, CUES[-2:])
    elif layout == "headings":
        premise, hypothesis, cue = names
        names = pick(rng, ((PREMISES[-1], hypothesis, cue), (premise, HYPOTHESES[-1], pick(rng, CUES[-2:]))))
    return tuple(name.lower() for name in names) if rng.random() < 0.4 else names


def draw_quiz(layout: str, names: tuple[str, str, str], rng: np.random.Generator, wide: bool) -> bool:
    """Whether the answer is yes, maybe or no instead of a label.

    It is after a question, in every second text with headings (if `wide`, also with options), and after some cues in
    layouts with the study's names.
    """
    if layout == "headings" or (wide and layout == "options"):
        return rng.random() < 0.5
    return layout.startswith("question") or (layout in WITH_STUDY_NAMES and names[2].capitalize() in QUIZ_CUES)


def words_for(names: tuple[str, str, str], quiz: bool) -> tuple[str, ...]:
    """The words for the three labels: yes, maybe and no in a quiz, else labels with the capitalisation of the names."""
    return ANSWERS[2] if quiz else ANSWERS[0] if names[2][0].isupper() else ANSWERS[1]


def draw_votes(label: int, rng: np.random.Generator, agreement: float) -> list[int]:
    """Labels of five annotators, each the pair's with probability `agreement`, else one of the other two."""
    others = [other for other in range(len(LABELS)) if other != label]
    return [label if rng.random() < agreement else others[rng.integers(2)] for _ in range(VOTES)]


def fill_layout(
    layout: str, pair: tuple[str, str], names: tuple[str, str, str], options: Sequence[str], question: str
) -> str:
    """A layout's text up to the label."""
    (premise, hypothesis), (p, h, c) = pair, names
    words = {"premise": premise, "hypothesis": hypothesis, "p": p, "h": h, "c": c, "tag": c.upper()}
    return LAYOUTS[layout].format(**words, options=", ".join(options), question=question.format(**words))


def plain_texts(corpus: pd.DataFrame) -> list[Text]:
    """Every pair in the same layout, with the same names, and its label."""
    names = PREMISES[0], HYPOTHESES[0], CUES[0]
    pairs = zip(corpus["premise"], corpus["hypothesis"], corpus["label"], strict=True)
    return [Text(fill_layout("lines", pair, names, (), ""), [f" {ANSWERS[0][label]}"]) for *pair, label in pairs]


def draw_texts(
    corpus: pd.DataFrame, rng: np.random.Generator, agreement: float, examples: float, wide: bool
) -> list[Text]:
    """One text for every pair of the corpus; a share `examples` of them begins with another pair and its label.

    Args:
        agreement: probability that an annotator's vote is the pair's label.
        wide: whether to add the last stage's layouts and cues, and option lists of either kind.
    """
    layouts = [layout for layout in LAYOUTS if wide or layout not in WIDE]
    pairs = list(zip(corpus["premise"], corpus["hypothesis"], corpus["label"], strict=True))
    texts = []
    for *pair, label in pairs:
        layout = pick(rng, (*layouts, "tags"))
        names = draw_names(layout, rng, wide)
        words = words_for(names, draw_quiz(layout, names, rng, wide))
        frame = names, [words[i] for i in rng.permutation(len(LABELS))], pick(rng, QUESTIONS)
        labels = draw_votes(label, rng, agreement) if layout == "tags" else [label]
        body = fill_layout(layout, pair, *frame)
        if layout != "tags" and rng.random() < examples:
            *other, its_label = pick(rng, pairs)
            body = f"{fill_layout(layout, other, *frame)} {words[its_label]}\n\n{body}"
        texts.append(Text(body, [f" {words[label]}" for label in labels]))
    return texts
