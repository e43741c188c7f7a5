"""A full disk and files from the future."""

import os
import time
from collections import namedtuple

import pytest

from nli.launch import surroundings

Usage = namedtuple("Usage", "total used free")


@pytest.mark.parametrize(("free", "said"), [(0, "(0 MB left)"), (49e6, "(49 MB left)"), (51e6, "")])
def test_full_disk_is_named_even_before_the_folder_exists(tmp_path, monkeypatch, free, said):
    asked = []
    monkeypatch.setattr(surroundings.shutil, "disk_usage", lambda path: asked.append(path) or Usage(1e9, 1e9, free))
    line = surroundings.shortage(tmp_path / "results/demo")
    assert said in line
    assert bool(line) == bool(said)
    assert asked == [tmp_path]


def test_only_files_from_the_future_get_another_date(tmp_path):
    now = time.time()
    ages = {"old": -1e6, "fresh": 0, "other_clock": 30, "future": 86_400}
    for name, age in ages.items():
        (tmp_path / name).touch()
        os.utime(tmp_path / name, (now + age, now + age))
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    before = {name: (tmp_path / name).stat().st_mtime for name in ages}
    assert surroundings.date_now(tmp_path) == 1
    assert [name for name in ages if (tmp_path / name).stat().st_mtime != before[name]] == ["future"]
    assert (tmp_path / "future").stat().st_mtime <= time.time()
