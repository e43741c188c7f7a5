"""The lock of a results folder: who is kept out, who may go on, and what is said."""

import errno
import fcntl
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT

from nli.base.errors import StudyError
from nli.launch import folder_lock

TAKE = """
import sys
from pathlib import Path
from nli.launch import folder_lock
print(folder_lock.take(Path(sys.argv[1]), "mark", ""), flush=True)
sys.stdin.read()
"""
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT / "scripts")}
PIPES = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}


@pytest.fixture
def folder(tmp_path) -> Path:
    return tmp_path / "results/demo"


def started(folder: Path) -> subprocess.Popen:
    """A process that takes the lock and keeps it until its input ends."""
    return subprocess.Popen([sys.executable, "-c", TAKE, str(folder)], env=ENVIRONMENT, **PIPES)


def record(folder: Path, **changes) -> str:
    """Write the record of a killed owner; returns it."""
    owner = {"run": "none", "host": "here", "kernel": "k", "process": 7, "started": "then", "folder": "/x"}
    owner |= {"submitted": "", **changes}
    folder.mkdir(parents=True, exist_ok=True)
    (folder / ".lock").write_text(json.dumps(owner))
    return (folder / ".lock").read_text()


@pytest.fixture
def here(monkeypatch):
    monkeypatch.setattr(folder_lock.socket, "gethostname", lambda: "here")
    monkeypatch.setattr(folder_lock, "this_kernel", lambda: "k")


def test_lock_keeps_others_out_until_its_run_ends(folder):
    with started(folder) as first:
        assert first.stdout.readline() == "None\n"
        with pytest.raises(StudyError, match=f"another run writes here: process {first.pid} on .* in {Path.cwd()}"):
            folder_lock.take(folder, "mark", "")
        with pytest.raises(StudyError, match="another run writes here"):
            folder_lock.unlock(folder)
        first.stdin.close()
    with started(folder) as second:
        assert second.stdout.readline() == "None\n"
        second.stdin.close()


def test_lock_of_a_killed_run_is_taken_over_with_a_line(folder):
    with started(folder) as first:
        first.stdout.readline()
        first.kill()
    with started(folder) as second:
        assert f"goes on after a run that was killed (process {first.pid} on" in second.stdout.readline()
        second.stdin.close()
    assert (folder / ".lock").read_text() == ""


def test_killed_process_whose_id_is_in_use_again_is_not_taken_for_the_owner(folder, here):
    record(folder, process=os.getpid())
    assert "was killed" in folder_lock.take(folder, "mark", "")


@pytest.mark.parametrize(
    ("owner", "same"),
    [
        ({}, True),
        ({"kernel": "before the restart"}, True),
        ({"host": "a container"}, True),
        ({"host": "other", "kernel": "other"}, False),
        ({"host": "other", "kernel": ""}, False),
    ],
)
def test_killed_owner_is_named_where_it_may_live_on_another_machine(folder, here, owner, same):
    written = record(folder, **owner)
    if same:
        assert "was killed" in folder_lock.take(folder, "mark", "")
        return
    with pytest.raises(StudyError, match="may still write here: process 7 on other, started at then in /x"):
        folder_lock.take(folder, "mark", "")
    assert (folder / ".lock").read_text() == written
    folder_lock.unlock(folder)
    assert folder_lock.take(folder, "mark", "") is None


@pytest.mark.parametrize(
    ("squeue", "message"),
    [
        ("echo 11; echo 12", r"2 jobs of a killed run .* still in the queue.* \(scancel --name=nli_1\)"),
        ("exit 1", "squeue does not say"),
    ],
)
def test_jobs_of_a_killed_run_that_the_cluster_still_has_are_named(
    folder, here, tmp_path, monkeypatch, squeue, message
):
    program = tmp_path / "squeue"
    program.write_text(f"#!/bin/sh\n{squeue}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    written = record(folder, submitted="nli_1")
    with pytest.raises(StudyError, match=message):
        folder_lock.take(folder, "mark", "")
    assert (folder / ".lock").read_text() == written
    program.write_text("#!/bin/sh\n")
    assert "was killed" in folder_lock.take(folder, "mark", "")


def test_file_system_without_locks_gives_a_warning_and_trusts_no_record(folder, here, monkeypatch, capsys):
    def flock(file, operation):
        raise OSError(errno.ENOSYS, "Function not implemented")

    monkeypatch.setattr(fcntl, "flock", flock)
    assert folder_lock.take(folder, "mark", "") is None
    assert "its file system has no locks; start one run at a time" in capsys.readouterr().err
    with pytest.raises(StudyError, match="another run may still write here"):
        folder_lock.take(folder, "mark", "")


def test_record_that_is_not_whole_is_no_owner(folder):
    record(folder)
    (folder / ".lock").write_text('{"run": "no')
    assert folder_lock.take(folder, "mark", "") is None


def test_record_of_other_code_counts(folder, here):
    record(folder)
    (folder / ".lock").write_text('{"host": "other", "process": 7, "since": 1}')
    with pytest.raises(StudyError, match="may still write here: process 7 on other"):
        folder_lock.take(folder, "mark", "")


def test_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(StudyError, match=r"file/.lock: cannot be written \((File exists|Not a directory)\)"):
        folder_lock.take(tmp_path / "file", "mark", "")
