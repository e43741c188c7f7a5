"""Runs that are killed and runs that meet: no job is left running, and nobody has to clear a lock."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from conftest import ROOT
from workflow.conftest import SMOKE

from nli.launch.local_jobs import processes_of

ENVIRONMENT = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
ENDLESS = "experiments={roberta/head_only: {training: {epochs: 100000}}}"
TRAINING = "roberta/head_only/seed42/model"
SHORT = "specs/baseline/majority/predict.json"


def plain(results: Path, target: str, *settings: str, options: tuple[str, ...] = ()) -> list[str]:
    """The command as a user types it, with the smoke study's sizes."""
    config = ["--config", f"results={results}", *settings]
    return ["snakemake", "--cores", "1", str(results / "demo" / target), *options, "--configfile", str(SMOKE), *config]


def run(command: list[str], folder: Path = ROOT) -> tuple[int, str]:
    """Exit code, and standard output and error as one text."""
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    done = subprocess.run(command, cwd=folder, env=ENVIRONMENT, timeout=600, **pipes)
    return done.returncode, " ".join(done.stdout.split())


def wait_until(condition, seconds: float = 300) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)


@contextlib.contextmanager
def endless_training(results: Path, *settings: str):
    """A run whose training has begun and never ends: Snakemake's process, and the mark of its jobs."""
    command = plain(results, TRAINING, ENDLESS, *settings)
    streams = dict.fromkeys(("stdout", "stderr"), subprocess.DEVNULL)
    process = subprocess.Popen(
        command, cwd=ROOT, env=ENVIRONMENT, start_new_session=True, **streams,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a shell's background jobs ignore it
    )  # fmt: skip
    try:
        wait_until(lambda: any((results / "demo/checkpoints").rglob("checkpoint-*")) or process.poll() is not None)
        assert process.poll() is None
        yield process, json.loads((results / "demo/.lock").read_text())["run"]
    finally:
        with contextlib.suppress(psutil.Error):
            for child in psutil.Process(process.pid).children(recursive=True):
                child.kill()
        process.kill()
        process.wait()


@pytest.mark.parametrize("fork_server", ["true", "false"])
def test_killed_run_leaves_no_job_and_the_next_one_goes_on(tmp_path, fork_server):
    with endless_training(tmp_path, f"machine={{fork_server: {fork_server}}}") as (process, mark):
        assert processes_of(mark)
        process.send_signal(signal.SIGKILL)
        process.wait()
        wait_until(lambda: not processes_of(mark))
        code, output = run(plain(tmp_path, SHORT))
    assert code == 0, output
    assert f"goes on after a run that was killed (process {process.pid} on" in output
    assert (tmp_path / "demo" / SHORT).exists()
    assert (tmp_path / "demo/.lock").read_text() == ""


def test_jobs_that_outlive_a_killed_run_are_ended_by_the_next(tmp_path):
    with endless_training(tmp_path, "machine={fork_server: false}") as (process, mark):
        watch = next(child for child in psutil.Process(process.pid).children() if mark in child.cmdline())
        watch.kill()
        process.send_signal(signal.SIGKILL)
        process.wait()
        left = processes_of(mark)
        assert left
        code, output = run(plain(tmp_path, SHORT))
    assert code == 0, output
    assert f"ended {len(left)} of its processes, which still ran" in output
    assert not processes_of(mark)


def test_second_run_is_refused_from_any_clone_until_the_first_has_ended(tmp_path):
    results, clone = tmp_path / "results", tmp_path / "clone"
    clone.mkdir()
    for path in (path for path in ROOT.iterdir() if not path.name.startswith(".")):
        (clone / path.name).symlink_to(path)
    with endless_training(results) as (process, mark):
        for options in ((), ("--touch",), ("--unlock",)):
            code, output = run(plain(results, SHORT, options=options), clone)
            assert code == 1
            assert f"demo: another run writes here: process {process.pid} on" in output
            assert f"in {ROOT}. Wait for it or stop it" in output
        assert run(plain(results, SHORT, options=("--dry-run",)), clone)[0] == 0
        os.killpg(process.pid, signal.SIGINT)  # as Ctrl-C does
        process.wait(timeout=300)
        wait_until(lambda: not processes_of(mark))
        code, output = run(plain(results, SHORT), clone)
        assert code == 0, output
        assert "was killed" not in output


def test_run_of_another_machine_is_named_and_forgotten_only_on_demand(tmp_path):
    owner = {"run": "0", "host": "elsewhere", "kernel": "other", "process": 7, "started": "then", "folder": "/there"}
    owner["submitted"] = ""
    lock = tmp_path / "demo/.lock"
    lock.parent.mkdir()
    lock.write_text(json.dumps(owner))
    code, output = run(plain(tmp_path, "study.json"))
    assert code == 1
    assert "may still write here: process 7 on elsewhere, started at then in /there" in output
    assert json.loads(lock.read_text()) == owner
    assert run(plain(tmp_path, "study.json", options=("--unlock",)))[0] == 0
    assert run(plain(tmp_path, "study.json"))[0] == 0
