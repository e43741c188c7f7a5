"""Evaluation sets with their own rows: other column names, two classes, and what is refused."""

import hashlib
import json
import os
import subprocess
import sys

import pandas as pd
import pytest
import yaml
from conftest import ROOT
from unit.hub_server import COMMIT, StoredRepository, error_of

from nli.answering.rows import as_merged
from nli.base.errors import StudyError
from nli.base.labels import LABELS
from nli.data.raw import load_set
from nli.data.sampling import draw_set
from nli.data.splits import merged_labels, read_split, write_split
from nli.measure.metrics import score_rows
from nli.study.resolve import load_study
from nli.study.specs import set_spec

HANS = (
    "gold_label\tsentence1\tsentence2\tpairID\theuristic\n"
    "non-entailment\tThe doctor near the actor danced .\tThe actor danced .\tex0\tsubsequence\n"
    "entailment\tThe actor and the doctor danced .\tThe actor danced .\tex1\tlexical_overlap\n"
    "non-entailment\tThe doctor saw the actor .\tThe actor saw the doctor .\tex2\tlexical_overlap\n"
)
LABELS_OF_HANS = {"entailment": "entailment", "non-entailment": ["neutral", "contradiction"]}


def load_config():
    return yaml.safe_load((ROOT / "config.yaml").read_text())


def study_with(**source):
    config = load_config()
    config["data"]["sets"]["mine"] = {"title": "Mine", "source": source}
    return load_study(config)


def spec_of(**source):
    return set_spec(study_with(**source), "mine")


def load(tmp_path, **source):
    return load_set("mine", spec_of(**source)["source"], tmp_path)


def test_set_of_two_classes_counts_both_other_labels_as_one(tmp_path):
    (tmp_path / "hans.txt").write_text(HANS)
    spec = spec_of(path=str(tmp_path / "hans.txt"), columns={"genre": "heuristic"}, labels=LABELS_OF_HANS)
    raw = load_set("mine", spec["source"], tmp_path)
    train = raw.frames["mine"].iloc[[0]]
    frame, description = draw_set("mine", raw, train, spec["examples"], spec["seed"])
    write_split(frame, tmp_path / "mine.parquet", spec["merged"])

    rows = read_split(tmp_path / "mine.parquet")
    assert [LABELS[label] for label in rows["label"]] == ["neutral", "entailment", "neutral"]
    assert rows["genre"].tolist() == ["subsequence", "lexical_overlap", "lexical_overlap"]
    assert rows["pair_id"].tolist() == ["ex0", "ex1", "ex2"]
    assert description["warnings"] == [
        "mine: 1 of 3 pairs are also in the training data, 1 of them in the rows drawn for train; all rows are kept"
    ]

    merged = merged_labels(tmp_path / "mine.parquet")
    gold = [LABELS[label] for label in rows["label"]]
    frame = pd.DataFrame({"gold": gold, "pred": ["contradiction", "contradiction", None]})
    frame[["genre", "premise_id"]] = rows[["genre", "premise_id"]]
    frame[[f"logp_{label}" for label in LABELS]] = float("nan")
    counted = as_merged(frame, merged)
    assert counted["pred"].tolist()[:2] == ["neutral", "neutral"]
    assert pd.isna(counted["pred"].iloc[2])
    assert score_rows(counted)["correct"] == 1
    assert score_rows(frame)["correct"] == 0


def test_set_of_three_classes_merges_nothing(tmp_path):
    (tmp_path / "anli.jsonl").write_text(
        json.dumps({"uid": "u1", "context": "It rains.", "hypothesis": "It is wet.", "label": "e"}) + "\n"
    )
    source = {
        "path": str(tmp_path / "anli.jsonl"),
        "columns": {"premise": "context", "pair_id": "uid"},
        "labels": {"e": "entailment", "n": "neutral", "c": "contradiction"},
    }
    frame = load(tmp_path, **source).frames["mine"]
    assert frame[["pair_id", "premise", "label"]].to_numpy().tolist() == [["u1", "It rains.", 0]]
    write_split(frame, tmp_path / "mine.parquet", spec_of(**source)["merged"])
    assert merged_labels(tmp_path / "mine.parquet") == {}


def test_label_numbers_of_another_order_are_read_as_the_config_says(tmp_path):
    lines = [{"premise": "a", "hypothesis": "b", "label": label} for label in (0, 1, 2)]
    (tmp_path / "set.jsonl").write_text("\n".join(map(json.dumps, lines)))
    labels = {0: "contradiction", 1: "neutral", 2: "entailment"}
    frame = load(tmp_path, path=str(tmp_path / "set.jsonl"), labels=labels).frames["mine"]
    assert [LABELS[label] for label in frame["label"]] == ["contradiction", "neutral", "entailment"]


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ({}, "takes either 'path', or 'name', 'revision' and 'file'"),
        ({"path": "a.jsonl", "name": "owner/set"}, "takes either 'path'"),
        ({"name": "owner/set", "revision": "0" * 40}, "takes either 'path'"),
        ({"path": "a.jsonl", "labels": {"x": ["neutral", "contradiction"], "y": "neutral"}}, "'neutral' is in two"),
        ({"path": "a.jsonl", "labels": {"x": "maybe"}}, "labels"),
        ({"path": "a.jsonl", "columns": {"text": "context"}}, "columns"),
    ],
)
def test_source_of_a_set_that_makes_no_sense_is_refused_by_its_key(source, said):
    with pytest.raises(StudyError, match=r"data\.sets\.mine\.source") as refused:
        study_with(**source)
    assert said in str(refused.value)


def test_sets_that_are_drawn_from_the_data_have_to_be_there_and_no_other_may_be():
    config = load_config()
    config["data"]["sets"]["second"] = {"title": "Second", "source": "validation_matched"}
    with pytest.raises(StudyError, match="'second' needs its own rows"):
        load_study(config)
    del config["data"]["sets"]["second"]
    config["data"]["sets"]["matched"]["source"] = "validation_mismatched"
    with pytest.raises(StudyError, match="needs the set 'matched' with source: validation_matched"):
        load_study(config)


def test_experiment_that_answers_an_unknown_set_is_refused_with_the_nearest_name():
    config = load_config()
    config["families"]["icl"]["evaluation"]["splits"] = ["matchd"]
    with pytest.raises(StudyError, match="unknown name 'matchd'; did you mean 'matched'"):
        load_study(config)


def test_sets_that_every_experiment_answers_are_named_once():
    config = load_config()
    config["evaluation"]["also"] = ["snli", "mismatched"]
    study = load_study({**config, "rungs": "all"})
    assert study.experiments["icl/prompt1"].evaluation.splits == ["matched", "snli", "mismatched"]
    assert study.experiments["roberta/full"].evaluation.splits == ["matched", "mismatched", "snli"]
    assert study.experiments["roberta/full_pairs_0_1"].evaluation.splits == ["matched", "mismatched"]  # a sweep's point
    assert list(study.answered_sets()) == ["snli"]
    config["evaluation"]["also"] = ["snil"]
    with pytest.raises(StudyError, match=r"config\.yaml: evaluation\.also: unknown name 'snil'; did you mean 'snli'\?"):
        load_study(config)


def test_pairs_of_known_labels_tell_a_wrong_order_of_the_labels(tmp_path):
    lines = [{"premise": "a", "hypothesis": "b", "label": label, "pairID": f"p{label}"} for label in (0, 1, 2)]
    (tmp_path / "set.jsonl").write_text("\n".join(map(json.dumps, lines)))
    source = {"path": str(tmp_path / "set.jsonl"), "labels": {0: "contradiction", 1: "neutral", 2: "entailment"}}
    assert len(load(tmp_path, **source, known={"p0": "contradiction", "p2": "entailment"}).frames["mine"]) == 3
    with pytest.raises(StudyError) as refused:
        load(tmp_path, **source, known={"p1": "neutral", "p0": "entailment"})
    assert str(refused.value).endswith(
        "pair 'p0' is known to be entailment, but its label is read as contradiction; "
        "correct config.yaml: data.sets.mine.source.labels"
    )
    with pytest.raises(StudyError, match=r"no labelled pair 'p9'; correct config.yaml: data.sets.mine.source.known"):
        load(tmp_path, **source, known={"p9": "neutral"})


def test_formats_of_the_authors_of_snli_and_anli_are_read(tmp_path):
    snli = {"gold_label": "-", "sentence1": "A.", "sentence2": "B.", "pairID": "1.jpg#1r1n", "annotator_labels": ["x"]}
    lines = [snli, {**snli, "gold_label": "neutral", "pairID": "1.jpg#1r1e"}]
    (tmp_path / "snli.jsonl").write_text("\n".join(map(json.dumps, lines)))
    raw = load(tmp_path, path=str(tmp_path / "snli.jsonl"), known={"1.jpg#1r1e": "neutral"})
    assert raw.frames["mine"][["pair_id", "label"]].to_numpy().tolist() == [["1.jpg#1r1e", 1]]
    assert raw.dropped["mine"] == 1
    anli = {"uid": "u1", "context": "It rains.", "hypothesis": "It is dry.", "label": "c", "reason": ""}
    (tmp_path / "anli.jsonl").write_text(json.dumps(anli))
    labels = {"e": "entailment", "n": "neutral", "c": "contradiction"}
    source = {"path": str(tmp_path / "anli.jsonl"), "columns": {"premise": "context", "pair_id": "uid"}}
    frame = load(tmp_path, **source, labels=labels).frames["mine"]
    assert frame[["pair_id", "premise", "label"]].to_numpy().tolist() == [["u1", "It rains.", 2]]


def test_file_and_rows_that_are_not_as_the_config_says_are_refused(tmp_path):
    path = tmp_path / "hans.txt"
    with pytest.raises(StudyError, match=r"hans\.txt: no such file; correct config.yaml: data.sets.mine.source.path"):
        load(tmp_path, path=str(path))
    path.write_text(HANS)
    with pytest.raises(StudyError, match="line 2: unknown label 'non-entailment'"):
        load(tmp_path, path=str(path))
    with pytest.raises(StudyError, match=r"mine has 3 labelled rows, data.sets.mine.source.rows says 4"):
        load(tmp_path, path=str(path), labels=LABELS_OF_HANS, rows=4)
    with pytest.raises(StudyError, match="no column heuristics"):
        load(tmp_path, path=str(path), labels=LABELS_OF_HANS, columns={"premise": "heuristics"})
    (tmp_path / "hans.xlsx").write_text(HANS)
    with pytest.raises(StudyError, match=r"hans\.xlsx: unknown format"):
        load(tmp_path, path=str(tmp_path / "hans.xlsx"))


def fetch_from_hub(hub, tmp_path, rows, file):
    """The real script, on a set of a stand-in hub; training rows are the set's second."""
    spec = spec_of(name="owner/hans", revision=COMMIT, file=file, labels=LABELS_OF_HANS)
    (tmp_path / "spec.json").write_text(json.dumps(spec))
    write_split(rows.iloc[:3].assign(premise_id=["a", "b", "c"]), tmp_path / "train.parquet")
    files = {"spec": "spec.json", "train": "train.parquet", "rows": "hans.parquet", "description": "hans.json"}
    options = [part for name, path in files.items() for part in (f"--{name}", path)]
    command = [sys.executable, ROOT / "scripts/fetch_set.py", "--name", "mine", *options]
    kept = {key: value for key, value in os.environ.items() if not key.startswith("HF_")}
    environment = {**kept, "HOME": str(tmp_path), "NO_PROXY": "*", "HF_ENDPOINT": hub.address}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    return subprocess.run(command, cwd=tmp_path, env=environment, text=True, **pipes)


def test_set_on_the_hub_is_fetched_at_its_commit_and_described_with_its_hash(hub, rows, tmp_path):
    content = HANS.encode()
    hub.repositories["datasets/owner/hans"] = StoredRepository({"hans.txt": content, "code.py": b"import os"}, COMMIT)
    done = fetch_from_hub(hub, tmp_path, rows, "hans.txt")
    assert done.returncode == 0, done.stdout
    assert hub.downloads() == ["hans.txt"]
    assert [LABELS[label] for label in read_split(tmp_path / "hans.parquet")["label"]] == [
        "neutral", "entailment", "neutral",
    ]  # fmt: skip
    assert merged_labels(tmp_path / "hans.parquet") == {"contradiction": "neutral"}
    described = json.loads((tmp_path / "hans.json").read_text())
    assert (described["source"], described["revision"]) == ("hub owner/hans", COMMIT)
    assert described["sha256"] == {"hans.txt": hashlib.sha256(content).hexdigest()}
    assert (described["split"]["n"], described["dropped"], described["warnings"]) == (3, 0, [])


def test_file_that_a_data_set_on_the_hub_lacks_is_named_with_its_key(hub, rows, tmp_path):
    hub.repositories["datasets/owner/hans"] = StoredRepository({"other.txt": b""}, COMMIT)
    message = error_of(fetch_from_hub(hub, tmp_path, rows, "hans.txt"))
    assert "has no file hans.txt (it has other.txt)" in message
    assert "correct config.yaml: data.sets.mine.source.file" in message
