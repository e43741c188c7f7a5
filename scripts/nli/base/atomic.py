"""Atomic writes: a file or folder is written under a temporary name beside it, flushed to the disk, then renamed."""

import json
import os
import shutil
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


@contextmanager
def whole_folder(path: Path | str) -> Iterator[Path]:
    """Yield a temporary folder beside `path`; rename it to `path` when the block succeeds.

    A job that is killed must not leave half a folder: Snakemake deletes it, but trusts what is left of it if it is
    itself killed meanwhile. If `path` has files already, the new ones are moved to them, one by one.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=f".{path.name}-", suffix=PARTIAL, dir=path.parent))
    try:
        yield temporary
        temporary.chmod(0o755)
        for written in (file for file in temporary.rglob("*") if file.is_file() and not file.is_symlink()):
            sync(written)
        sync(temporary)
        if path.is_dir() and any(path.iterdir()):
            replace_entries(temporary, path)
        else:
            temporary.replace(path)
        with suppress(OSError):  # some network file systems cannot
            sync(path.parent)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def replace_entries(source: Path, target: Path) -> None:
    """Move what is in a folder into another, in place of what has the same names there."""
    for entry in source.iterdir():
        old = target / entry.name
        if old.is_dir() and not old.is_symlink():
            shutil.rmtree(old)
        entry.replace(old)


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
    for path in list(folder.rglob(f".*{PARTIAL}*")):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
