"""The synthetic data: labels checked against a reader of the sentences, balance, and no giveaway."""

import re
from itertools import product

import numpy as np
import pandas as pd
import pytest
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression

from nli import synthetic
from nli.errors import StudyError
from nli.labels import LABELS
from nli.synthetic_lexicon import MATCHED, MISMATCHED

FUNCTION_WORDS = set(
    [
        "a",
        "according",
        "an",
        "are",
        "at",
        "by",
        "each",
        "every",
        "exactly",
        "fewer",
        "first",
        "has",
        "holds",
        "in",
        "inside",
        "is",
        "it",
        "just",
        "known",
        "last",
        "least",
        "member",
        "more",
        "near",
        "no",
        "none",
        "not",
        "number",
        "of",
        "on",
        "one",
        "only",
        "or",
        "over",
        "picture",
        "says",
        "shows",
        "single",
        "since",
        "some",
        "stored",
        "than",
        "that",
        "the",
        "thing",
        "to",
        "under",
        "was",
        "what",
        "without",
        "exception",
        "all",
    ]
)


@pytest.fixture(scope="module")
def data() -> dict[str, pd.DataFrame]:
    return synthetic.generate(3000, 300, 1500, 1500, 600, seed=3)


def label_of(statements: tuple, situations) -> str:
    """The label from every situation in which premise and hypothesis are true or false."""
    premise, hypothesis = statements
    truths = {hypothesis(situation) for situation in situations if premise(situation)}
    return {(True,): "entailment", (False,): "contradiction"}.get(tuple(truths), "neutral")


def read_numbers(sentence: str):
    words = ["two", "three", "four", "five", "six", "seven"]
    how, number, topic = re.search(
        r"(exactly|more than|fewer than) (\w+) (books|cups|plates|coins)", sentence.lower()
    ).groups()
    n = words.index(number) + 2
    compare = {"exactly": int.__eq__, "more than": int.__gt__, "fewer than": int.__lt__}[how]
    return topic, lambda count: compare(count, n)


def read_quantifiers(sentence: str):
    sentence = sentence.lower()
    topic = re.search("danced|laughed|slept|waited", sentence)[0]
    for pattern, truth in (
        ("not all of|not every one of", lambda group: not all(group)),
        ("none of|not a single one of", lambda group: not any(group)),
        ("all of|every one of", all),
        ("some of|one or more of", any),
    ):
        if re.search(pattern, sentence):
            return topic, truth
    raise AssertionError(sentence)


def read_negation(sentence: str):
    opposites = [
        "open/closed",
        "clean/dirty",
        "broken/intact",
        "awake/asleep",
        "married/single",
        "present/absent",
        "true/false",
        "public/secret",
        "complete/unfinished",
    ]
    negated, adjective = re.search(r" is (not )?(\w+)\.$", sentence).groups()
    topic = next(pair for pair in opposites if adjective in pair.split("/"))
    is_first = (topic.split("/")[0] == adjective) != bool(negated)
    return topic, lambda first_holds: first_holds == is_first


PLACES = {"France": "Paris Lyon", "Spain": "Madrid Seville", "Italy": "Rome Milan"}
PLACES |= {"Germany": "Berlin Hamburg", "Japan": "Tokyo Osaka"}
THINGS = {"animal": "dog cat horse sheep", "fruit": "pear plum cherry melon"}
THINGS |= {"tool": "hammer saw drill spade", "vehicle": "car bus truck van"}
THINGS |= {"garment": "shirt coat dress scarf"}


def read_taxonomy(sentence: str):
    topic = re.search("bought|sold|found|lives|works|studies", sentence)[0]
    for group, members in (PLACES | THINGS).items():
        for word in (group, *members.split()):
            if re.search(rf"\b{word}\b", sentence):
                allowed = members.split() if word == group else [word]
                return topic, lambda member, allowed=allowed: member in allowed
    raise AssertionError(sentence)


READERS = {
    "numbers": (read_numbers, range(10)),
    "quantifiers": (read_quantifiers, list(product((True, False), repeat=2))),
    "negation": (read_negation, (True, False)),
    "places": (read_taxonomy, " ".join(PLACES.values()).split()),
    "hypernyms": (read_taxonomy, " ".join(THINGS.values()).split()),
}


def judge(genre: str, premise: str, hypothesis: str) -> str:
    """Read both sentences and decide; sentences on different topics speak of independent situations."""
    read, situations = READERS[genre]
    (topic_p, is_true_p), (topic_h, is_true_h) = read(premise), read(hypothesis)
    if topic_p == topic_h:
        return label_of((is_true_p, is_true_h), situations)
    pairs = list(product(situations, repeat=2))
    return label_of((lambda s: is_true_p(s[0]), lambda s: is_true_h(s[1])), pairs)


@pytest.mark.parametrize("genre", synthetic.GENRES)
def test_labels_agree_with_a_reader_of_the_sentences(data, genre):
    rows = data["matched"].query("genre == @genre")
    for row in rows.itertuples():
        assert judge(genre, row.premise, row.hypothesis) == LABELS[row.label], row


@pytest.mark.parametrize(
    ("premise", "hypothesis", "label"),
    [
        (("quantifiers", ("all",), 0), ("some",), "entailment"),
        (("quantifiers", ("some",), 0), ("all",), "neutral"),
        (("quantifiers", ("some",), 0), ("not all",), "neutral"),
        (("quantifiers", ("none",), 0), ("not all",), "entailment"),
        (("quantifiers", ("none",), 0), ("some",), "contradiction"),
        (("hypernyms", ("member", 0, 0), 0), ("class", 0), "entailment"),
        (("hypernyms", ("class", 0), 0), ("member", 0, 0), "neutral"),
        (("places", ("member", 0, 0), 0), ("member", 0, 1), "contradiction"),
        (("places", ("class", 0), 0), ("class", 1), "contradiction"),
        (("negation", (0, 0), 0), (1, 1), "entailment"),
        (("negation", (0, 0), 0), (0, 1), "contradiction"),
        (("numbers", ("exactly", 3), 0), ("above", 2), "entailment"),
        (("numbers", ("above", 2), 0), ("exactly", 3), "neutral"),
        (("numbers", ("above", 2), 0), ("below", 3), "contradiction"),
        (("numbers", ("above", 2), 0), ("below", 5), "neutral"),
    ],
)
def test_relation_of_forms(premise, hypothesis, label):
    genre, core, topic = premise
    forms = {(form.core, form.topic): form.worlds for form in synthetic.forms_of(genre, 6)}
    assert LABELS[synthetic.relate(forms[core, topic], forms[hypothesis, topic])] == label
    assert LABELS[synthetic.relate(forms[core, topic], forms[hypothesis, 1 - topic])] == "neutral"


def test_splits_are_balanced_disjoint_and_complete(data):
    sizes = {"train": 3000, "tune": 300, "matched": 1500, "mismatched": 1500, "corpus": 600}
    assert {name: len(frame) for name, frame in data.items()} == sizes
    for frame in data.values():
        assert list(frame.columns) == ["pair_id", "genre", "premise", "hypothesis", "label"]
        assert frame["label"].dtype == np.int8
        assert frame["label"].value_counts().nunique() == 1
        assert frame.groupby("genre")["label"].value_counts().nunique() == 1
        assert frame["pair_id"].is_unique
    everything = pd.concat(data.values())
    assert not everything.duplicated(["premise", "hypothesis"]).any()
    assert not (everything["premise"] == everything["hypothesis"]).any()


def test_same_seed_gives_the_same_data_and_another_seed_does_not():
    first, again, other = (synthetic.generate(30, 9, 30, 30, 30, seed) for seed in (5, 5, 6))
    for name in first:
        pd.testing.assert_frame_equal(first[name], again[name])
    assert not first["train"]["premise"].equals(other["train"]["premise"])


def words(frame: pd.DataFrame) -> set[str]:
    return set(re.findall(r"\w+", " ".join(frame["premise"] + " " + frame["hypothesis"]).lower()))


def test_mismatched_words_are_in_the_corpus_and_not_in_train():
    data = synthetic.generate(3000, 9, 9, 900, 9000, seed=1)
    shared = words(data["train"]) & words(data["mismatched"])
    assert shared <= FUNCTION_WORDS, shared - FUNCTION_WORDS
    assert words(data["mismatched"]) <= words(data["corpus"])
    for genre in synthetic.GENRES:
        assert not set(MATCHED.frames[genre]) & set(MISMATCHED.frames[genre])


@pytest.mark.parametrize("column", ["hypothesis", "premise"])
def test_one_sentence_alone_does_not_give_the_label_away(data, column):
    vectorizer = CountVectorizer(ngram_range=(1, 2), min_df=2)
    features = vectorizer.fit_transform(data["train"][column])
    model = LogisticRegression(max_iter=300).fit(features, data["train"]["label"])
    for split in ("matched", "mismatched"):
        accuracy = model.score(vectorizer.transform(data[split][column]), data[split]["label"])
        assert accuracy < 0.38  # chance 0.333, standard error 0.012


@pytest.mark.parametrize("genre", synthetic.GENRES)
def test_every_form_is_as_frequent_under_each_label(genre):
    relations = synthetic.relation_matrix(synthetic.forms_of(genre, 6))
    joint = synthetic.balanced_joint(relations)
    for label in range(3):
        assert joint[label][relations != label].sum() == 0
        np.testing.assert_allclose(joint[label].sum(axis=1), joint[0].sum(axis=1), atol=1e-9)
        np.testing.assert_allclose(joint[label].sum(axis=0), joint[0].sum(axis=0), atol=1e-9)


def test_asking_for_more_pairs_than_there_are_says_so(monkeypatch):
    monkeypatch.setattr(synthetic, "ATTEMPTS_PER_TRIPLE", 1)
    with pytest.raises(StudyError, match="ask for fewer pairs"):
        synthetic.generate(60000, 0, 0, 0, 0, seed=0)
