"""Synthetic NLI pairs whose labels are right by construction and cannot be guessed from one sentence.

Each sentence has a *form* that denotes the set of situations in which it is true: a premise entails a
hypothesis whose set includes its own, contradicts one whose set it does not meet, and is neutral to any other.
The forms of premise and hypothesis are drawn from one joint distribution per label; the three distributions
are scaled (iterative proportional fitting) until they agree on how often each form is a premise and how often
it is a hypothesis. Words are drawn alike for every label. So neither sentence alone tells anything of the label.
"""

from dataclasses import dataclass
from functools import cache
from itertools import product

import numpy as np
import pandas as pd

from nli.errors import StudyError
from nli.labels import LABELS
from nli.synthetic_lexicon import MATCHED, MISMATCHED, Lexicon

COLUMNS = ["pair_id", "genre", "premise", "hypothesis", "label"]
GENRES = ("quantifiers", "hypernyms", "negation", "numbers", "places")
MATCHED_SHARE = 0.6  # of the corpus; the rest has the words and frames of the mismatched split
REPETITION = 0.1  # starting weight of a pair of equal forms, against 1 for any other pair of its label
ATTEMPTS_PER_TRIPLE = 200

Worlds = frozenset  # the situations in which a sentence is true


@dataclass(frozen=True)
class Form:
    """What a sentence says (`core`), about which of two independent topics, and what it denotes."""

    core: tuple
    topic: int
    worlds: Worlds


def relate(premise: Worlds, hypothesis: Worlds) -> int:
    """The label of a pair from the situations in which each sentence is true (neither set is empty)."""
    if premise <= hypothesis:
        return LABELS.index("entailment")
    if premise.isdisjoint(hypothesis):
        return LABELS.index("contradiction")
    return LABELS.index("neutral")


def _taxonomy() -> dict[tuple, set]:
    """Two members of class 0, one of class 1, and both classes; the states are the members of both."""
    members = [(0, 0), (0, 1), (1, 0), (1, 1)]
    cores = {("member", *member): {member} for member in ((0, 0), (0, 1), (1, 0))}
    for group in (0, 1):
        cores["class", group] = {member for member in members if member[0] == group}
    return cores


def _quantities() -> dict[tuple, set]:
    """The states are how much of a non-empty group does it: all, a part, none."""
    return {
        ("all",): {"all"},
        ("some",): {"all", "part"},
        ("none",): {"none"},
        ("not all",): {"part", "none"},
    }


def _oppositions() -> dict[tuple, set]:
    """`(side, negated)`: the states are the two adjectives of a pair, of which one holds."""
    return {(side, negated): {side ^ negated} for side in (0, 1) for negated in (0, 1)}


def _counts(n_numbers: int) -> dict[tuple, set]:
    """Exactly, more than, and fewer than each number; numbers are given by their rank."""
    counts = range(-1, n_numbers + 1)  # one below the smallest and one above the largest
    cores = {}
    for rank in range(n_numbers):
        cores["exactly", rank] = {rank}
        cores["above", rank] = {count for count in counts if count > rank}
        cores["below", rank] = {count for count in counts if count < rank}
    return cores


@cache
def forms_of(genre: str, n_numbers: int) -> list[Form]:
    """The forms of a phenomenon: every core, said of one of two topics that vary freely of each other."""
    if genre == "quantifiers":
        cores = _quantities()
    elif genre == "negation":
        cores = _oppositions()
    elif genre == "numbers":
        cores = _counts(n_numbers)
    else:  # hypernyms, places
        cores = _taxonomy()
    states = sorted(set().union(*cores.values()), key=str)
    worlds = list(product(states, repeat=2))
    return [
        Form(core, topic, frozenset(world for world in worlds if world[topic] in true_in))
        for core, true_in in cores.items()
        for topic in (0, 1)
    ]


def relation_matrix(forms: list[Form]) -> np.ndarray:
    """Labels, int array [premise form, hypothesis form]."""
    return np.array([[relate(p.worlds, h.worlds) for h in forms] for p in forms])


def balanced_joint(relations: np.ndarray, rounds: int = 2000) -> np.ndarray:
    """Joint distributions [label, premise form, hypothesis form] whose two marginals are the same for all labels.

    Iterative proportional fitting: each label's table is scaled, rows and columns in turn, to the mean of the
    three labels' marginals. Only cells that carry the label are ever filled; a form that merely repeats the
    other starts with less weight (REPETITION), so that entailment is more than saying the same again.
    """
    joint = np.stack([relations == label for label in range(len(LABELS))]).astype(float)
    joint *= np.where(np.eye(len(relations), dtype=bool), REPETITION, 1.0)
    joint /= joint.sum(axis=(1, 2), keepdims=True)
    for _ in range(rounds):
        for axis in (1, 2):
            marginal = joint.sum(axis=axis, keepdims=True)
            target = marginal.mean(axis=0, keepdims=True)
            joint *= np.divide(target, marginal, out=np.zeros_like(marginal), where=marginal > 1e-12)
            joint /= joint.sum(axis=(1, 2), keepdims=True)
    return joint


@cache
def _form_tables(genre: str, n_numbers: int) -> tuple[np.ndarray, np.ndarray]:
    """Premise forms [n], and hypothesis forms given label and premise form [label, n, n]: cumulative."""
    joint = balanced_joint(relation_matrix(forms_of(genre, n_numbers)))
    premises = joint.sum(axis=2)
    given = np.divide(joint, premises[..., None], where=premises[..., None] > 0, out=joint)
    return premises.mean(axis=0).cumsum(), given.cumsum(axis=2)


class _Writer:
    """The words that one pair shares, and how a form is written with them."""

    def __init__(self, genre: str, lexicon: Lexicon, rng: np.random.Generator):
        self.genre, self.lexicon, self.rng = genre, lexicon, rng
        self.fillers = {slot: self._pick(words) for slot, words in lexicon.fillers.items()}
        self.frames = self._sample(lexicon.frames[genre], 2)
        if genre == "negation":
            things, pairs = self._pick(lexicon.attributes)
            self.fillers["thing"] = self._pick(things)
            self.topics = self._sample(pairs, 2)
        else:
            self.topics = self._sample(lexicon.topics[genre], 2)
        if genre in ("hypernyms", "places"):
            table = lexicon.classes if genre == "hypernyms" else lexicon.countries
            self.groups = self._sample(list(table), 2)
            self.members = [self._sample(table[group], 2) for group in self.groups]

    def _pick(self, options):
        return options[self.rng.integers(len(options))]

    def _sample(self, options, n: int) -> list:
        return [options[i] for i in self.rng.permutation(len(options))[:n]]

    def _core(self, core: tuple) -> str:
        """The words for a core of hypernyms, places, or numbers."""
        if self.genre == "numbers":
            comparator, rank = core
            return self.lexicon.comparators[comparator].format(self.lexicon.numbers[rank])
        kind, group, *member = core
        word = self.members[group][member[0]] if kind == "member" else self.groups[group]
        if self.genre == "places":
            return word
        return f"an {word}" if word[0] in "aeiou" else f"a {word}"

    def write(self, form: Form, position: int) -> str:
        """One sentence of this form; `position` is 0 for a premise, 1 for a hypothesis: their frames differ."""
        slots = dict(self.fillers)
        if self.genre == "quantifiers":
            slots["quantifier"] = self._pick(self.lexicon.quantifiers[form.core[0]])
            slots["topic"] = self.topics[form.topic]
        elif self.genre == "negation":
            side, negated = form.core
            slots["core"] = ("not " if negated else "") + self.topics[form.topic][side]
        else:
            slots |= {"core": self._core(form.core), "topic": self.topics[form.topic]}
        sentence = self.frames[position].format(**slots)
        return sentence[0].upper() + sentence[1:]


def _draw(cumulative: np.ndarray, rng: np.random.Generator) -> int:
    return int(np.searchsorted(cumulative, rng.random() * cumulative[-1], side="right"))


def _draw_triple(genre: str, lexicon: Lexicon, rng: np.random.Generator) -> tuple[str, tuple[str, str, str]]:
    """A premise and, as in MultiNLI, one hypothesis for each label."""
    forms = forms_of(genre, len(lexicon.numbers))
    premises, hypotheses = _form_tables(genre, len(lexicon.numbers))
    premise = _draw(premises, rng)
    writer = _Writer(genre, lexicon, rng)
    return writer.write(forms[premise], 0), tuple(
        writer.write(forms[_draw(given[premise], rng)], 1) for given in hypotheses
    )


def _draw_split(
    name: str, lexicons: list[Lexicon], rng: np.random.Generator, taken: set[tuple[str, str]]
) -> pd.DataFrame:
    """Triples, each with the next phenomenon and lexicon in turn, cut to whole rows and shuffled.

    `lexicons` has one entry per pair wanted; a triple with a pair that is `taken` is drawn anew.
    """
    rows = []
    for i in range(0, len(lexicons), len(LABELS)):
        genre = GENRES[(i // len(LABELS)) % len(GENRES)]
        for _ in range(ATTEMPTS_PER_TRIPLE):
            premise, hypotheses = _draw_triple(genre, lexicons[i], rng)
            pairs = {(premise, hypothesis) for hypothesis in hypotheses}
            if not pairs & taken:
                break
        else:
            raise StudyError(
                f"synthetic data: no new {genre} premise for split {name} after {ATTEMPTS_PER_TRIPLE} "
                "tries; ask for fewer pairs"
            )
        taken |= pairs
        rows += [(genre, premise, hypothesis, label) for label, hypothesis in enumerate(hypotheses)]
    order = rng.permutation(len(lexicons))
    frame = pd.DataFrame([rows[i] for i in order], columns=COLUMNS[1:])
    frame.insert(0, "pair_id", [f"{name}-{i:06d}" for i in range(len(frame))])
    return frame.astype({"label": "int8"})


def generate(
    n_train: int, n_tune: int, n_matched: int, n_mismatched: int, n_corpus: int, seed: int
) -> dict[str, pd.DataFrame]:
    """Splits train, tune, matched, mismatched, corpus: columns pair_id, genre, premise, hypothesis, label.

    Labels are balanced in every split (to within one pair), phenomena nearly so, and no pair is in two splits.
    train, tune and matched have one lexicon, mismatched another, corpus both: a model that is pretrained on
    the corpus knows the words of the mismatched split, and fine-tuning never shows them.
    """
    seeds = iter(np.random.SeedSequence(seed).spawn(5))
    taken: set[tuple[str, str]] = set()
    lexicons = {
        "train": [MATCHED] * n_train,
        "tune": [MATCHED] * n_tune,
        "matched": [MATCHED] * n_matched,
        "mismatched": [MISMATCHED] * n_mismatched,
    }
    period = len(LABELS) * len(GENRES)  # whole periods, so that each lexicon has every label and phenomenon
    n_matched_corpus = round(n_corpus * MATCHED_SHARE / period) * period
    lexicons["corpus"] = [MATCHED] * n_matched_corpus + [MISMATCHED] * (n_corpus - n_matched_corpus)
    return {
        name: _draw_split(name, which, np.random.default_rng(next(seeds)), taken) for name, which in lexicons.items()
    }
