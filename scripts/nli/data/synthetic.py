"""Synthetic NLI pairs whose labels are right by construction and cannot be guessed from one sentence.

Both sentences of a pair describe the same event (as in MultiNLI's guidelines), which has one number, things, place,
time and companion. A premise gives two of these five details; its hypothesis gives one:

* entailment: a detail of the premise, or what it implies (Paris: France; dogs: animals);
* contradiction: another value for a detail of the premise;
* neutral: a detail that the premise does not give.

So every detail and value is equally frequent under each label, and every premise has one hypothesis of each. For
quantifiers and negation, the label follows from the relation between two forms. These forms are drawn from joint
distributions that are scaled until their marginals agree across labels (`balanced_joint`).
"""

from collections.abc import Collection
from functools import cache
from itertools import product

import numpy as np
import pandas as pd

from nli.base.errors import StudyError
from nli.base.labels import LABELS
from nli.data.splits import SCHEMA, premise_id
from nli.data.synthetic_lexicon import MATCHED, MISMATCHED, Lexicon

DETAILS = ("number", "things", "place", "time", "companion")
GENRE_OF_DETAIL = {
    "number": "numbers",
    "things": "hypernyms",
    "place": "places",
    "time": "modifiers",
    "companion": "modifiers",
}
PHENOMENA = ("event", "event", "event", "quantifiers", "negation")  # in turn, triple by triple
MATCHED_SHARE = 0.7  # of the corpus; the rest has the words and frames of the mismatched split
ATTEMPTS_PER_TRIPLE = 200

Form = tuple[str | bool, int]  # a quantifier or a polarity, and which of two independent topics it is about
Sentence = tuple[str, str]  # genre, text


def relate(premise: Form, hypothesis: Form) -> int:
    """The label of two forms: quantifiers over a non-empty group, or affirmed and denied habits.

    Sentences about different topics are neutral to each other.
    """
    (first, topic), (second, other) = premise, hypothesis
    if topic != other:
        return LABELS.index("neutral")
    if first == second or (first, second) == ("all", "some"):
        return LABELS.index("entailment")
    if (first, second) == ("some", "all"):
        return LABELS.index("neutral")
    return LABELS.index("contradiction")


def forms_of(phenomenon: str) -> list[Form]:
    """Every form of quantifiers or of negation."""
    values: tuple = ("all", "some", "none") if phenomenon == "quantifiers" else (True, False)
    return list(product(values, (0, 1)))


def balanced_joint(relations: np.ndarray, rounds: int = 500) -> np.ndarray:
    """Joint distributions [label, premise form, hypothesis form] whose two marginals are the same for all labels.

    Iterative proportional fitting: each label's table is scaled, rows and columns in turn, to the mean of the
    three labels' marginals. Only cells with the label are ever filled.
    """
    joint = np.stack([relations == label for label in range(len(LABELS))]).astype(float)
    joint /= joint.sum(axis=(1, 2), keepdims=True)
    for _ in range(rounds):
        for axis in (1, 2):
            marginal = joint.sum(axis=axis, keepdims=True)
            target = marginal.mean(axis=0, keepdims=True)
            joint *= np.divide(target, marginal, out=np.zeros_like(marginal), where=marginal > 1e-12)
            joint /= joint.sum(axis=(1, 2), keepdims=True)
    return joint


@cache
def _form_tables(phenomenon: str) -> tuple[np.ndarray, np.ndarray]:
    """Premise forms [n], and hypothesis forms given label and premise form [label, n, n]: cumulative."""
    forms = forms_of(phenomenon)
    joint = balanced_joint(np.array([[relate(p, h) for h in forms] for p in forms]))
    premises = joint.sum(axis=2)
    given = np.divide(joint, premises[..., None], where=premises[..., None] > 0, out=joint)
    return premises.mean(axis=0).cumsum(), given.cumsum(axis=2)


class _Writer:
    """Draws and writes the sentences of one premise in the words of one lexicon."""

    def __init__(self, lexicon: Lexicon, rng: np.random.Generator):
        self.lexicon = lexicon
        self.rng = rng
        self.name = self._pick(lexicon.names)

    def _pick(self, options):
        return options[self.rng.integers(len(options))]

    def _sample(self, options, n: int) -> list:
        return [options[i] for i in self.rng.permutation(len(options))[:n]]

    def event_triple(self) -> tuple[str, list[Sentence]]:
        """A premise with two details, and a hypothesis with one for each label."""
        verb = self._pick(self.lexicon.verbs)
        order = self._sample(DETAILS, len(DETAILS))
        given = {detail: self._pick(self._values(detail)) for detail in order[:2]}
        same, other, new = self._pick(order[:2]), self._pick(order[:2]), self._pick(order[2:])
        chosen = [
            (same, self._coarsened(same, given[same])),
            (new, self._coarsened(new, self._pick(self._values(new)))),
            (other, self._contrary(other, given[other])),
        ]
        hypotheses = [(GENRE_OF_DETAIL[detail], self._write_event(verb, {detail: value})) for detail, value in chosen]
        return self._write_event(verb, given), hypotheses

    def _values(self, detail: str) -> list[str]:
        """The most specific values of a detail."""
        lexicon = self.lexicon
        flat = {"number": lexicon.numbers, "time": lexicon.times, "companion": lexicon.companions}
        groups = {"things": lexicon.classes, "place": lexicon.countries}
        return list(flat[detail]) if detail in flat else [m for members in groups[detail].values() for m in members]

    def _general(self, detail: str, value: str) -> str:
        """The class of a thing, the country of a city; any other value itself."""
        groups = {"things": self.lexicon.classes, "place": self.lexicon.countries}.get(detail, {})
        return next((group for group, members in groups.items() if value in members), value)

    def _coarsened(self, detail: str, value: str) -> str:
        """The value or, half of the time, its class or country."""
        return self._general(detail, value) if self.rng.random() < 0.5 else value

    def _contrary(self, detail: str, value: str) -> str:
        """A value that excludes the given one, or its class or country that does."""
        values = self._values(detail)
        if self.rng.random() < 0.5:
            return self._pick([other for other in values if other != value])
        general = self._general(detail, value)
        return self._general(detail, self._pick([v for v in values if self._general(detail, v) != general]))

    def _write_event(self, verb: str, details: dict[str, str]) -> str:
        lexicon = self.lexicon
        things = f"{details.get('number', lexicon.unspecified)} {details.get('things', 'things')}"
        phrases = [lexicon.details[d].format(value) for d, value in details.items() if d in lexicon.details]
        frame = lexicon.frames["event" if phrases else "event_plain"]
        return _sentence(frame, name=self.name, verb=verb, things=things, details=" ".join(phrases))

    def form_triple(self, phenomenon: str) -> tuple[str, list[Sentence]]:
        """A premise of quantifiers or negation, and a hypothesis for each label."""
        premises, hypotheses = _form_tables(phenomenon)
        premise = self._draw(premises)
        shared = self._shared(phenomenon)
        chosen = [self._draw(given[premise]) for given in hypotheses]
        forms = forms_of(phenomenon)
        return self._write_form(phenomenon, forms[premise], shared), [
            (phenomenon, self._write_form(phenomenon, forms[index], shared)) for index in chosen
        ]

    def _draw(self, cumulative: np.ndarray) -> int:
        return int(np.searchsorted(cumulative, self.rng.random() * cumulative[-1], side="right"))

    def _shared(self, phenomenon: str) -> dict:
        """The words that premise and hypothesis share, and the two topics."""
        lexicon = self.lexicon
        if phenomenon == "quantifiers":
            words = {"group": self._pick(lexicon.groups), "moment": self._pick(lexicon.moments)}
            return {**words, "topics": self._sample(lexicon.actions, 2)}
        words = {"object": self._pick(self._values("things"))}
        return {**words, "topics": self._sample(lexicon.verbs, 2)}

    def _write_form(self, phenomenon: str, form: Form, shared: dict) -> str:
        value, topic = form
        if phenomenon == "quantifiers":
            return _sentence(
                self.lexicon.frames["group"],
                quantifier=self.lexicon.quantifiers[value],
                action=shared["topics"][topic],
                group=shared["group"],
                name=self.name,
                moment=shared["moment"],
            )
        return _sentence(
            self.lexicon.frames["habit"],
            name=self.name,
            adverb=self.lexicon.polarities[value],
            verb=shared["topics"][topic],
            object=shared["object"],
        )


def _sentence(frame: str, **words: str) -> str:
    """A frame filled with its words, with a capital first letter."""
    text = frame.format(**words)
    return text[0].upper() + text[1:]


def _draw_triple(phenomenon: str, lexicon: Lexicon, rng: np.random.Generator) -> tuple[str, list[Sentence]]:
    """A premise and, as in MultiNLI, one hypothesis for each label."""
    writer = _Writer(lexicon, rng)
    return writer.event_triple() if phenomenon == "event" else writer.form_triple(phenomenon)


def _draw_split(
    name: str,
    lexicons: list[Lexicon],
    rng: np.random.Generator,
    taken: set[tuple[str, str]],
    known: Collection[str] = (),
) -> pd.DataFrame:
    """Triples, each with the next phenomenon and lexicon in turn, cut to the wanted number of rows and shuffled.

    `lexicons` has one entry per wanted pair. A triple is redrawn if one of its pairs is `taken` or its premise `known`.
    """
    rows = []
    for i in range(0, len(lexicons), len(LABELS)):
        phenomenon = PHENOMENA[(i // len(LABELS)) % len(PHENOMENA)]
        for _ in range(ATTEMPTS_PER_TRIPLE):
            premise, hypotheses = _draw_triple(phenomenon, lexicons[i], rng)
            pairs = {(premise, text) for _, text in hypotheses}
            if not pairs & taken and premise not in known:
                break
        else:
            raise StudyError(
                f"synthetic data: no new premise ({phenomenon}) for split {name} after {ATTEMPTS_PER_TRIPLE} "
                "tries; ask for fewer pairs"
            )
        if name != "corpus":  # the corpus may repeat pairs
            taken |= pairs
        rows += [(genre, premise, text, label) for label, (genre, text) in enumerate(hypotheses)]
    order = rng.permutation(len(lexicons))
    frame = pd.DataFrame([rows[i] for i in order], columns=["genre", "premise", "hypothesis", "label"])
    frame["pair_id"] = [f"{name}-{i:06d}" for i in range(len(frame))]
    frame["premise_id"] = frame["premise"].map(premise_id)
    return frame[SCHEMA.names].astype({"label": "int8"})


def _keep_apart(
    tune: pd.DataFrame, others: list[pd.DataFrame], rng: np.random.Generator, taken: set[tuple[str, str]]
) -> pd.DataFrame:
    """`tune` with new triples instead of those that share a premise with one of the `others`."""
    known = {premise for other in others for premise in other["premise"]}
    kept = tune[~tune["premise"].isin(known)]
    if len(kept) == len(tune):
        return tune
    new = _draw_split("tune", [MATCHED] * (len(tune) - len(kept)), rng, taken, known)
    frame = pd.concat([kept, new], ignore_index=True)
    return frame.assign(pair_id=tune["pair_id"])


def generate(
    n_train: int, n_tune: int, n_matched: int, n_mismatched: int, n_corpus: int, seed: int
) -> dict[str, pd.DataFrame]:
    """Splits train, tune, matched, mismatched and corpus, in the columns of `splits.SCHEMA`.

    Labels are balanced in every split (to within one pair). No pair is in two splits, and no premise of tune is in
    train or in a validation split. train, tune and matched use one lexicon, mismatched another, corpus both: a model
    pretrained on the corpus knows the words of the mismatched split, which fine-tuning never shows.

    Raises:
        StudyError: more pairs are requested than exist.
    """
    seeds = iter(np.random.SeedSequence(seed).spawn(6))
    taken: set[tuple[str, str]] = set()
    lexicons = {
        "train": [MATCHED] * n_train,
        "tune": [MATCHED] * n_tune,
        "matched": [MATCHED] * n_matched,
        "mismatched": [MISMATCHED] * n_mismatched,
    }
    period = len(LABELS) * len(PHENOMENA)  # whole periods, so that each lexicon has every label and phenomenon
    n_matched_corpus = round(n_corpus * MATCHED_SHARE / period) * period
    lexicons["corpus"] = [MATCHED] * n_matched_corpus + [MISMATCHED] * (n_corpus - n_matched_corpus)
    order = ("matched", "mismatched", "tune", "train", "corpus")  # the small ones choose first
    drawn = {name: _draw_split(name, lexicons[name], np.random.default_rng(next(seeds)), taken) for name in order}
    taken |= set(zip(drawn["corpus"]["premise"], drawn["corpus"]["hypothesis"], strict=True))
    others = [drawn[name] for name in ("train", "matched", "mismatched")]
    drawn["tune"] = _keep_apart(drawn["tune"], others, np.random.default_rng(next(seeds)), taken)
    return {name: drawn[name] for name in lexicons}
