"""A file appears whole or not at all."""

import os
import signal
import subprocess
import sys

import pytest
from conftest import ROOT

from nli.base.atomic import delete_partial, whole_file, write_json


def test_file_is_flushed_before_it_takes_its_name_and_its_folder_after(tmp_path, monkeypatch):
    seen = []
    path = tmp_path / "a.json"
    flush = os.fsync
    monkeypatch.setattr(os, "fsync", lambda descriptor: seen.append(path.exists()) or flush(descriptor))
    write_json(path, {"a": 1})
    assert seen == [False, True]
    assert [file.name for file in tmp_path.iterdir()] == ["a.json"]


def test_failed_write_leaves_the_file_as_it_was(tmp_path):
    path = tmp_path / "a.json"
    write_json(path, {"a": 1})
    before = path.read_bytes()
    with pytest.raises(ValueError, match="JSON"):
        write_json(path, {"a": float("nan")})
    with pytest.raises(IsADirectoryError), whole_file(path) as temporary:
        temporary.parent.write_text("a folder is no file")
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["a.json"]


def test_what_a_killed_writer_leaves_is_deleted_and_nothing_else(tmp_path):
    (tmp_path / "run").mkdir()
    code = (
        "import os, signal, sys\nfrom nli.base.atomic import whole_file\n"
        "with whole_file(sys.argv[1]) as temporary:\n"
        "    temporary.write_text('half')\n    os.kill(os.getpid(), signal.SIGKILL)"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "scripts")}
    done = subprocess.run([sys.executable, "-c", code, tmp_path / "run/run.json"], env=environment)
    assert done.returncode == -signal.SIGKILL
    for name in (".lock", "run.json", "run/.snakemake_timestamp"):
        (tmp_path / name).touch()
    assert len([path for path in tmp_path.rglob("*") if path.is_file()]) == 4
    delete_partial(tmp_path)
    found = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()}
    assert found == {".lock", "run.json", "run/.snakemake_timestamp"}
