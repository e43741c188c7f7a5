"""Preflight in the real workflow: before a paper-scale run, by itself, and at no other time."""

import json
import os
import re
from pathlib import Path

import pytest
from workflow.conftest import planned_jobs, snakemake

TOKEN = "hf_abcdefghijklmnopqrstuvwxyz"
CLOSED = "http://127.0.0.1:9"  # a hub that refuses the connection


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """A machine with a token, but no GPU and no network: Snakemake's arguments for a paper-scale run on it."""
    (tmp_path / "bin").mkdir()
    driver = tmp_path / "bin/nvidia-smi"
    driver.write_text("#!/bin/sh\necho 'No devices were found'\nexit 6\n")
    driver.chmod(0o755)
    monkeypatch.setenv("PATH", f"{driver.parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("HF_ENDPOINT", CLOSED)
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    return ["--config", "scale=paper", f"results={tmp_path}/results", f"cache={tmp_path}/cache"]


def files_below(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def red_lines(output: str) -> list[str]:
    return re.findall(r"^fail +(\w+)", output, flags=re.MULTILINE)


def red_anywhere(output: str) -> set[str]:
    """The red lines, except two that depend on the test machine: free disk, and torch's build (CPU or CUDA)."""
    return set(red_lines(output)) - {"disk", "versions"}


def test_paper_run_without_a_gpu_stops_before_any_job(machine, tmp_path):
    done = snakemake("--cores", "1", *machine, check=False)
    assert done.returncode == 1
    assert red_anywhere(done.stdout) == {"gpu", "network"}
    assert "none: nvidia-smi failed with exit status 6: No devices were found" in done.stdout
    assert f"error: preflight: {', '.join(red_lines(done.stdout))} failed; nothing was started" in done.stdout
    assert "Traceback" not in done.stdout
    assert "Some jobs failed" not in done.stdout
    assert TOKEN not in done.stdout
    assert files_below(tmp_path / "results") == [
        *("paper/.lock", "paper/logs/jobs.jsonl", "paper/preflight.json", "paper/status.html")
    ]
    record = (tmp_path / "results/paper/preflight.json").read_text()
    assert json.loads(record)["verdict"] == "fail"
    assert TOKEN not in record


def test_by_itself_it_shows_the_lines_and_fails_where_one_is_red(machine, tmp_path):
    done = snakemake("--cores", "1", "preflight", *machine, check=False)
    assert done.returncode == 1
    assert done.stdout.count("fail     gpu") == 1
    assert red_anywhere(done.stdout) == {"gpu", "network"}
    assert f"error: preflight: {', '.join(red_lines(done.stdout))} failed" in done.stdout
    assert "Some jobs failed" not in done.stdout
    assert TOKEN not in done.stdout
    for name in files_below(tmp_path / "results"):
        assert TOKEN not in (tmp_path / "results" / name).read_text()


def test_jobs_sent_elsewhere_need_no_gpu_here(machine):
    done = snakemake("--executor", "slurm", "--jobs", "1", *machine, check=False)
    assert "skipped  gpu         checked on the node" in done.stdout
    assert red_anywhere(done.stdout) == {"network"}
    assert f"error: preflight: {', '.join(red_lines(done.stdout))} failed" in done.stdout


def test_gpu_that_is_asked_for_by_gres_is_a_gpu(machine, tmp_path, decoder_folder):
    """Nothing is fetched here, so only the GPU jobs require preflight, as with `gpu_dialect: gres`."""
    source = tmp_path / "none"
    source.mkdir()
    for name in ("train", "validation_matched", "validation_mismatched"):
        (source / f"{name}.jsonl").write_text(json.dumps({"premise": "a", "hypothesis": "b", "label": "neutral"}))
    own = [f"data={{source: files, path: {source}}}", "only=[icl/prompt1]"]
    model = f"models={{decoder: {{source: path, name: {decoder_folder}}}}}"
    gres = ["--set-resources", "predict_icl:gpu=0", "predict_icl:gres=gpu:1"]
    done = snakemake("--cores", "1", *gres, *machine, *own, model, check=False)
    assert "gpu" in red_lines(done.stdout)


def test_dry_run_and_jobs_that_start_anywhere_are_not_stopped(machine, tmp_path):
    assert planned_jobs(*machine)["fetch_model"] == 2
    study = f"{tmp_path}/results/paper/study.json"
    snakemake("--cores", "1", study, *machine)
    assert files_below(tmp_path / "results")[-1] == "paper/study.json"
    assert "paper/preflight.json" not in files_below(tmp_path / "results")


def test_rehearsal_starts_where_the_study_does_not(machine, tmp_path, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    done = snakemake("--cores", "1", "rehearse", *machine, "only=[roberta/head_only]")
    assert red_lines(done.stdout) == []
    assert (tmp_path / "results/paper/rehearsal.json").exists()
    assert not (tmp_path / "results/paper/preflight.json").exists()


def test_green_preflight_lets_the_run_go_on(machine, tmp_path, decoder_folder):
    source = tmp_path / "mnli"
    source.mkdir()
    row = {"premise": "It rains.", "hypothesis": "It is wet.", "label": "entailment"}
    for name in ("train", "validation_matched", "validation_mismatched"):
        (source / f"{name}.jsonl").write_text(json.dumps(row) + "\n")
    own = [f"data={{source: files, path: {source}}}", "only=[icl/prompt1]"]
    model = f"models={{decoder: {{source: path, name: {decoder_folder}}}}}"
    raw = f"{tmp_path}/results/paper/data/raw"
    done = snakemake("--cores", "1", raw, *machine, *own, model)
    assert "ok       data" in done.stdout
    assert Path(raw).is_dir()
    assert json.loads((tmp_path / "results/paper/preflight.json").read_text())["verdict"] == "ok"
    again = snakemake("--cores", "1", raw, *machine, *own, model)
    assert "Nothing to be done" in again.stdout  # preflight's output does not make anything rerun
    assert "ok       data" not in again.stdout


def test_demo_is_not_checked_by_itself_and_is_green_when_asked(machine, tmp_path):
    demo = ["scale=demo" if argument == "scale=paper" else argument for argument in machine]
    assert "preflight" not in planned_jobs(*demo)
    snakemake("--cores", "1", f"{tmp_path}/results/demo/study.json", *demo)
    logs = ["logs/fork_server.log", "logs/jobs.jsonl", "logs/write_study.log"]
    assert files_below(tmp_path / "results/demo") == [".lock", *logs, "status.html", "study.json"]
    done = snakemake("--cores", "1", "preflight", *demo)
    assert "ok       gpu         demo scale needs none" in done.stdout
    assert json.loads((tmp_path / "results/demo/preflight.json").read_text())["verdict"] == "ok"


def test_with_containers_it_looks_at_the_machine_and_needs_no_image(machine, tmp_path):
    runtime = tmp_path / "bin/apptainer"
    runtime.write_text("#!/bin/sh\n[ $# = 1 ] && [ $1 = --version ] && echo apptainer version 1.3.4 || exit 70\n")
    runtime.chmod(0o755)
    done = snakemake("--cores", "1", "--use-apptainer", "preflight", *machine, check=False)
    assert "ok       containers  apptainer version 1.3.4" in done.stdout
    assert "skipped  versions    the containers have their own" in done.stdout
    assert red_anywhere(done.stdout) == {"gpu", "network"}
