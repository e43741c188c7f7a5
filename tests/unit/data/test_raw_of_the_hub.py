"""The data set, fetched by the real script from a fake hub."""

import hashlib
import io
import json

import pandas as pd
import pytest
from unit.hub_server import COMMIT, StoredRepository, error_of


def parquet(rows: list[tuple[str, str, int]], split: str) -> bytes:
    table = pd.DataFrame(rows, columns=["premise", "hypothesis", "label"])
    table.insert(0, "pairID", [f"{split}{i}" for i in range(len(rows))])
    stream = io.BytesIO()
    table.assign(genre="slate").to_parquet(stream)
    return stream.getvalue()


PAIRS = [("All dogs sleep.", "Some dogs sleep.", 0), ("It rains.", "It is dry.", 2), ("Who?", "Nobody.", -1)]


@pytest.fixture
def data_set(hub):
    files = {
        f"data/{split}-00000-of-00001.parquet": parquet(PAIRS, split)
        for split in ("train", "validation_matched", "validation_mismatched")
    }
    files |= {"README.md": b"# data", "multi_nli.py": b"import os"}
    hub.repositories["datasets/owner/data"] = StoredRepository(files, COMMIT)
    return hub.repositories["datasets/owner/data"]


def fetch_data(fetch, *arguments, **options):
    return fetch("fetch_data.py", *arguments, name="owner/data", **options)


def test_data_set_is_fetched_read_and_recorded_and_no_script_of_it_is(fetch, hub, data_set, tmp_path):
    done = fetch_data(fetch)
    assert done.returncode == 0, done.stdout
    frame = pd.read_parquet(tmp_path / "output/train.parquet")
    assert frame["pair_id"].tolist() == ["train0", "train1"]
    assert frame["label"].tolist() == [0, 2]
    assert "train: 2 rows, 1 unlabelled rows dropped" in done.stdout
    source = json.loads((tmp_path / "output/source.json").read_text())
    assert (source["source"], source["revision"]) == ("hub owner/data", COMMIT)
    assert source["sha256"] == {
        name: hashlib.sha256(content).hexdigest()
        for name, content in data_set.files.items()
        if name.endswith("parquet")
    }
    assert "multi_nli.py" not in hub.downloads()
    assert list((tmp_path / "home").iterdir()) == []
    hub.requests.clear()
    assert fetch_data(fetch, HF_HUB_OFFLINE="1").returncode == 0
    assert hub.requests == []


def test_shards_of_a_split_are_read_in_order_and_other_folders_left_alone(fetch, hub, data_set, tmp_path):
    first, second = parquet(PAIRS[:1], "a"), parquet(PAIRS[1:], "b")
    whole = parquet(PAIRS, "v")
    data_set.files = {
        "mnli/train-00001-of-00002.parquet": second,
        "mnli/train-00000-of-00002.parquet": first,
        "mnli/validation_matched-00000-of-00001.parquet": whole,
        "mnli/validation_mismatched-00000-of-00001.parquet": whole,
        "cola/train-00000-of-00001.parquet": whole,
    }
    assert fetch_data(fetch).returncode == 0
    assert pd.read_parquet(tmp_path / "output/train.parquet")["pair_id"].tolist() == ["a0", "b0"]
    assert hub.downloads().count("train-00000-of-00001.parquet") == 0


def test_data_set_errors_name_the_data_keys(fetch, hub, data_set):
    assert "correct config.yaml: data.revision" in error_of(fetch_data(fetch, revision="f" * 40))
    del data_set.files["data/validation_matched-00000-of-00001.parquet"]
    assert "no folder with the splits train, validation_matched" in error_of(fetch_data(fetch))
    del hub.repositories["datasets/owner/data"]
    assert "correct config.yaml: data.name" in error_of(fetch_data(fetch))


def test_data_set_with_other_counts_than_configured_is_refused(fetch, data_set, tmp_path):
    message = error_of(fetch_data(fetch, "--rows", '{"train": 2, "validation_matched": 3}'))
    assert "validation_matched has 2 labelled rows, data.rows says 3" in message
    assert not (tmp_path / "output/source.json").exists()
    assert fetch_data(fetch, "--rows", '{"train": 2, "validation_matched": 2}').returncode == 0


def test_published_row_with_an_empty_sentence_is_kept(fetch, data_set, tmp_path):
    data_set.files["data/train-00000-of-00001.parquet"] = parquet([("", "Some dogs sleep.", 1), *PAIRS], "train")
    assert fetch_data(fetch).returncode == 0
    assert pd.read_parquet(tmp_path / "output/train.parquet")["premise"].tolist()[0] == ""
