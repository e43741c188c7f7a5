"""What scoring refuses: files of other runs, edited ones, and answers to other pairs than the study's."""

import json

import numpy as np
import pandas as pd
import pytest
from unit.report_fixtures import describe_run, draw_rows, make_answers, rewrite, score_answers

from nli.base.errors import StudyError
from nli.data.predictions import named_run, write_predictions
from nli.data.run_files import check_trained, read_training, write_training
from nli.data.splits import read_split, write_split

SPEC = {"family": "roberta", "name": "lora"}


@pytest.fixture
def folder(tmp_path):
    rng = np.random.default_rng(3)
    frames = [draw_rows(split, "parsed", "icl", 0.5, 12, rng) for split in ("matched", "mismatched")]
    make_answers(tmp_path, pd.concat(frames))
    return tmp_path


def change_answers(folder, change, named=True):
    path = folder / "predictions.parquet"
    write_predictions(change(pd.read_parquet(path)), path, named_run(path) if named else None)


def as_earlier(folder):
    """Both files as earlier versions wrote them, without what they belong to."""
    change_answers(folder, lambda frame: frame, named=False)
    run = json.loads((folder / "run.json").read_text())
    for key in ("hashes", "predictions", "content_sha256"):
        run.pop(key)
    (folder / "run.json").write_text(json.dumps(run))


def refusal(folder, seed=42):
    done = score_answers(folder, seed)
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "delete it and rerun" in done.stderr
    assert not (folder / "metrics.json").exists()
    return done.stderr


def test_whole_run_is_scored_with_what_it_belongs_to(folder):
    done = score_answers(folder)
    assert done.returncode == 0, done.stderr
    assert (
        json.loads((folder / "metrics.json").read_text())["hashes"]
        == named_run(folder / "predictions.parquet")["hashes"]
    )


def test_same_run_gives_the_same_bytes_though_its_times_differ(folder):
    files = [folder / name for name in ("predictions.parquet", "metrics.json")]
    score_answers(folder)
    before = [path.read_bytes() for path in files]
    frame = pd.read_parquet(files[0])
    make_answers(folder, frame)
    rewrite(folder / "run.json", seconds={"wall": 1.0, "train": None, "evaluation": 0.5})
    score_answers(folder)
    assert [path.read_bytes() for path in files] == before


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"name": "prompt2"}, "run.json: it belongs to icl/prompt2, seed 42, scale demo, not to icl/prompt1"),
        ({"seed": 43}, "run.json: it belongs to icl/prompt1, seed 43"),
        ({"scale": "paper"}, "scale paper, not to"),
        ({"predictions": "0" * 64}, "predictions.parquet: not the answers that run.json beside it records"),
        ({"spec": {}}, "run.json: made with another 'family' than the study's"),
        ({"data": {"source": "x", "revision": None, "sha256": {"matched": "0" * 64}}}, "hashes are not those of its"),
    ],
)
def test_run_that_another_run_wrote_is_refused(folder, change, said):
    rewrite(folder / "run.json", **change)
    assert said in refusal(folder)


def test_edited_run_is_refused(folder):
    path = folder / "run.json"
    path.write_text(path.read_text().replace('"trainable": 0', '"trainable": 1'))
    assert "run.json: edited after it was written" in refusal(folder)


def test_dropped_and_changed_rows_are_refused(folder):
    change_answers(folder, lambda frame: frame.iloc[:-5])
    assert "predictions.parquet: not the answers that run.json beside it records" in refusal(folder)


def test_answers_of_another_run_are_refused(folder):
    path = folder / "predictions.parquet"
    write_predictions(pd.read_parquet(path), path, {**named_run(path), "name": "prompt2"})
    assert "predictions.parquet: it belongs to icl/prompt2" in refusal(folder)


def test_answers_that_name_their_run_wrongly_are_refused(folder):
    path = folder / "predictions.parquet"
    write_predictions(pd.read_parquet(path), path, {"family": "icl"})
    assert "predictions.parquet: name: Field required" in refusal(folder)


def test_answers_to_earlier_rows_are_refused(folder):
    write_split(read_split(folder / "matched.parquet").iloc[1:], folder / "matched.parquet")
    assert f"run.json: it did not answer the rows of {folder / 'matched.parquet'}" in refusal(folder)


def test_files_of_an_earlier_version_are_scored_if_their_pairs_are_the_studys(folder):
    score_answers(folder)
    scores = json.loads((folder / "metrics.json").read_text())
    as_earlier(folder)
    done = score_answers(folder)
    assert done.returncode == 0, done.stderr
    now = json.loads((folder / "metrics.json").read_text())
    assert now["results"] == scores["results"]
    assert now["predictions"] != scores["predictions"]  # without the run's name the file has other bytes


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda frame: frame.iloc[:-5], "mismatched by parsed: 7 of the 12 pairs to answer in"),
        (lambda frame: frame[frame["split"] == "matched"], "the answers on mismatched by parsed are missing"),
        (lambda frame: frame.assign(scorer="first_word"), "the answers on matched by first_word are not in the spec"),
        (lambda frame: frame.assign(pair_id="x" + frame["pair_id"]), "12 of 12 pairs, such as 'xmatched-0', are not"),
        (lambda frame: frame.iloc[::-1], "pair_id of pair 'matched-11' is 'matched-11', not 'matched-0' as in"),
        (lambda frame: frame.assign(gold="neutral"), "gold of pair 'matched-"),
        (lambda frame: frame.assign(premise_id="p"), "premise_id of pair 'matched-0' is 'p', not 'premise-0' as in"),
    ],
)
def test_answers_of_an_earlier_version_to_other_pairs_are_refused(folder, change, said):
    as_earlier(folder)
    change_answers(folder, change, named=False)
    assert said in refusal(folder)


def test_run_of_an_earlier_version_beside_answers_that_name_theirs_is_refused(folder):
    answers = (folder / "predictions.parquet").read_bytes()
    as_earlier(folder)
    (folder / "predictions.parquet").write_bytes(answers)
    assert "predictions.parquet: not the answers that run.json beside it records" in refusal(folder)


@pytest.fixture
def training(tmp_path):
    """training.json and history.json of a training of SPEC under seed 42."""
    (tmp_path / "history.json").write_text("{}")
    record = {**describe_run("roberta", {}, "demo"), "spec": SPEC, "code": {}, "base": None}
    write_training(tmp_path / "training.json", record, 42, [tmp_path / "history.json"])
    return tmp_path / "training.json"


def test_record_of_a_training_is_taken_for_its_own_experiment_and_one_that_borrows_its_adapter(training):
    assert read_training(training, SPEC, 42)["parameters"]["trainable"] == 33_000
    assert read_training(training, {"family": "roberta", "name": "other", "adapter": "roberta/lora"}, 42)


@pytest.mark.parametrize(
    ("spec", "seed", "said"),
    [
        ({**SPEC, "name": "full"}, 42, "it belongs to roberta/lora, seed 42, not to roberta/full, seed 42"),
        ({**SPEC, "adapter": "qlora/attempt2"}, 42, "not to qlora/attempt2, seed 42"),
        (SPEC, 43, "seed 42, not to roberta/lora, seed 43"),
    ],
)
def test_record_of_another_training_is_refused(training, spec, seed, said):
    with pytest.raises(StudyError, match=rf"training\.json: .*{said}; restore it, or delete it"):
        read_training(training, spec, seed)


def test_edited_record_of_a_training_is_refused_and_one_of_an_earlier_version_is_kept(training):
    record = json.loads(training.read_text())
    training.write_text(json.dumps({**record, "sessions": 9}))
    with pytest.raises(StudyError, match="edited after it was written"):
        read_training(training, SPEC, 42)
    training.write_text(json.dumps({k: v for k, v in record.items() if k not in ("content_sha256", "seed", "files")}))
    assert read_training(training, SPEC, 42)["sessions"] == 1


def test_files_of_a_training_are_those_that_it_wrote(training):
    run = {"spec": SPEC, "trained": json.loads(training.read_text())["files"]}
    check_trained(training.parent, run)
    training.with_name("history.json").write_text("{} ")
    with pytest.raises(StudyError, match=r"history\.json: not the file that the training wrote"):
        check_trained(training.parent, run)
    check_trained(
        training.parent, {**run, "spec": {**SPEC, "adapter": "qlora/attempt2"}}
    )  # those of another's training
