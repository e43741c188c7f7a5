"""The predictions contract: what it accepts, and what it refuses with a clear message."""

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from nli.base.errors import StudyError
from nli.data.predictions import COLUMNS, read_predictions, write_predictions


def a_frame(**changes) -> pd.DataFrame:
    """Two valid rows, the second unparsed; `changes` replace whole columns."""
    columns = {
        "split": ["matched", "matched"],
        "scorer": ["classifier", "classifier"],
        "pair_id": ["p1", "p2"],
        "genre": ["fiction", ""],
        "premise_id": ["a1", "a1"],
        "gold": ["entailment", "neutral"],
        "pred": ["entailment", None],
        "answer": [None, "Well"],
        "logp_entailment": [-0.1, None],
        "logp_neutral": [-3.0, None],
        "logp_contradiction": [-3.0, None],
    }
    return pd.DataFrame({**columns, **changes})


def test_rows_and_nulls_survive_a_round_trip_in_their_order(tmp_path):
    path = tmp_path / "run" / "predictions.parquet"
    write_predictions(a_frame(), path)
    frame = read_predictions(path)
    assert tuple(frame.columns) == COLUMNS
    assert frame["pair_id"].tolist() == ["p1", "p2"]
    assert frame["pred"].isna().tolist() == [False, True]
    assert frame["answer"].isna().tolist() == [True, False]
    assert frame["logp_entailment"].iloc[0] == -0.1
    assert frame["logp_neutral"].isna().tolist() == [False, True]


def test_same_rows_give_same_bytes_whatever_the_column_order_and_dtype(tmp_path):
    write_predictions(a_frame(), tmp_path / "a.parquet")
    shuffled = a_frame()[list(reversed(COLUMNS))].astype({"pred": object, "gold": "category"})
    shuffled.index = [7, 3]
    write_predictions(shuffled, tmp_path / "b.parquet")
    assert (tmp_path / "a.parquet").read_bytes() == (tmp_path / "b.parquet").read_bytes()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"gold": ["entailment", "maybe"]}, "gold is 'maybe' in row 1"),
        ({"pred": ["Entailment", None]}, "pred is 'Entailment' in row 0"),
        ({"split": ["matched", "train"]}, "split is 'train' in row 1"),
        ({"pair_id": ["p1", "p1"]}, "unique within its split and scorer"),
        ({"logp_neutral": [None, None]}, "all three labels or for none"),
        ({"logp_neutral": [0.5, None]}, "at most 0"),
        ({"logp_neutral": [float("-inf"), None]}, "finite"),
        ({"genre": [None, ""]}, "genre is"),
        ({"premise_id": ["a1", ""]}, "premise_id is '' in row 1"),
        ({"premise_id": [None, "a1"]}, "premise_id is nan in row 0"),
    ],
)
def test_rows_that_break_the_contract_are_refused_unwritten(tmp_path, changes, message):
    path = tmp_path / "predictions.parquet"
    with pytest.raises(StudyError, match=message):
        write_predictions(a_frame(**changes), path)
    assert list(tmp_path.iterdir()) == []


def test_missing_and_unknown_columns_are_named(tmp_path):
    frame = a_frame().drop(columns="answer").assign(score=1.0)
    with pytest.raises(StudyError, match="missing columns: answer; unknown columns: score"):
        write_predictions(frame, tmp_path / "predictions.parquet")


def test_text_where_a_number_belongs_is_refused(tmp_path):
    frame = a_frame(logp_neutral=["low", None])
    with pytest.raises(StudyError, match="wrong type"):
        write_predictions(frame, tmp_path / "predictions.parquet")


def test_no_rows_is_refused(tmp_path):
    with pytest.raises(StudyError, match="no rows"):
        write_predictions(a_frame().iloc[:0], tmp_path / "predictions.parquet")


def test_reading_says_what_is_wrong_with_a_file(tmp_path):
    with pytest.raises(StudyError, match="no such file"):
        read_predictions(tmp_path / "none.parquet")
    (tmp_path / "text.parquet").write_text("not parquet")
    with pytest.raises(StudyError, match="not a readable Parquet file"):
        read_predictions(tmp_path / "text.parquet")
    pd.DataFrame({"gold": ["neutral"]}).to_parquet(tmp_path / "other.parquet")
    with pytest.raises(StudyError, match="columns are gold"):
        read_predictions(tmp_path / "other.parquet")


def test_text_that_is_no_text_is_refused(tmp_path):
    path = tmp_path / "predictions.parquet"
    write_predictions(a_frame(), path)
    table = pq.read_table(path)
    broken = pa.array([b"\x80"] * len(table)).view(pa.string())  # pyarrow writes and reads it without a word
    pq.write_table(table.set_column(COLUMNS.index("pred"), "pred", broken), path)
    with pytest.raises(StudyError, match=r"not a readable Parquet file .*UTF8"):
        read_predictions(path)


def test_answers_from_before_premises_were_named_are_to_be_made_again(tmp_path):
    a_frame().drop(columns="premise_id").to_parquet(tmp_path / "old.parquet")
    with pytest.raises(StudyError, match=r"pair_id, genre, gold.*expected .*premise_id.*; make the file again"):
        read_predictions(tmp_path / "old.parquet")
