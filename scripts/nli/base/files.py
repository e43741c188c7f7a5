"""Reading and identifying the small files between the jobs. Writing them whole is `nli.base.atomic`'s work."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nli.base.errors import StudyError


def read_json(path: Path | str) -> Any:
    """The content of a JSON file; StudyError if it is missing, broken or cannot be read."""
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise StudyError(f"{path}: no such file; run the rule that makes it") from None
    except json.JSONDecodeError as error:
        raise StudyError(f"{path}, line {error.lineno}: not JSON ({error.msg}); make it again") from None
    except OSError as error:
        raise StudyError(f"{path}: {error.strerror}; mend its permissions, or make it again") from None


def sha256(path: Path | str) -> str:
    """SHA-256 of a file, in hexadecimal."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def hashed_files(files: Mapping[str, Path]) -> dict[str, dict[str, Any]]:
    """Size in bytes and SHA-256 of each of `files` (name -> file)."""
    return {name: {"size": path.stat().st_size, "sha256": sha256(path)} for name, path in files.items()}


def model_source(folder: Path | str, name: str, revision: str | None) -> dict[str, Any]:
    """`source_record` of a folder that holds the model's files themselves; all of them are hashed."""
    files = {path.name: path for path in sorted(Path(folder).iterdir()) if path.is_file()}
    files = {name: path for name, path in files.items() if name != "source.json" and not name.startswith(".")}
    return source_record(name, revision, hashed_files(files))


def source_record(name: str, revision: str | None, files: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """What source.json records of a base model: id, revision, one hash over all its weights, and each file's own.

    The one hash is that of the lines "<sha256>  <file name>", sorted by name, as
    `sha256sum *.safetensors | sha256sum` has it.

    Args:
        name: what the model is called; no path.
        files: `hashed_files`' table, name -> size and sha256.
    """
    lines = [f"{files[file]['sha256']}  {file}\n" for file in sorted(files) if file.endswith(".safetensors")]
    digest = hashlib.sha256("".join(lines).encode()).hexdigest()
    return {"id": name, "revision": revision, "sha256": digest, "files": dict(files)}
