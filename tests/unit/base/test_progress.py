"""A long job says how far it is, seldom, and never fails for it."""

import json

from nli.base import progress
from nli.base.progress import NAME, Progress


def test_speed_is_that_since_the_start_or_the_resumption(tmp_path, monkeypatch):
    clock = iter((100.0, 200.0, 201.0, 202.0, 203.0, 207.0, 208.0))  # made, begun, written, asked, asked, written
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(clock))
    writer = Progress(tmp_path / "new")
    writer.begin(40, 60)
    path = tmp_path / "new" / NAME
    assert json.loads(path.read_text()) == {"step": 40, "steps": 60, "seconds_per_step": None}
    writer.advance(41, 60)  # too soon
    assert json.loads(path.read_text())["step"] == 40
    writer.advance(44, 60)
    assert json.loads(path.read_text())["step"] == 40
    writer.advance(46, 60)
    assert json.loads(path.read_text()) == {"step": 46, "steps": 60, "seconds_per_step": 8.0 / 6}
    assert [file.name for file in path.parent.iterdir()] == [NAME]


def test_last_step_is_written_at_once_and_a_folder_that_cannot_be_written_does_no_harm(tmp_path):
    writer = Progress(tmp_path)
    writer.begin(0, 3)
    for step in (1, 2, 3):
        writer.advance(step, 3)
    assert json.loads((tmp_path / NAME).read_text())["step"] == 3
    (tmp_path / "file").touch()
    Progress(tmp_path / "file").begin(0, 3)
