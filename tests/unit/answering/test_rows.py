"""From answers to prediction rows, the fixed sample, batched scoring, and the record of a run."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from transformers import DataCollatorWithPadding
from unit.specs import TOKENIZATION, encoder_spec

from nli.answering.classify import classify
from nli.answering.rows import answer_rows, scored_rows
from nli.base.errors import StudyError
from nli.base.files import model_source, sha256
from nli.data.predictions import COLUMNS, read_predictions, write_predictions
from nli.data.sampling import read_sample
from nli.data.splits import parse_splits, write_split
from nli.jobs.records import model_identity, run_record
from nli.models.encoder import build_encoder, load_tokenizer, tokenize_pairs
from nli.provenance import git_commit

WORDS = {"Yes": "entailment", "Maybe": "neutral", "No": "contradiction"}


def test_smaller_sample_lies_within_a_larger_one_in_the_datas_order(rows, tmp_path):
    path = tmp_path / "matched.parquet"
    write_split(rows, path)
    assert rows["premise_id"].nunique() == 6  # eight rows each
    small, large, whole = (read_sample(path, n, seed=1)["pair_id"].tolist() for n in (5, 20, None))
    assert set(small) < set(large) < set(whole)
    assert large == [pair for pair in whole if pair in set(large)]
    assert read_sample(path, 20, seed=2)["pair_id"].tolist() != large


def test_split_argument_without_a_name_says_how_to_write_it():
    assert parse_splits(["matched=a/b.parquet"]) == {"matched": Path("a/b.parquet")}
    with pytest.raises(StudyError, match="write NAME=FILE"):
        parse_splits(["a/b.parquet"])


def test_unreadable_answer_is_a_null_and_keeps_its_text(rows, tmp_path):
    frame = answer_rows(rows.head(3), "matched", [" Yes", "Banana", " no."], WORDS, "parsed")
    write_predictions(frame, tmp_path / "p.parquet")
    read = read_predictions(tmp_path / "p.parquet")
    assert list(read.columns) == list(COLUMNS)
    assert read["pred"].tolist()[0] == "entailment"
    assert pd.isna(read["pred"].tolist()[1])
    assert read["pred"].tolist()[2] == "contradiction"
    assert read["answer"].tolist() == [" Yes", "Banana", " no."]
    assert read["logp_neutral"].isna().all()


def test_classifier_answers_the_most_probable_class(rows):
    probabilities = np.log([[0.2, 0.5, 0.3], [0.7, 0.2, 0.1]])
    frame = scored_rows(rows.head(2), "mismatched", probabilities)
    assert frame["pred"].tolist() == ["neutral", "entailment"]
    assert frame["gold"].tolist() == ["entailment", "neutral"]
    assert frame["logp_neutral"].tolist() == pytest.approx([np.log(0.5), np.log(0.2)])


def test_batched_scores_match_one_at_a_time_in_the_datas_order(encoder_folder, rows):
    torch.manual_seed(0)
    model = build_encoder(encoder_folder, encoder_spec("full"))
    tokenizer = load_tokenizer(encoder_folder)
    dataset = tokenize_pairs(rows.head(12), tokenizer, TOKENIZATION)
    batched = classify(model, dataset, DataCollatorWithPadding(tokenizer), 5)
    alone = classify(model, dataset, DataCollatorWithPadding(tokenizer), 1)
    assert np.abs(batched - alone).max() < 1e-5
    assert np.exp(batched).sum(axis=1) == pytest.approx(np.ones(12))


def test_record_of_an_untrained_run_has_no_training_and_every_identity(encoder_folder, rows, tmp_path):
    write_split(rows, tmp_path / "matched.parquet")
    (tmp_path / "description.json").write_text(json.dumps({"source": "files", "revision": None}))
    model = build_encoder(encoder_folder, encoder_spec("full"))
    prediction = {"family": "icl", "name": "prompt1", "scale": "demo", "method": "full"}
    splits = {"matched": tmp_path / "matched.parquet"}
    record = run_record(prediction, 7, model, 0.0, 1.5, splits, encoder_folder, None)
    assert (record["family"], record["name"], record["seed"], record["scale"]) == ("icl", "prompt1", 7, "demo")
    total = sum(p.numel() for p in model.parameters())
    assert record["parameters"]["trainable"] == 0
    assert record["parameters"]["frozen"] == record["parameters"]["total"] == total
    assert record["seconds"]["train"] is record["sessions"] is record["energy_kwh"]["train"] is None
    assert record["data"]["sha256"]["matched"] == sha256(tmp_path / "matched.parquet")
    assert record["model"]["sha256"] == model_source(encoder_folder, "x", None)["sha256"]
    assert record["peak_memory_gib"]["process"] > 0.05
    json.dumps(record, allow_nan=False)


def test_identity_of_a_model_is_what_its_source_records_without_each_files_hash(tmp_path):
    (tmp_path / "source.json").write_text('{"id": "hub/model", "revision": "abc", "sha256": "00", "files": {}}')
    assert model_identity(tmp_path) == {"id": "hub/model", "revision": "abc", "sha256": "00"}


def test_commit_is_that_of_the_checkout(root):
    head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=root, capture_output=True, text=True).stdout.strip()
    if not head:
        pytest.skip("not a git checkout")
    assert git_commit().rstrip("+") == head


def test_error_of_a_script_is_one_line_on_standard_error(root, tmp_path):
    command = [sys.executable, "scripts/score.py", "--predictions", str(tmp_path / "none.parquet")]
    command += ["--spec", str(tmp_path / "none.json"), "--seed", "1", "--split", "matched=none.parquet"]
    command += ["--run", str(tmp_path / "none.json"), "--output", str(tmp_path / "out.json")]
    command += ["--card", str(tmp_path / "README.md")]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr.startswith("error: ")
    assert len(done.stderr.strip().splitlines()) == 1
    assert not (tmp_path / "out.json").exists()
