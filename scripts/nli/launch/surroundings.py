"""What may be wrong around a run and not in it: a full disk, a clock that was changed."""

import os
import shutil
import time
from pathlib import Path

LITTLE = 50  # MB: with less left, a failed job most likely failed for that
SKEW = 60  # seconds by which the clocks of machines that share a file system may differ


def shortage(folder: Path) -> str:
    """The line for a folder whose disk is full; empty if it is not."""
    place = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    free = shutil.disk_usage(place).free / 1e6
    if free >= LITTLE:
        return ""
    return f"{folder}: its disk is full ({free:.0f} MB left); free some space, then rerun: what is finished stays"


def date_now(folder: Path) -> int:
    """Give the files below `folder` that are dated in the future the present time; how many there were.

    They were written while the clock was wrong. In every run they would seem newer than what was made from them since.
    """
    now, found = time.time(), 0
    for path in folder.rglob("*"):
        if not path.is_symlink() and path.stat().st_mtime > now + SKEW:
            os.utime(path, (now, now))
            found += 1
    return found
