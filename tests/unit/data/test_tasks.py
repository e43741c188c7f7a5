"""The classes of further tasks on the same pairs."""

import pandas as pd

from nli.data.tasks import possible_tasks

TRAIN = pd.DataFrame(
    {
        "premise": ["All dogs sleep here.", "A man reads.", "Nobody sings.", "It rains now."],
        "hypothesis": ["Some dogs sleep.", "He can't read a novel.", "Two women sing.", "It rains."],
        "genre": ["b", "a", "a", "b"],
        "label": [0, 1, 2, 0],
    }
)


def codes(kind, rows=TRAIN):
    classes, of = possible_tasks({"mine": kind}, TRAIN)["mine"]
    return classes, of(rows).tolist()


def test_labels_and_genres_are_those_of_the_pairs():
    assert codes("label") == (["entailment", "neutral", "contradiction"], [0, 1, 2, 0])
    assert codes("genre") == (["a", "b"], [1, 0, 0, 1])


def test_genre_that_no_training_pair_has_is_no_class():
    assert codes("genre", TRAIN.assign(genre=["a", "c", "", "b"]))[1] == [0, -1, -1, 1]


def test_negation_is_a_word_of_the_hypothesis():
    assert codes("negation")[1] == [0, 1, 0, 0]
    said = ["He did not go.", "Nothing moved.", "Notes and knots.", "NEVER!"]
    assert codes("negation", TRAIN.assign(hypothesis=said))[1] == [1, 1, 0, 1]


def test_overlap_is_above_that_of_the_median_training_pair():
    # the hypotheses share 2 of 3, 1 of 6, 0 of 3 and 2 of 2 words with their premises: the median is 5/12
    assert codes("overlap") == (["little overlap", "much overlap"], [1, 0, 0, 1])


def test_task_with_one_class_in_training_is_left_out():
    alike = pd.concat([TRAIN.iloc[[0]]] * 3)
    kinds = {kind: kind for kind in ("genre", "label", "overlap", "negation")}
    assert possible_tasks(kinds, alike) == {}
    assert list(possible_tasks(kinds, TRAIN.assign(genre=""))) == ["label", "overlap", "negation"]
