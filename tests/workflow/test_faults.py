"""Faults of the machine around a run: each is one clear message, leaves nothing corrupt, and the rerun works."""

import os
import signal
import subprocess
import time
from pathlib import Path

import psutil
import pytest
from workflow.test_locks import ENDLESS, TRAINING, endless_training, plain, run

from nli.data.predictions import read_predictions

ANSWERS = "baseline/majority/seed42/predictions.parquet"
METRICS = "baseline/majority/seed42/metrics.json"


def mounted(folder: Path, options: str) -> bool:
    """Whether a file system in memory could be mounted, or mounted again with other options."""
    command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
    return subprocess.run(command, capture_output=True).returncode == 0


@pytest.fixture
def small_disk(tmp_path):
    """A results folder on a disk of 400 KB of its own."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if not mounted(folder, "size=400k"):
        pytest.skip("no right to mount a file system here")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def test_full_disk_is_named_and_the_rerun_works_once_there_is_space(small_disk):
    code, output = run(plain(small_disk, "models/made/encoder"))
    assert code != 0
    assert f"{small_disk}/demo: its disk is full (0 MB left); free some space, then rerun" in output
    assert "Traceback" not in output
    whole = {path.name for path in (small_disk / "demo").rglob("*") if path.is_file() and "logs" not in path.parts}
    assert not {name for name in whole if name.startswith(".") and name not in (".lock", ".snakemake_timestamp")}
    assert mounted(small_disk, "remount,size=500m")
    code, output = run(plain(small_disk, METRICS))
    assert code == 0, output
    assert len(read_predictions(small_disk / "demo" / ANSWERS)) == 192


def test_read_only_folder_is_named_before_the_first_job(small_disk):
    assert mounted(small_disk, "remount,ro")
    code, output = run(plain(small_disk, METRICS))
    assert code == 1
    assert f"error: {small_disk}/demo/.lock: cannot be written (Read-only file system)" in output
    assert mounted(small_disk, "remount,rw,size=500m")
    assert run(plain(small_disk, METRICS))[0] == 0


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_folder_without_permission_is_named_before_the_first_job(tmp_path):
    (tmp_path / "demo").mkdir(mode=0o500)
    code, output = run(plain(tmp_path, METRICS))
    assert code == 1
    assert "demo/.lock: cannot be written (Permission denied); fix that, or choose another `results:`" in output
    (tmp_path / "demo").chmod(0o700)
    assert run(plain(tmp_path, METRICS))[0] == 0


def trainings(results: Path) -> list[psutil.Process]:
    """The processes that write the training's log, the youngest last."""
    log, found = str(results / "demo/logs/finetune_roberta/head_only.seed42.log"), []
    for process in psutil.process_iter():
        try:
            if os.readlink(f"/proc/{process.pid}/fd/1") == log:
                found.append(process)
        except OSError:
            pass
    return sorted(found, key=lambda process: process.create_time())


@pytest.mark.parametrize("fork_server", ["true", "false"])
def test_job_that_the_kernel_kills_says_so_in_its_log(tmp_path, fork_server):
    with endless_training(tmp_path, f"machine={{fork_server: {fork_server}}}") as (process, _):
        trainings(tmp_path)[-1].kill()  # as the kernel does when memory runs out
        assert process.wait(timeout=300) != 0
    log = (tmp_path / "demo/logs/finetune_roberta/head_only.seed42.log").read_text()
    assert log.endswith("error: the job was killed; did the machine run out of memory?\n")
    assert not (tmp_path / "demo" / TRAINING).exists()


def test_hung_job_is_ended_at_the_limit_of_its_rule(tmp_path):
    jobs = "machine={fork_server: true, jobs: {gpu_small: {runtime: 1}}}"
    code, output = run(plain(tmp_path, TRAINING, ENDLESS, jobs))
    assert code != 0
    assert "finetune_roberta.py: ended after 1 minutes, the time limit of its rule" in output
    assert "in train" in output  # where it stood


def test_ctrl_c_is_one_message_and_not_a_failure_of_the_jobs(tmp_path):
    with endless_training(tmp_path, "machine={fork_server: false}") as (process, _):
        os.killpg(process.pid, signal.SIGINT)
        assert process.wait(timeout=300) != 0
    log = (tmp_path / "demo/logs/finetune_roberta/head_only.seed42.log").read_text()
    assert log.count("interrupted\n") == 1
    assert "Traceback" not in log
    assert "error: " not in log


def test_results_from_the_future_are_made_again_once_and_not_in_every_run(tmp_path):
    command = plain(tmp_path, METRICS, options=("--max-checksum-file-size", "0"))  # as if every file were large
    assert run(command)[0] == 0
    answers = (tmp_path / "demo" / ANSWERS).read_bytes()
    tomorrow = time.time() + 86400
    os.utime(tmp_path / "demo/data/train.parquet", (tomorrow, tomorrow))
    code, output = run(command)
    assert code == 0
    assert "1 files were dated in the future (was the clock of this machine wrong?)" in output
    assert (tmp_path / "demo" / ANSWERS).read_bytes() == answers
    assert "Nothing to be done" in run(command)[1]
