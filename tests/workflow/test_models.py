"""The base models as Snakemake gets them: from a fake hub, and from a user's folder."""

import io
import json
import os
import shutil
from pathlib import Path

import pandas as pd
import pytest
import yaml
from conftest import ROOT
from unit.hub_server import Hub, StoredRepository
from workflow.conftest import holds, planned_jobs, snakemake

COMMIT = "89abcdef0123456789abcdef0123456789abcdef"
TOKEN = "hf_secretsecretsecretsecret"
SNAKEMAKE = ROOT / ".snakemake"
HOSTILE = 'it\'s a $(touch ran) `touch ran`; touch ran & "b"'


@pytest.fixture
def folder(encoder_folder, tmp_path):
    own = tmp_path / "own"
    shutil.copytree(encoder_folder, own)
    return own


@pytest.fixture
def hub(encoder_folder, decoder_folder, monkeypatch):
    server = Hub().start()
    server.tokens.add(TOKEN)
    for name, made in (("model", encoder_folder), ("gated", decoder_folder)):
        files = {path.name: path.read_bytes() for path in made.iterdir() if path.name != "source.json"}
        server.repositories[f"models/owner/{name}"] = StoredRepository(files, COMMIT, name == "gated", (TOKEN,))
    monkeypatch.setenv("HF_ENDPOINT", server.address)
    monkeypatch.setenv("NO_PROXY", "*")
    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    yield server
    server.stop()


def encoder(**values: str) -> str:
    return "models={encoder: {" + ", ".join(f"{key}: {value}" for key, value in values.items()) + "}}"


def test_hubs_model_survives_a_deleted_output_in_the_cache(hub, tmp_path):
    config = ["scale=paper", f"results={tmp_path}/results", f"cache={tmp_path}/cache"]
    config.append(encoder(source="hub", name="owner/model", revision=COMMIT))
    model = tmp_path / "results/paper/models/hub/encoder"
    snakemake(str(model), "--cores", "1", "--config", *config)
    assert json.loads((model / "source.json").read_text())["revision"] == COMMIT
    asked = hub.paths("GET")  # preflight checks with HEAD whether the hub answers
    snakemake(str(model), "--cores", "1", "--forcerun", "fetch_model", "--config", *config)  # deletes it first
    assert (model / "model.safetensors").stat().st_size > 0
    assert hub.paths("GET") == asked
    shutil.rmtree(tmp_path / "cache")
    done = snakemake("--dry-run", "--cores", "1", "--config", *config, check=False)
    assert done.returncode != 0
    assert f"{model}: the files that it links to are gone (config.json, " in done.stdout


def parquet(rows: pd.DataFrame) -> bytes:
    stream = io.BytesIO()
    rows.to_parquet(stream)
    return stream.getvalue()


def test_study_on_the_hubs_models_and_data_runs_to_its_report_and_holds_no_token(hub, rows, tmp_path, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    names = [
        f"data/{split}-00000-of-00001.parquet" for split in ("train", "validation_matched", "validation_mismatched")
    ]
    hub.repositories["datasets/owner/data"] = StoredRepository(dict.fromkeys(names, parquet(rows)), COMMIT)
    of_hub = {"source": "hub", "revision": COMMIT}
    study = {
        "results": f"{tmp_path}/results",
        "cache": f"{tmp_path}/cache",
        "only": ["roberta/head_only", "icl/prompt1"],
        "data": {**of_hub, "name": "owner/data", "tune_examples": 0, "rows": None},
        "models": {"encoder": {**of_hub, "name": "owner/model"}, "decoder": {**of_hub, "name": "owner/gated"}},
        "families": {"roberta": {"training": {"epochs": 1}}, "icl": {"evaluation": {"examples": 8}}},
    }
    (tmp_path / "study.yaml").write_text(yaml.safe_dump(study))
    before = set(SNAKEMAKE.rglob("*"))
    said = snakemake(
        "--cores", "2", "--verbose", "--printshellcmds", "--configfile", str(tmp_path / "study.yaml")
    ).stdout
    results = tmp_path / "results/demo"
    for run, model in (("roberta/head_only", "owner/model"), ("icl/prompt1", "owner/gated")):
        record = json.loads((results / run / "seed42/run.json").read_text())
        assert (record["model"]["id"], record["model"]["revision"]) == (model, COMMIT)
        assert record["data"]["revision"] == COMMIT
    assert (results / "report.html").stat().st_size > 10_000
    files = [path for path in {*tmp_path.rglob("*"), *SNAKEMAKE.rglob("*")} - before if path.is_file()]
    assert {"log", "metadata"} <= {path.parent.name for path in files}  # Snakemake's own
    assert [path for path in files if holds(path, [TOKEN])] == []
    assert TOKEN not in said


def test_no_character_of_a_users_folder_reaches_a_shell(folder, rows, tmp_path):
    own = shutil.copytree(folder, tmp_path / HOSTILE / "model")
    for split in ("train", "validation_matched", "validation_mismatched"):
        rows.to_parquet(tmp_path / HOSTILE / f"{split}.parquet")
    study = {
        "results": f"{tmp_path}/results",
        "data": {"source": "files", "path": str(tmp_path / HOSTILE), "rows": None},
        "models": {"encoder": {"source": "path", "name": str(own)}},
    }
    (tmp_path / "study.yaml").write_text(yaml.safe_dump(study))
    made = [f"{tmp_path}/results/demo/{part}" for part in ("models/path/encoder", "data/raw")]
    snakemake(*made, "--cores", "1", "--configfile", str(tmp_path / "study.yaml"))
    assert (Path(made[0]) / "config.json").resolve() == own / "config.json"
    assert any(Path(made[1]).iterdir())
    assert not (ROOT / "ran").exists()


def test_users_model_is_linked_and_linked_again_when_a_file_of_it_changes(folder, tmp_path):
    config = [f"results={tmp_path}/results", encoder(source="path", name=str(folder))]
    model = tmp_path / "results/demo/models/path/encoder"
    assert planned_jobs(str(model), "--config", *config) == {"write_model_spec": 1, "link_model": 1}
    snakemake(str(model), "--cores", "1", "--config", *config)
    assert (model / "config.json").resolve() == folder / "config.json"
    assert "Nothing to be done" in snakemake(str(model), "--dry-run", "--cores", "1", "--config", *config).stdout
    config_file = folder / "config.json"
    config_file.write_text(config_file.read_text() + "\n")
    later = os.stat(model / "source.json").st_mtime + 10
    os.utime(config_file, (later, later))
    assert planned_jobs(str(model), "--config", *config) == {"link_model": 1}


def test_other_folder_of_the_users_takes_the_place_of_the_first_without_snakemakes_records(folder, tmp_path):
    """The links have the same path whatever they point to; the spec says to what, in a second clone too."""
    other = shutil.copytree(folder, tmp_path / "other")
    first = [f"results={tmp_path}/results", encoder(source="path", name=str(folder))]
    model = tmp_path / "results/demo/models/path/encoder"
    snakemake(str(model), "--cores", "1", "--config", *first)
    copy = shutil.copytree(tmp_path / "results", tmp_path / "copy", symlinks=True) / "demo/models/path/encoder"
    for name, jobs in ((folder, {}), (other, {"write_model_spec": 1, "link_model": 1})):
        config = [f"results={tmp_path}/copy", encoder(source="path", name=str(name))]
        assert planned_jobs(str(copy), "--config", *config) == jobs


def test_folder_that_is_no_model_ends_before_any_job_and_names_the_key(folder, tmp_path):
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    for name, message in ((str(folder), "has no safetensors files"), (f"{tmp_path}/none", "no such folder")):
        done = snakemake("-n", "--cores", "1", "--config", encoder(source="path", name=name), check=False)
        assert done.returncode != 0
        assert f"error: config.yaml: models.encoder.name: {name}" in done.stdout
        assert message in done.stdout
        assert "Traceback" not in done.stdout


def test_model_of_random_weights_is_made_of_a_configuration_that_ships(tmp_path):
    config = [f"results={tmp_path}", "only=[roberta/full]", encoder(source="random", name="FacebookAI/roberta-large")]
    jobs = planned_jobs("--config", *config)
    assert jobs["make_random_model"] == 1
    assert "make_model" not in jobs
    done = snakemake("-n", "--cores", "1", "--config", encoder(source="random", name="owner/other"), check=False)
    assert done.returncode != 0
    assert "config.yaml: models.encoder.name: no configuration of owner/other ships with the code" in done.stdout
