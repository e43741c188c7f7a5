"""Atomic file writes: a file is written under a temporary name in its folder, flushed to the disk, then renamed."""

import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

PARTIAL = ".partial"  # in the name of a file that is not whole yet, or whose job was killed


@contextmanager
def whole_file(path: Path | str) -> Iterator[Path]:
    """Yield a temporary path in `path`'s folder; rename it to `path` when the block succeeds.

    Creates the folder if it is missing. After an error the temporary file is deleted and `path` is
    unchanged. The temporary name keeps the suffix, because matplotlib chooses the format by it.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.stem}-", suffix=f"{PARTIAL}{path.suffix}", dir=path.parent)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        temporary.chmod(0o644)
        sync(temporary)
        temporary.replace(path)
        with suppress(OSError):  # some network file systems cannot
            sync(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


def sync(path: Path) -> None:
    """Wait until a file, or a folder's list of names, is on the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_text(path: Path | str, text: str) -> None:
    """Write UTF-8 text with plain newlines, whole or not at all."""
    with whole_file(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="\n")


def write_json(path: Path | str, value: Any) -> None:
    """Write JSON (indented, keys in the given order, NaN refused), whole or not at all."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def delete_partial(folder: Path) -> None:
    """Delete what killed jobs left unfinished below `folder`, while nothing is written there."""
    for path in folder.rglob(f".*{PARTIAL}*"):
        path.unlink(missing_ok=True)
