"""Random predictions: what breaks the contract is refused in one line; what keeps it comes back and is scored right."""

import pytest

pytest.importorskip("hypothesis")

import pandas as pd
from fuzzing import SCALARS, TEXTS, cases, refused
from hypothesis import given
from hypothesis import strategies as st

from nli.base.labels import LABELS
from nli.data.predictions import COLUMNS, LOGP_COLUMNS, read_predictions, write_predictions
from nli.measure.metrics import score_predictions

NAMES = st.sampled_from(["a", "b", "c"])
LOGPS = st.sampled_from([None, 0.0, -0.5, -1e308, -1.0])
GOOD = {
    "split": st.sampled_from(["matched", "mismatched"]),
    "scorer": st.sampled_from(["parsed", "classifier"]),
    "pair_id": st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=5),
    "genre": st.text(st.characters(exclude_categories=["Cs"]), max_size=3),
    "premise_id": NAMES,
    "gold": st.sampled_from(LABELS),
    "pred": st.sampled_from([*LABELS, None]),
    "answer": st.none() | st.text(st.characters(exclude_categories=["Cs"]), max_size=5),
    **dict.fromkeys(LOGP_COLUMNS, st.just(None)),
}
ROW = st.fixed_dictionaries(GOOD)
PLAIN = TEXTS.map(lambda text: text.encode("utf-8", "ignore").decode())  # pandas takes no surrogates
WRITABLE = SCALARS.filter(lambda value: not isinstance(value, str)) | PLAIN
ODD = st.fixed_dictionaries({name: good | WRITABLE for name, good in GOOD.items()})
KEY = ["split", "scorer", "pair_id"]


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return tmp_path_factory.mktemp("predictions") / "predictions.parquet"


@cases(30)
@given(st.lists(ROW, min_size=1, max_size=12, unique_by=lambda row: tuple(row[name] for name in KEY)))
def test_fuzz_good_predictions_come_back_and_are_scored_right(path, rows):
    frame = pd.DataFrame(rows, columns=COLUMNS)
    write_predictions(frame, path)
    back = read_predictions(path)
    assert back[KEY].to_dict("records") == frame[KEY].to_dict("records")
    results = score_predictions(back)
    for (split, scorer), own in frame.groupby(["split", "scorer"]):
        scores = results[split][scorer]
        right = sum(gold == pred for gold, pred in zip(own["gold"], own["pred"], strict=True))
        assert (scores["n"], scores["correct"], scores["accuracy"]) == (len(own), right, right / len(own))
        assert scores["parsed"] == own["pred"].notna().sum()


def assert_contract(frame):
    """What the contract says of a file that is read: its keys are there and unique, its labels are labels."""
    assert list(frame.columns) == list(COLUMNS)
    assert len(frame) > 0
    assert all(isinstance(value, str) and value for name in KEY for value in frame[name])
    assert len(set(zip(*(frame[name] for name in KEY), strict=True))) == len(frame)
    assert set(frame["gold"]) <= set(LABELS)
    assert all(pred in LABELS for pred in frame["pred"].dropna())
    assert all(value <= 0 for name in LOGP_COLUMNS for value in frame[name].dropna())


@cases(30)
@given(st.lists(ODD | ROW, max_size=4), st.sets(st.sampled_from(COLUMNS), max_size=1), st.sets(PLAIN, max_size=1))
def test_fuzz_odd_predictions_are_refused_in_one_line_or_come_back(path, rows, left_out, more):
    frame = pd.DataFrame(rows, columns=[*(name for name in COLUMNS if name not in left_out), *more])
    no, _ = refused("predictions ", write_predictions, frame, path)
    if left_out or not rows:
        assert no
    if not no:
        back = read_predictions(path)
        assert_contract(back)
        assert len(back) == len(rows)
        scores = score_predictions(back)
        assert sum(own["n"] for split in scores.values() for own in split.values()) == len(rows)


@cases(30)
@given(
    st.lists(ROW, min_size=1, max_size=5, unique_by=lambda row: row["pair_id"]),
    st.lists(st.tuples(st.floats(0, 1), st.binary(max_size=3)), min_size=1, max_size=4),
)
def test_fuzz_damaged_predictions_are_refused_in_one_line_or_keep_the_contract(path, rows, damages):
    write_predictions(pd.DataFrame(rows, columns=COLUMNS), path)
    content = path.read_bytes()
    for place, more in damages:
        at = int(place * len(content))
        content = content[:at] + more + content[at + len(more) :]
    path.write_bytes(content)
    no, frame = refused("predictions ", read_predictions, path)
    if not no:
        assert_contract(frame)
