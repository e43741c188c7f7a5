"""A file appears whole or not at all."""

import os

import pytest

from nli.base.atomic import whole_file, write_json


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
