"""How much memory this machine or its control group has, how much is left, and how much this process used."""

import os
import resource
import sys
from pathlib import Path

import psutil

GIB = 2**30
CGROUP = Path("/sys/fs/cgroup")  # where a container sees its own group (version 2)


def machine_memory() -> float | None:
    """Memory in GiB: the machine's, or the control group's limit if lower; None if the system does not report it."""
    try:
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError):
        return None
    limit = group_limit()
    return (memory if limit is None else min(memory, limit)) / GIB


def available_memory() -> float:
    """GiB that a program can still allocate without swapping; the system's file cache counts as free."""
    free, limit = psutil.virtual_memory().available, group_limit()
    return (free if limit is None else min(free, limit - group_use())) / GIB


def group_limit() -> int | None:
    """The control group's limit in bytes; None without one."""
    try:
        limit = (CGROUP / "memory.max").read_text().strip()
    except OSError:
        return None
    return int(limit) if limit.isdigit() else None


def group_use() -> int:
    """Bytes that the control group uses, without file pages that it can give up when memory is short.

    The kernel's `memory.current` counts these as used; the difference is what Kubernetes calls the working set.
    """
    try:
        used = int((CGROUP / "memory.current").read_text())
        pages = dict(line.split() for line in (CGROUP / "memory.stat").read_text().splitlines())
    except OSError:
        return 0
    return max(0, used - int(pages.get("inactive_file", 0)))


def resident_memory() -> float:
    """Peak resident memory of this process, in GiB."""
    scale = 1 if sys.platform == "darwin" else 1024  # ru_maxrss is in bytes on macOS, in KiB elsewhere
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * scale / GIB
