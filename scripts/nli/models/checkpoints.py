"""Whole checkpoints: each has a manifest of its parts, written last, and is resumed from only if every part matches.

Trainer itself resumes without a word from a checkpoint that lacks its optimizer, scheduler or random numbers, to other
weights than those of an undisturbed training.
"""

import json
import re
import shutil
from pathlib import Path

from nli.base.atomic import sync, whole_file
from nli.base.files import hashed_files

MANIFEST = "manifest.json"
PARTS = ("model.safetensors", "optimizer.pt", "scheduler.pt", "rng_state.pth", "trainer_state.json")
KEPT = 2  # checkpoints: where the newest is damaged, the one before it is used


def seal(checkpoint: Path) -> None:
    """Record the size and the SHA-256 of a new checkpoint's parts, once they are on the disk."""
    parts = parts_of(checkpoint)
    for path in parts.values():
        sync(path)
    with whole_file(checkpoint / MANIFEST) as temporary:
        temporary.write_text(json.dumps(hashed_files(parts), indent=2), encoding="utf-8")
    sync(checkpoint.parent)


def parts_of(checkpoint: Path) -> dict[str, Path]:
    """The files that a manifest lists, by name: all but itself and hidden ones."""
    files = {path.name: path for path in sorted(checkpoint.iterdir()) if path.is_file()}
    return {name: path for name, path in files.items() if name != MANIFEST and not name.startswith(".")}


def damage(checkpoint: Path) -> str | None:
    """Why a checkpoint must not be resumed from; None if its parts are those of its manifest."""
    try:
        recorded = json.loads((checkpoint / MANIFEST).read_text(encoding="utf-8"))
        if not (isinstance(recorded, dict) and recorded.keys() >= set(PARTS)):
            return f"{MANIFEST} does not list its parts"
        found = parts_of(checkpoint)
        for name in sorted(recorded.keys() | found.keys()):
            if name not in found:
                return f"{name} is missing"
            if name not in recorded:
                return f"{name} is not in {MANIFEST}"
            if hashed_files({name: found[name]})[name] != recorded[name]:
                return f"{name} is not as {MANIFEST} says"
    except FileNotFoundError:
        return f"{MANIFEST} is missing (the job was killed while it saved?)"
    except OSError as error:
        return f"{Path(error.filename or checkpoint).name} cannot be read ({error.strerror})"
    except (ValueError, RecursionError):
        return f"{MANIFEST} is not JSON"
    return None


def by_step(checkpoints: Path | str) -> list[Path]:
    """The checkpoints in a folder, whole or not, the newest first."""
    found = {
        int(match[1]): path
        for path in Path(checkpoints).glob("checkpoint-*")
        if (match := re.fullmatch(r"checkpoint-(\d+)", path.name)) and path.is_dir()
    }
    return [found[step] for step in sorted(found, reverse=True)]


def last_checkpoint(checkpoints: Path | str) -> Path | None:
    """The newest whole checkpoint; None if there is none. Each newer one is deleted, with a line that says why."""
    for path in by_step(checkpoints):
        reason = damage(path)
        if reason is None:
            return path
        print(f"{path} is skipped and deleted: {reason}", flush=True)
        shutil.rmtree(path, ignore_errors=True)
    return None


def delete_oldest(checkpoints: Path | str) -> None:
    """Keep the newest checkpoints.

    Trainer does so by the time of their files, before the newest is whole, and after a clock was set back deletes it.
    """
    for path in by_step(checkpoints)[KEPT:]:
        shutil.rmtree(path, ignore_errors=True)
