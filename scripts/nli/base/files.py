"""Reads and hashes the small files that jobs exchange. `nli.base.atomic` writes them."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nli.base.errors import StudyError


def read_json(path: Path | str) -> dict[str, Any]:
    """The record in a JSON file; StudyError if it is missing, broken, unreadable or no JSON object."""
    try:
        record = json.loads(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise StudyError(f"{path}: no such file; run the rule that creates it") from None
    except json.JSONDecodeError as error:
        raise StudyError(f"{path}, line {error.lineno}: not JSON ({error.msg}); delete the file and rerun") from None
    except (ValueError, RecursionError):  # not UTF-8, or endless
        raise StudyError(f"{path}: not JSON that can be read; delete the file and rerun") from None
    except OSError as error:
        raise StudyError(f"{path}: {error.strerror}; fix its permissions, or delete it and rerun") from None
    if not isinstance(record, dict):
        raise StudyError(f"{path}: not a record, but {str(record)[:40]}; delete the file and rerun")
    return record


def require_file(path: Path | str, advice: str) -> None:
    """Raise StudyError, with `advice`, unless `path` is a file that can be read."""
    try:
        Path(path).open("rb").close()
    except FileNotFoundError:
        raise StudyError(f"{path}: no such file; {advice}") from None
    except (OSError, ValueError) as error:
        raise StudyError(f"{path}: {getattr(error, 'strerror', error)}; {advice}") from None


def sha256(path: Path | str) -> str:
    """SHA-256 of a file, in hexadecimal."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def content_hash(value: Any) -> str:
    """SHA-256 of what a JSON value says, whatever its layout and the order of its keys."""
    plain = json.loads(json.dumps(value))  # JSON's keys are text, and are to be sorted as such
    return hashlib.sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()


def hashed_files(files: Mapping[str, Path]) -> dict[str, dict[str, Any]]:
    """Size in bytes and SHA-256 of each of `files` (name -> file)."""
    return {name: {"size": path.stat().st_size, "sha256": sha256(path)} for name, path in files.items()}


def model_source(folder: Path | str, name: str, revision: str | None) -> dict[str, Any]:
    """`source_record` of a folder with the model's files; hashes all of them."""
    files = {path.name: path for path in sorted(Path(folder).iterdir()) if path.is_file()}
    files = {name: path for name, path in files.items() if name != "source.json" and not name.startswith(".")}
    return source_record(name, revision, hashed_files(files))


def source_record(name: str, revision: str | None, files: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """What source.json records about a base model: id, revision, one hash over all weights, and one per file.

    The hash over all weights is that of the lines "<sha256>  <file name>", sorted by name, as computed by
    `sha256sum *.safetensors | sha256sum`.

    Args:
        name: the model's name, not a path.
        files: `hashed_files`' table, name -> size and sha256.
    """
    lines = [f"{files[file]['sha256']}  {file}\n" for file in sorted(files) if file.endswith(".safetensors")]
    digest = hashlib.sha256("".join(lines).encode()).hexdigest()
    return {"id": name, "revision": revision, "sha256": digest, "files": dict(files)}
