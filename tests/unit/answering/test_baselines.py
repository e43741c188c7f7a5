"""Chance baselines: values worked out by hand on a few pairs, and never computed from what they must not see."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from threadpoolctl import threadpool_limits

from nli.answering.baselines import fit_baseline, log_probabilities
from nli.base.errors import StudyError

MAJORITY = {"method": "majority", "features": None}
ROOT = Path(__file__).parents[3]
BAG = {"ngrams": [1, 1], "min_count": 1, "C": [0.001, 100.0]}


def rows(hypotheses, labels):
    return pd.DataFrame({"premise": "A premise.", "hypothesis": hypotheses, "label": labels})


TRAIN = rows(["all run", "all sit", "some run", "nobody sits", "nobody runs", "nobody ran"], [0, 0, 1, 2, 2, 2])


def test_majority_answers_the_most_frequent_class_of_train_with_its_share():
    baseline = fit_baseline(MAJORITY, TRAIN, TRAIN.iloc[:0])
    scores = log_probabilities(baseline, rows(["all", "some"], [0, 1]))
    np.testing.assert_allclose(np.exp(scores), [[2 / 6, 1 / 6, 3 / 6]] * 2)
    assert baseline.weights == 0


def test_hypothesis_only_finds_the_giveaway_word():
    baseline = fit_baseline({"method": "hypothesis_only", "features": BAG}, TRAIN, TRAIN)
    answers = log_probabilities(baseline, rows(["nobody waits", "all wait", "some wait"], [2, 0, 1])).argmax(axis=1)
    assert answers.tolist() == [2, 0, 1]
    words = {word for text in TRAIN["hypothesis"] for word in text.split()}
    assert baseline.weights == 3 * len(words) + 3


def test_hypothesis_only_never_sees_the_premise():
    baseline = fit_baseline({"method": "hypothesis_only", "features": BAG}, TRAIN, TRAIN)
    asked = rows(["nobody waits", "all wait"], [2, 0])
    other = asked.assign(premise="Nobody runs at all, some say.")
    np.testing.assert_array_equal(log_probabilities(baseline, asked), log_probabilities(baseline, other))


def test_regularisation_is_chosen_on_tune():
    # With C = 0.001 every answer is train's majority, contradiction; with C = 100 the words decide.
    easy = rows(["all", "some", "nobody"], [0, 1, 2])
    against = rows(["all", "some", "nobody"], [2, 2, 2])
    spec = {"method": "hypothesis_only", "features": BAG}
    assert fit_baseline(spec, TRAIN, easy).chosen == {"C": 100.0, "tune_accuracy": 1.0}
    assert fit_baseline(spec, TRAIN, against).chosen == {"C": 0.001, "tune_accuracy": 1.0}


@pytest.mark.parametrize("threads", [2, 4])
def test_answers_do_not_depend_on_the_threads_of_the_machine(threads):
    # BLAS shares a vector among its threads from 10,000 numbers on.
    draws = np.random.default_rng(0)
    words = [f"w{i}" for i in range(800)]
    texts = [" ".join(draws.choice(words, 8)) for _ in range(1000)]
    many = rows(texts, draws.integers(0, 3, len(texts)))
    spec = {"method": "hypothesis_only", "features": {"ngrams": [1, 2], "min_count": 1, "C": [0.1]}}
    with threadpool_limits(limits=1):
        alone = fit_baseline(spec, many, many.iloc[:0])
    assert alone.weights > 10_000
    with threadpool_limits(limits=threads):
        together = fit_baseline(spec, many, many.iloc[:0])
    np.testing.assert_array_equal(log_probabilities(alone, many), log_probabilities(together, many))


def test_a_choice_without_tune_is_refused_and_a_given_value_is_not():
    with pytest.raises(StudyError, match=r"data\.tune_examples"):
        fit_baseline({"method": "hypothesis_only", "features": BAG}, TRAIN, TRAIN.iloc[:0])
    given = {"method": "hypothesis_only", "features": {**BAG, "C": [1.0]}}
    assert fit_baseline(given, TRAIN, TRAIN.iloc[:0]).chosen == {"C": 1.0, "tune_accuracy": None}


def test_a_class_missing_from_train_is_named():
    with pytest.raises(StudyError, match="no pair of neutral"):
        fit_baseline(MAJORITY, TRAIN[TRAIN.label != 1], TRAIN)


def test_baselines_need_no_torch():
    code = "import sys, predict_baseline; print([m for m in ('torch', 'transformers') if m in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT / "scripts", capture_output=True, text=True, timeout=60
    )
    assert done.stdout.strip() == "[]", done.stderr
