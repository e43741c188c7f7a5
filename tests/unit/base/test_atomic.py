"""A file appears whole or not at all."""

import os
import signal
import subprocess
import sys

import pytest
from conftest import ROOT

from nli.base.atomic import delete_partial, whole_file, whole_folder, write_json


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


def test_folder_is_there_whole_or_not_at_all(tmp_path):
    path = tmp_path / "made/model"
    with whole_folder(path) as folder:
        (folder / "layers").mkdir()
        (folder / "layers/one").write_text("1")
        assert not path.exists()
    assert (path / "layers/one").read_text() == "1"
    assert path.stat().st_mode & 0o777 == 0o755
    with pytest.raises(ValueError, match="JSON"), whole_folder(tmp_path / "made/other") as folder:
        write_json(folder / "one.json", float("nan"))
    assert [entry.name for entry in (tmp_path / "made").iterdir()] == ["model"]


def test_folder_that_has_files_keeps_the_others(tmp_path):
    (tmp_path / "model/layers").mkdir(parents=True)
    (tmp_path / "model/layers/old").write_text("old")
    (tmp_path / "model/README.md").write_text("mine")
    with whole_folder(tmp_path / "model") as folder:
        (folder / "layers").mkdir()
        (folder / "layers/one").write_text("1")
    assert (tmp_path / "model/README.md").read_text() == "mine"
    assert [entry.name for entry in (tmp_path / "model/layers").iterdir()] == ["one"]


def test_folder_of_a_killed_job_is_deleted_with_its_partial_files(tmp_path):
    killed = (
        "import os, signal, sys\nfrom nli.base.atomic import whole_folder\n"
        "with whole_folder(sys.argv[1]) as folder:\n"
        "    (folder / 'one').write_text('1')\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "scripts")}
    done = subprocess.run([sys.executable, "-c", killed, str(tmp_path / "model")], env=environment)
    assert done.returncode == -signal.SIGKILL
    assert len(list(tmp_path.iterdir())) == 1
    delete_partial(tmp_path)
    assert list(tmp_path.iterdir()) == []
