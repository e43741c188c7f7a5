"""Several draws of worked examples: pairs are divided evenly, and each draw's accuracy is counted."""

import json

import numpy as np
import pandas as pd
import pytest
from unit.report_fixtures import make_answers, score_answers

from nli.data.draws import assign_draws
from nli.measure.draws import score_draws


def predictions(right: list[bool], split: str = "matched", scorer: str = "parsed") -> pd.DataFrame:
    """Answers to a list of pairs, right as specified; a wrong one is unparsed or another class."""
    frame = pd.DataFrame({"split": split, "scorer": scorer, "pair_id": [str(i) for i in range(len(right))]})
    frame["genre"], frame["gold"], frame["answer"] = "", "neutral", None
    frame["premise_id"] = [f"p{i // 3}" for i in range(len(right))]
    frame["pred"] = ["neutral" if hit else ("entailment" if i % 2 else None) for i, hit in enumerate(right)]
    for label in ("entailment", "neutral", "contradiction"):
        frame[f"logp_{label}"] = np.nan
    return frame


def test_pairs_are_shared_out_evenly_and_not_by_their_place():
    drawn = assign_draws(3000, 3, seed=1)
    assert np.bincount(drawn).tolist() == [1000, 1000, 1000]
    by_place = [np.bincount(drawn[place::3], minlength=3) for place in range(3)]  # as with three hypotheses per premise
    assert np.max(np.abs(np.array(by_place) - 1000 / 3)) < 60
    assert assign_draws(3000, 3, seed=1).tolist() == drawn.tolist()
    assert assign_draws(5, 1, seed=0).tolist() == [0] * 5


def test_accuracy_is_counted_by_draw():
    drawn = assign_draws(40, 2, seed=5)
    right = np.zeros(40, bool)
    right[np.flatnonzero(drawn == 0)[:15]] = right[np.flatnonzero(drawn == 1)[:5]] = True
    found = score_draws(predictions(right), 2, seed=5)["matched"]["parsed"]
    assert found["n"] == [20, 20]
    assert found["accuracy"] == [0.75, 0.25]
    assert found["p_value"] == pytest.approx(0.00157, abs=1e-5)  # chi-squared 4 x 25 / 10 = 10, one degree of freedom


def test_a_run_with_one_draw_has_none_to_compare():
    assert score_draws(predictions([True, False]), 1, seed=0) == {}


def test_draws_that_are_all_wrong_are_not_tested():
    assert score_draws(predictions([False] * 9), 3, seed=0)["matched"]["parsed"]["p_value"] is None


@pytest.mark.parametrize("spec", [{"draws": 2}, {"draws": 1}, {}])
def test_score_writes_the_draws_that_the_run_had(tmp_path, spec):
    frame = pd.concat([predictions([True] * 4), predictions([False] * 4, scorer="label_logp")])
    make_answers(tmp_path, frame, seed=3, name="shot1", **spec)
    done = score_answers(tmp_path, seed=3)
    assert done.returncode == 0, done.stderr
    by_draw = json.loads((tmp_path / "metrics.json").read_text())["by_draw"]
    if spec.get("draws", 1) == 1:
        assert by_draw == {}
    else:
        assert by_draw["matched"]["parsed"]["accuracy"] == [1.0, 1.0]
        assert by_draw["matched"]["label_logp"]["accuracy"] == [0.0, 0.0]
