"""Available memory on a simulated machine and in a simulated control group."""

from types import SimpleNamespace

import pytest

from nli.machine import memory

GIB = 2**30


@pytest.fixture
def group(tmp_path, monkeypatch):
    """A machine of 64 GiB with 40 available; `group(limit, used, cached)` puts it into a control group."""
    monkeypatch.setattr(memory, "CGROUP", tmp_path)
    monkeypatch.setattr(memory.psutil, "virtual_memory", lambda: SimpleNamespace(available=40 * GIB))
    sizes = {"SC_PAGE_SIZE": 4096, "SC_PHYS_PAGES": 64 * GIB // 4096, "SC_AVPHYS_PAGES": GIB // 4096}
    monkeypatch.setattr(memory.os, "sysconf", sizes.__getitem__)

    def limit_to(limit, used, cached):
        (tmp_path / "memory.max").write_text(f"{limit}\n")
        (tmp_path / "memory.current").write_text(f"{used * GIB}\n")
        (tmp_path / "memory.stat").write_text(f"anon 1\ninactive_file {cached * GIB}\nactive_file 7\n")

    return limit_to


def test_cached_files_count_as_available(group):
    assert memory.available_memory() == 40.0  # not the one GiB that is entirely unused
    assert memory.machine_memory() == 64.0


def test_control_group_leaves_its_limit_less_what_it_holds(group):
    group(16 * GIB, used=10, cached=4)
    assert memory.available_memory() == 10.0  # 16 - (10 - 4)
    assert memory.machine_memory() == 16.0


@pytest.mark.parametrize("limit", ["max", 128 * GIB])
def test_wider_or_no_limit_leaves_the_machines_own_memory(group, limit):
    group(limit, used=10, cached=4)
    assert (memory.available_memory(), memory.machine_memory()) == (40.0, 64.0)
