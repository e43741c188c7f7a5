"""answers.parquet: all runs' answers in one file."""

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from unit.report_fixtures import make_results, run_script

from nli.base.errors import StudyError
from nli.base.files import sha256
from nli.data.all_answers import SCHEMA, read_all_answers, write_all_answers
from nli.data.predictions import COLUMNS, read_predictions

RUNS = {("icl/prompt1", 42): "icl/prompt1/seed42", ("roberta/full", 42): "roberta/full/seed42"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return make_results(tmp_path_factory.mktemp("results"), n=30, only=["icl/prompt1", "roberta/full"])


@pytest.fixture
def written(folder, tmp_path):
    runs = {key: folder / place / "predictions.parquet" for key, place in RUNS.items()}
    rows = write_all_answers(tmp_path / "answers.parquet", runs)
    assert rows == sum(len(read_predictions(path)) for path in runs.values())
    return tmp_path / "answers.parquet"


def test_rows_are_those_of_the_runs_in_their_order(folder, written):
    frame = read_all_answers(written)
    assert list(frame.columns) == SCHEMA.names
    for (experiment, seed), place in RUNS.items():
        rows = frame[(frame["experiment"] == experiment) & (frame["seed"] == seed)].reset_index(drop=True)
        own = read_predictions(folder / place / "predictions.parquet")
        assert rows[list(COLUMNS)].equals(own)
        scores = json.loads((folder / place / "metrics.json").read_text())["results"]
        for (split, scorer), part in rows.groupby(["split", "scorer"]):
            assert part["correct"].sum() == scores[split][scorer]["correct"]
    assert list(dict.fromkeys(frame["experiment"])) == ["icl/prompt1", "roberta/full"]
    assert not frame.loc[frame["pred"].isna(), "correct"].any()
    assert frame["pred"].isna().any()


def test_the_file_names_the_answers_that_it_was_made_from_and_is_the_same_each_time(folder, written, tmp_path):
    used = json.loads(pq.read_schema(written).metadata[b"nli.runs"])
    assert used == {place: sha256(folder / place / "predictions.parquet") for place in RUNS.values()}
    write_all_answers(tmp_path / "again.parquet", {k: folder / v / "predictions.parquet" for k, v in RUNS.items()})
    assert (tmp_path / "again.parquet").read_bytes() == written.read_bytes()


def test_no_run_gives_an_empty_file(tmp_path):
    assert write_all_answers(tmp_path / "none.parquet", {}) == 0
    assert read_all_answers(tmp_path / "none.parquet").empty


@pytest.mark.parametrize(
    ("column", "value", "said"),
    [
        ("correct", None, "its columns or their types"),
        ("correct", True, "correct is True in row"),
        ("pred", "maybe", "roberta/full, seed 42: pred is 'maybe' in row 0"),
        ("pair_id", "twice", "pair_id is 'twice' in row"),
    ],
)
def test_a_file_that_breaks_the_schema_is_refused(written, column, value, said):
    frame = read_all_answers(written)
    if value is None:
        pq.write_table(pa.Table.from_pandas(frame.drop(columns=column), preserve_index=False), written)
    else:
        rows = frame["experiment"] == "roberta/full"
        frame.loc[rows, column] = value
        pq.write_table(pa.Table.from_pandas(frame, schema=SCHEMA, preserve_index=False), written)
    with pytest.raises(StudyError, match=said):
        read_all_answers(written)


def test_what_is_no_parquet_is_refused_in_one_line(tmp_path):
    with pytest.raises(StudyError, match="no such file; rerun to make it"):
        read_all_answers(tmp_path / "answers.parquet")
    (tmp_path / "answers.parquet").write_text("not Parquet")
    with pytest.raises(StudyError, match="not a readable Parquet file"):
        read_all_answers(tmp_path / "answers.parquet")


def test_the_script_collects_every_finished_run_and_refuses_an_edited_one(folder, tmp_path):
    options = ["--results", folder, "--study", folder / "study.json", "--data", folder / "data/description.json"]
    options += ["--reported", "report/reported.yaml", "--output", tmp_path / "answers.parquet"]
    done = run_script("collect_answers.py", *options)
    assert done.returncode == 0, done.stderr
    assert set(read_all_answers(tmp_path / "answers.parquet")["experiment"]) == {"icl/prompt1", "roberta/full"}
    predictions = folder / "icl/prompt1/seed42/predictions.parquet"
    before = predictions.read_bytes()
    predictions.write_bytes((folder / "roberta/full/seed42/predictions.parquet").read_bytes())
    try:
        refused = run_script("collect_answers.py", *options)
    finally:
        predictions.write_bytes(before)
    assert refused.returncode == 1
    assert "icl/prompt1/seed42/predictions.parquet: " in refused.stderr
