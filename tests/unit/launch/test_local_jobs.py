"""Jobs end with the process that started them, and nothing else does."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from conftest import ROOT

from nli.base.errors import StudyError
from nli.launch import local_jobs

# Snakemake's part: watch, then start a job's shell, which starts a process in a session of its own.
STARTER = """
import subprocess
from nli.launch import local_jobs
line = local_jobs.watch("a-mark")
subprocess.run(["bash", "-c", f"{line} (setsid sleep 600 &) ; echo started; sleep 600"])
"""
STUBBORN = "trap '' TERM; echo started; while true; do sleep 0.1; done"


def marked(mark: str, script: str) -> subprocess.Popen:
    """A running shell with the mark of a run."""
    environment = {**os.environ, local_jobs.MARK: mark}
    process = subprocess.Popen(["bash", "-c", script], env=environment, stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "started\n"
    return process


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("import os; os.kill(os.getpid(), 9)", "error: the job was killed; did the machine run out of memory?\n"),
        ("import os; os.kill(os.getpid(), 11)", "error: the job was ended by the signal SEGV\n"),
        ("raise SystemExit(3)", ""),
        ("pass", ""),
    ],
)
def test_log_of_a_killed_job_says_so(tmp_path, code, said):
    (tmp_path / "job.py").write_text(code)
    line = f"set -euo pipefail; {local_jobs.EXPLAINED} python job.py > log 2>&1"
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(["bash", "-c", line], cwd=tmp_path, env={**os.environ, "PATH": path}, capture_output=True)
    plain = subprocess.run([sys.executable, "job.py"], cwd=tmp_path, capture_output=True).returncode
    assert done.returncode == (plain if plain >= 0 else 128 - plain)
    assert (tmp_path / "log").read_text().splitlines()[-1:] == said.splitlines()  # the shell may say so, too


def test_jobs_end_with_a_snakemake_that_is_killed():
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "scripts")}
    starter = subprocess.Popen([sys.executable, "-c", STARTER], env=environment, stdout=subprocess.PIPE, text=True)
    assert starter.stdout.readline() == "started\n"
    watch, shell = psutil.Process(starter.pid).children()
    end = time.monotonic() + 60
    while len(jobs := local_jobs.processes_of("a-mark")) < 2:  # the second has a shell of its own to leave
        assert time.monotonic() < end
    starter.kill()
    starter.wait()
    assert psutil.wait_procs([watch, shell, *jobs], timeout=60)[1] == []


def test_only_the_jobs_of_the_run_are_ended():
    with marked("one", "sleep 600 & echo started; wait") as one, marked("two", "sleep 600 & echo started; wait") as two:
        ended = local_jobs.end_jobs("one")
        other = two.poll()
        assert local_jobs.end_jobs("two") == ended == 2
        assert other is None
        one.wait(timeout=60)  # 0 where its sleep ends first


def test_job_that_does_not_end_by_itself_is_killed(monkeypatch):
    monkeypatch.setattr(local_jobs, "PATIENCE", 0.5)
    with marked("three", STUBBORN) as process:
        assert local_jobs.end_jobs("three") >= 1
        assert process.wait(timeout=60) == -signal.SIGKILL


def test_job_that_cannot_be_ended_is_named(monkeypatch):
    monkeypatch.setattr(local_jobs, "PATIENCE", 0.1)
    monkeypatch.setattr(psutil.Process, "kill", lambda self: None)
    with marked("four", STUBBORN) as process:
        with pytest.raises(StudyError, match=f"do not end .*{process.pid}"):
            local_jobs.end_jobs("four")
        os.kill(process.pid, signal.SIGKILL)
