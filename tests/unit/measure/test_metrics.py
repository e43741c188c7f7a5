"""Metrics compared with values worked out by hand."""

import hashlib
import json
import math

import pandas as pd
import pytest
from unit.report_fixtures import make_answers, score_answers

from nli.measure.metrics import calibration_error, score_predictions, score_rows
from nli.measure.paired import wilson_interval

E, N, C = "entailment", "neutral", "contradiction"


def make_rows(gold, pred, *, genre=None, logp=None, scorer="parsed", split="matched", premises=None) -> pd.DataFrame:
    """A predictions frame from lists; `logp` is a list of triples or None."""
    n = len(gold)
    logp = logp or [(None, None, None)] * n
    frame = pd.DataFrame(
        {
            "split": split,
            "scorer": scorer,
            "pair_id": [f"{i}" for i in range(n)],
            "genre": genre or [""] * n,
            "premise_id": premises or [f"p{i}" for i in range(n)],
            "gold": gold,
            "pred": pd.Series(pred, dtype=object),
            "answer": None,
        }
    )
    for column, values in zip(("entailment", "neutral", "contradiction"), zip(*logp, strict=True), strict=True):
        frame[f"logp_{column}"] = pd.Series(values, dtype=float)
    return frame


# Eight examples: 5 right, 2 unparsed (entailment, contradiction), one neutral called entailment.
GOLD = [E, E, E, N, N, C, C, C]
PRED = [E, E, None, N, E, C, C, None]


def test_unparsable_answer_counts_as_wrong_but_not_in_the_reports_way_of_counting():
    scores = score_rows(make_rows(GOLD, PRED))
    assert (scores["n"], scores["parsed"], scores["correct"]) == (8, 6, 5)
    assert scores["accuracy"] == 5 / 8
    assert scores["parsed_accuracy"] == 5 / 6
    assert scores["interval"] == wilson_interval(5, 8)
    assert scores["parsed_interval"] == wilson_interval(5, 6)
    assert scores["majority_accuracy"] == 3 / 8


def test_confusion_matrix_has_a_column_for_unparsed_answers():
    confusion = score_rows(make_rows(GOLD, PRED))["confusion"]
    assert confusion["rows"] == [E, N, C]
    assert confusion["columns"] == [E, N, C, "unparsed"]
    assert confusion["counts"] == [[2, 0, 0, 1], [1, 1, 0, 0], [0, 0, 2, 1]]


def test_class_scores_by_hand():
    scores = score_rows(make_rows(GOLD, PRED))
    # entailment: 2 of 3 answers right, 2 of 3 golds found; neutral: 1 of 1 and 1 of 2;
    # contradiction: 2 of 2 and 2 of 3.
    assert scores["per_class"][E] == pytest.approx({"precision": 2 / 3, "recall": 2 / 3, "f1": 2 / 3, "support": 3})
    assert scores["per_class"][N] == pytest.approx({"precision": 1.0, "recall": 1 / 2, "f1": 2 / 3, "support": 2})
    assert scores["per_class"][C] == pytest.approx({"precision": 1.0, "recall": 2 / 3, "f1": 4 / 5, "support": 3})
    assert scores["macro_f1"] == pytest.approx((2 / 3 + 2 / 3 + 4 / 5) / 3)
    assert scores["answers"] == {E: 3, N: 1, C: 2, "unparsed": 2}


def test_a_run_without_one_parsed_answer_has_no_parsed_accuracy_and_no_collapse():
    scores = score_rows(make_rows([E, N], [None, None]))
    assert scores["accuracy"] == 0.0
    assert scores["parsed_accuracy"] is None
    assert scores["parsed_interval"] is None
    assert scores["collapsed"] is False


@pytest.mark.parametrize(("others", "collapsed"), [(5, False), (4, True), (0, True)])
def test_collapse_needs_more_than_95_percent_of_the_parsed_answers(others, collapsed):
    pred = [E] * (100 - others) + [N] * others + [None] * 50
    assert score_rows(make_rows([E] * 150, pred))["collapsed"] is collapsed


def test_rows_of_one_premise_widen_the_interval():
    gold, pred = [E] * 300, [E] * 150 + [N] * 150
    apart = score_rows(make_rows(gold, pred))
    alike = score_rows(make_rows(gold, pred, premises=[f"p{i // 3}" for i in range(300)]))
    assert alike["accuracy"] == apart["accuracy"] == 0.5
    assert alike["interval"] == apart["interval"] == wilson_interval(150, 300)
    assert (apart["premises"], alike["premises"]) == (300, 100)
    assert apart["design_effect"] == pytest.approx(1, abs=0.15)
    assert alike["design_effect"] == pytest.approx(3, rel=0.15)
    assert alike["clustered_interval"][0] < alike["interval"][0]


def test_calibration_error_by_hand():
    # Confidences 0.8 (right), 0.8 (wrong), 0.5 (right). The bin of 0.8 is right half the time:
    # gap 0.3, twice; the bin of 0.5 is always right: gap 0.5. So (2 x 0.3 + 0.5) / 3.
    sure, unsure = [math.log(p) for p in (0.8, 0.1, 0.1)], [math.log(p) for p in (0.5, 0.3, 0.2)]
    rows = make_rows([E, N, E], [E, E, E], logp=[sure, sure, unsure])
    assert calibration_error(rows) == pytest.approx(1.1 / 3)


def test_calibration_normalises_label_log_probabilities_over_the_three_labels():
    # Label words with 0.08, 0.01 and 0.01 of the mass of all words have 0.8, 0.1, 0.1 among the three.
    rows = make_rows([E], [E], logp=[[math.log(p) for p in (0.08, 0.01, 0.01)]])
    assert calibration_error(rows) == pytest.approx(0.2)


def test_no_log_probabilities_no_calibration_error():
    rows = make_rows([E, N], [E, N])
    assert score_rows(rows)["calibration_error"] is None
    some = make_rows([E, N], [E, N], logp=[(math.log(0.6), math.log(0.2), math.log(0.2)), (None,) * 3])
    assert score_rows(some)["calibration_error"] == pytest.approx(0.4)


def test_genres_are_counted_strictly_and_the_nameless_one_is_left_out():
    rows = make_rows([E, E, N, C], [E, None, N, E], genre=["fiction", "fiction", "travel", ""])
    assert score_rows(rows)["genres"] == {
        "fiction": {"n": 2, "accuracy": 0.5},
        "travel": {"n": 1, "accuracy": 1.0},
    }


def test_every_split_and_scorer_is_scored_on_its_own():
    frame = pd.concat(
        [
            make_rows([E, N], [E, E], scorer="first_label"),
            make_rows([E, N], [E, N], scorer="most_frequent_label"),
            make_rows([C], [None], scorer="first_label", split="mismatched"),
        ]
    )
    results = score_predictions(frame)
    assert {split: list(scorers) for split, scorers in results.items()} == {
        "matched": ["first_label", "most_frequent_label"],
        "mismatched": ["first_label"],
    }
    assert results["matched"]["first_label"]["accuracy"] == 0.5
    assert results["matched"]["most_frequent_label"]["accuracy"] == 1.0
    assert results["mismatched"]["first_label"]["answers"]["unparsed"] == 1


def test_score_script_writes_metrics_that_name_their_run(tmp_path):
    make_answers(tmp_path, make_rows(GOLD, PRED))
    done = score_answers(tmp_path)
    assert done.returncode == 0, done.stderr
    metrics, run = (json.loads((tmp_path / name).read_text()) for name in ("metrics.json", "run.json"))
    assert (metrics["family"], metrics["name"], metrics["seed"], metrics["scale"]) == ("icl", "prompt1", 42, "demo")
    assert metrics["hashes"] == run["hashes"]
    assert metrics["predictions"] == hashlib.sha256((tmp_path / "predictions.parquet").read_bytes()).hexdigest()
    assert metrics["results"]["matched"]["parsed"]["accuracy"] == 5 / 8


def test_score_script_says_in_one_line_what_is_missing(tmp_path):
    make_answers(tmp_path, make_rows(GOLD, PRED))
    (tmp_path / "run.json").write_text(json.dumps({"family": "icl"}))
    done = score_answers(tmp_path)
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert f"{tmp_path / 'run.json'}: name: Field required" in done.stderr
