"""Drawing and describing the splits: the original's sizes, disjoint, the same in every run."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from nli.base.errors import StudyError
from nli.data import sampling
from nli.data.raw import RawData, load_files, load_raw, load_synthetic
from nli.data.splits import premise_id

ROOT = Path(__file__).parents[3]
REAL = Path(os.environ.get("NLI_SHARED_DATA", ROOT / "../shared/data")) / "multinli"


def pairs(n, name, hypotheses=1):
    """n pairs, with the given number of consecutive hypotheses for each premise."""
    premises = [f"{name} premise {i // hypotheses}" for i in range(n)]
    return pd.DataFrame(
        {
            "pair_id": [f"{name}-{i}" for i in range(n)],
            "genre": "fiction",
            "premise_id": [premise_id(premise) for premise in premises],
            "premise": premises,
            "hypothesis": [f"{name} hypothesis {i}" for i in range(n)],
            "label": (np.arange(n) % 3).astype("int8"),
        }
    )


def raw_data(n_train=100, n_validation=12, **more):
    frames = {
        "train": pairs(n_train, "train"),
        "validation_matched": pairs(n_validation, "matched"),
        "validation_mismatched": pairs(n_validation, "mismatched"),
    }
    dropped = {"train": 0, "validation_matched": 185, "validation_mismatched": 168}
    return RawData("files", frames={**frames, **more}, dropped=dropped)


def draw(raw, train_fraction=0.5, tune_examples=10, seed=42, **caps):
    return sampling.draw_splits(raw, train_fraction=train_fraction, tune_examples=tune_examples, seed=seed, **caps)


def ids(frame):
    return frame["pair_id"].tolist()


def positions(frame):
    return [int(pair_id.rpartition("-")[2]) for pair_id in frame["pair_id"]]


def test_a_tenth_of_multinli_is_the_reported_39270_rows():
    splits, warnings = draw(raw_data(n_train=392_702), 0.10, 2000)
    assert len(splits["train"]) == 39_270
    assert len(splits["tune"]) == 2000
    assert not set(ids(splits["train"])) & set(ids(splits["tune"]))
    assert len(splits["corpus"]) == 392_702 - 2000
    assert warnings == []


def test_fraction_is_exact_where_floating_point_is_not():
    assert int(0.29 * 100) == 28
    assert sampling.fraction_of(100, 0.29) == 29
    assert sampling.fraction_of(392_702, 0.10) == 39_270
    assert sampling.fraction_of(7, 1.0) == 7


def test_permutation_is_pinned():
    """NumPy guarantees PCG64's raw stream; if it changed, every study would change."""
    assert sampling.shuffled(8, 42, "train").tolist() == [4, 1, 3, 6, 0, 7, 2, 5]
    assert sorted(sampling.shuffled(1000, 0, "tune")) == list(range(1000))


def test_drawn_rows_keep_the_order_of_the_data():
    splits, _ = draw(raw_data(), evaluation_examples=5)
    for split in ("train", "tune", "matched", "mismatched", "corpus"):
        assert positions(splits[split]) == sorted(positions(splits[split]))


def test_draw_depends_on_the_seed_alone():
    first, again, other = (draw(raw_data(), seed=seed)[0] for seed in (1, 1, 2))
    assert ids(first["train"]) == ids(again["train"])
    assert ids(first["train"]) != ids(other["train"])


def test_smaller_training_set_is_part_of_the_larger_and_tune_stays():
    large, small = (draw(raw_data(), train_examples=n)[0] for n in (None, 20))
    assert len(large["train"]) == 50
    assert len(small["train"]) == 20
    assert set(ids(small["train"])) < set(ids(large["train"]))
    assert ids(small["tune"]) == ids(large["tune"])
    whole, _ = draw(raw_data(), train_fraction=1.0)
    assert set(ids(large["train"])) < set(ids(whole["train"]))
    assert ids(whole["tune"]) == ids(large["tune"])


def test_held_out_rows_are_whole_premises_but_for_the_last():
    frame = pairs(90, "matched", hypotheses=3)
    drawn = sampling.draw_premises(frame, 31, 42, "matched")
    assert sorted(drawn["premise_id"].value_counts()) == [1] + [3] * 10
    assert positions(drawn) == sorted(positions(drawn))
    assert positions(drawn) != list(range(31))
    smaller = sampling.draw_premises(frame, 14, 42, "matched")
    assert set(ids(smaller)) < set(ids(drawn))
    assert ids(sampling.draw_premises(frame, 31, 42, "matched")) == ids(drawn)
    assert ids(sampling.draw_premises(frame, 31, 43, "matched")) != ids(drawn)
    assert ids(sampling.draw_premises(frame, 90, 42, "matched")) == ids(frame)


def test_rows_of_a_premise_are_drawn_together_wherever_they_stand():
    frame = pairs(90, "matched", hypotheses=3)
    scattered = frame.iloc[np.arange(90).reshape(30, 3).T.ravel()].reset_index(drop=True)
    drawn = sampling.draw_premises(scattered, 30, 1, "matched")
    assert drawn["premise_id"].value_counts().tolist() == [3] * 10
    assert ids(drawn) == [pair for pair in ids(scattered) if pair in set(ids(drawn))]


def test_drawn_premises_are_pinned():
    """Samples depend on PCG64's raw stream, which NumPy guarantees; if it changed, every sample would change."""
    drawn = sampling.draw_premises(pairs(24, "matched", hypotheses=3), 7, 42, "train")
    # shuffled(8, 42, "train") begins with the premises 4, 1 and 3: rows 12 to 14, 3 to 5 and the first of 9 to 11.
    assert positions(drawn) == [3, 4, 5, 9, 12, 13, 14]


def test_evaluation_examples_caps_each_validation_set():
    splits, _ = draw(raw_data(n_validation=12), evaluation_examples=5)
    assert len(splits["matched"]) == len(splits["mismatched"]) == 5
    assert positions(splits["matched"]) != positions(splits["mismatched"])
    assert len(draw(raw_data(n_validation=12), evaluation_examples=99)[0]["matched"]) == 12


def test_tune_is_drawn_before_train_takes_the_rest():
    splits, warnings = draw(raw_data(n_train=100), train_fraction=1.0, tune_examples=15)
    assert (len(splits["train"]), len(splits["tune"])) == (85, 15)
    assert warnings == ["train has 85 of the 100 rows requested: the others share a premise with tune"]
    splits, warnings = draw(raw_data(n_train=10), train_fraction=0.8, tune_examples=5)
    assert (len(splits["train"]), len(splits["tune"])) == (8, 2)
    assert warnings == ["tune has 2 of the 5 rows requested: it takes at most a fifth of the training rows"]
    assert [len(draw(raw_data(n_train=n), tune_examples=5)[0]["tune"]) for n in (2, 4, 5, 10)] == [1, 1, 1, 2]
    assert draw(raw_data(), train_fraction=1.0, tune_examples=0)[1] == []


def test_no_premise_of_tune_stands_in_train():
    raw = raw_data(train=pairs(90, "train", hypotheses=3))
    splits, warnings = draw(raw, train_fraction=1.0, tune_examples=10)
    assert len(splits["tune"]) == 10
    assert len(splits["train"]) == 90 - 12  # three premises of tune and the other two rows of the fourth
    assert not set(splits["tune"]["premise_id"]) & set(splits["train"]["premise_id"])
    assert warnings == ["train has 78 of the 90 rows requested: the others share a premise with tune"]


def test_tune_of_every_premise_is_an_error():
    raw = raw_data(train=pairs(6, "train", hypotheses=6))
    with pytest.raises(StudyError, match=r"every premise of the 6 training rows.*set data.tune_examples to 0"):
        draw(raw, train_fraction=1.0)


@pytest.mark.skipif(not REAL.is_dir(), reason="no real MultiNLI rows next to the repository")
def test_real_rows_keep_the_premises_of_tune_out_of_train():
    raw = load_files(REAL)
    splits, warnings = draw(raw, train_fraction=1.0, tune_examples=1000)
    shared = set(splits["tune"]["premise_id"]) & set(splits["train"]["premise_id"])
    assert (len(splits["tune"]), len(shared)) == (1000, 0)
    left_out = 39_270 - 1000 - len(splits["train"])
    assert 0 <= left_out < 5  # the other rows of tune's last premise; no premise has more than five
    assert warnings[0].startswith(f"train has {len(splits['train'])} of the 39270 rows requested")
    again, _ = draw(raw, train_fraction=1.0, tune_examples=1000)
    assert all(splits[name].equals(again[name]) for name in splits)
    tenth, warnings = draw(raw, train_fraction=0.1, tune_examples=1000)
    assert len(tenth["train"]) == 3927
    assert ids(tenth["tune"]) == ids(splits["tune"])
    assert not any(warning.startswith(("train has", "tune has")) for warning in warnings)


def test_the_sources_own_tune_and_corpus_are_used():
    raw = raw_data(tune=pairs(30, "tune"), corpus=pairs(200, "corpus"))
    splits, warnings = draw(raw, train_fraction=1.0, tune_examples=30)
    assert ids(splits["train"]) == ids(raw.frames["train"])
    assert ids(splits["tune"]) == ids(raw.frames["tune"])
    assert ids(splits["corpus"]) == ids(raw.frames["corpus"])
    assert warnings == []


def test_validation_pair_in_train_is_kept_and_counted_but_never_in_the_corpus():
    raw = raw_data()
    leaked = raw.frames["validation_matched"].iloc[:3]
    raw.frames["train"] = pd.concat([raw.frames["train"], leaked], ignore_index=True)
    splits, warnings = draw(raw, train_fraction=1.0, tune_examples=0)
    assert warnings == [
        "matched: 3 of 12 pairs are also in the training data, 3 of them in the rows drawn for train; all rows are kept"
    ]
    assert len(splits["train"]) == 103
    assert len(splits["matched"]) == 12
    assert len(splits["corpus"]) == 100


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        ({"train_fraction": 0}, "train_fraction is 0; it takes"),
        ({"train_fraction": 1.5}, "train_fraction is 1.5; it takes"),
        ({"train_fraction": 0.001}, "of 100 training rows is less than one row"),
        ({"tune_examples": -1}, "tune_examples is -1; it takes a whole number from 0"),
        ({"train_examples": 0}, "train_examples is 0; it takes a whole number from 1"),
        ({"evaluation_examples": 0}, "evaluation_examples is 0"),
    ],
)
def test_impossible_sample_is_an_error(request_, message):
    with pytest.raises(StudyError, match=message):
        draw(raw_data(), **request_)


def test_description_counts_labels_words_and_genres():
    frame = pd.DataFrame(
        {
            "genre": ["travel", "fiction", "travel"],
            "premise_id": ["a", "b", "a"],
            "premise": ["one", "one two  three", "one\ttwo"],
            "hypothesis": ["a b c d", "a", "a"],
            "label": [2, 0, 2],
        }
    )
    assert sampling.describe(frame) == {
        "n": 3,
        "premises": 2,
        "labels": {"entailment": 1, "neutral": 0, "contradiction": 2},
        "premise_words": {"mean": 2.0, "median": 2.0, "p95": 3.0, "max": 3},
        "hypothesis_words": {"mean": 2.0, "median": 1.0, "p95": 4.0, "max": 4},
        "genres": {"fiction": 1, "travel": 2},
    }


def test_description_of_an_empty_split_is_valid_json():
    described = sampling.describe(pairs(0, "tune"))
    assert described["n"] == 0
    assert described["premise_words"]["mean"] is None
    json.dumps(described, allow_nan=False)


def run(script, *arguments):
    return subprocess.run(
        [sys.executable, ROOT / "scripts" / script, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
    )


def write_source(folder, n=40):
    folder.mkdir()
    for split in ("train", "validation_matched", "validation_mismatched"):
        rows = pairs(n, "train" if split == "train" else split).drop(columns=["pair_id", "premise_id"])
        rows.to_json(folder / f"{split}.jsonl", orient="records", lines=True)
    unlabelled = '{"premise": "a", "hypothesis": "b", "label": "-", "genre": ""}\n'
    leaked = (folder / "train.jsonl").read_text().splitlines(keepends=True)[0]
    with (folder / "validation_matched.jsonl").open("a") as stream:
        stream.write(unlabelled + leaked)
    return folder


def test_scripts_make_the_same_bytes_twice(tmp_path):
    source = write_source(tmp_path / "source")
    for output in (tmp_path / "first", tmp_path / "second"):
        raw = output / "raw"
        options = ("--source", "files", "--path", source, "--seed", 1, "--output-dir", raw)
        fetched = run("fetch_data.py", *options)
        assert fetched.returncode == 0, fetched.stderr
        sizes = ("--train-fraction", 0.5, "--tune-examples", 8, "--evaluation-examples", 41)
        drawn = run("sample_data.py", "--raw-dir", raw, *sizes, "--seed", 1, "--output-dir", output)
        assert drawn.returncode == 0, drawn.stderr
        assert "warning: matched: 1 of 41 pairs are also in the training data" in drawn.stderr
    files = sorted(path.relative_to(output) for path in output.rglob("*") if path.is_file())
    names = "corpus description matched mismatched raw/source raw/train raw/validation_matched "
    names += "raw/validation_mismatched train tune"
    assert [str(path.with_suffix("")) for path in files] == names.split()
    for path in files:
        assert (tmp_path / "first" / path).read_bytes() == (output / path).read_bytes()

    description = json.loads((output / "description.json").read_text())
    assert description["source"] == "files"
    assert description["dropped"] == {"train": 0, "matched": 1, "mismatched": 0}
    assert description["available"] == {"train": 40, "matched": 41, "mismatched": 40}
    assert description["sampling"]["evaluation_examples"] == 41
    assert list(description["splits"]) == ["train", "tune", "matched", "mismatched"]
    assert [part["n"] for part in description["splits"].values()] == [20, 8, 41, 40]
    assert len(description["warnings"]) == 1


def test_fetch_script_prints_one_line_for_a_bad_file_and_writes_nothing(tmp_path):
    source = write_source(tmp_path / "source")
    (source / "validation_matched.jsonl").write_text('{"premise": "a"\n')
    raw = tmp_path / "raw"
    failed = run("fetch_data.py", "--source", "files", "--path", source, "--seed", 1, "--output-dir", raw)
    assert failed.returncode == 1
    assert failed.stderr.startswith(f"error: {source / 'validation_matched.jsonl'}: line 1: broken")
    assert failed.stderr.count("\n") == 1
    assert not raw.exists()


def test_synthetic_source_brings_its_own_tune_and_corpus(tmp_path):
    sizes = {"train": 60, "tune": 12, "matched": 15, "mismatched": 15, "corpus": 90}
    raw = tmp_path / "raw"
    options = ("--source", "synthetic", "--sizes", json.dumps(sizes), "--seed", 3)
    fetched = run("fetch_data.py", *options, "--output-dir", raw)
    assert fetched.returncode == 0, fetched.stderr
    record = json.loads((raw / "source.json").read_text())
    assert record["source"] == "synthetic"
    assert sorted(record["sha256"]) == sorted(f"{split}.parquet" for split in record["splits"])
    splits, warnings = draw(load_raw(raw), train_fraction=1.0, tune_examples=12)
    assert {split: len(frame) for split, frame in splits.items()} == sizes
    assert warnings == []


def test_demo_has_the_sizes_it_asks_for_and_no_premise_of_tune_elsewhere(config):
    sizes = config["scales"]["demo"]["data"]["synthetic"]
    raw = load_synthetic(sizes, seed=42)
    splits, warnings = draw(raw, train_fraction=1.0, tune_examples=1000)
    assert [len(splits[name]) for name in ("train", "tune", "matched", "mismatched")] == [4500, 1000, 3000, 1500]
    assert warnings == []
    for name in ("train", "matched", "mismatched"):
        assert not set(splits["tune"]["premise_id"]) & set(splits[name]["premise_id"]), name


@pytest.mark.parametrize(
    ("asked", "rows"), [(None, 39270), (0.1, 3927), (0.29, 11388), (1e-6, 1), (100, 100), (50000, 39270)]
)
def test_an_experiment_trains_on_all_rows_a_number_or_a_share_of_them(asked, rows):
    assert sampling.rows_to_train_on(39270, asked) == rows
