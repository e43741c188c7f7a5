"""Reading and identifying the small files between the jobs. Writing them whole is `nli.atomic`'s work."""

import hashlib
import json
from pathlib import Path
from typing import Any

from nli.errors import StudyError


def read_json(path: Path | str) -> Any:
    """The content of a JSON file; StudyError if it is missing or broken."""
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise StudyError(f"{path}: no such file; run the rule that makes it") from None
    except json.JSONDecodeError as error:
        raise StudyError(f"{path}, line {error.lineno}: not JSON ({error.msg}); make it again") from None


def sha256(path: Path | str) -> str:
    """SHA-256 of a file, in hexadecimal."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def model_source(folder: Path | str, name: str, revision: str | None) -> dict[str, Any]:
    """What is recorded of a base model: id, revision, and one hash over all its weight files.

    The hash is that of the lines "<sha256>  <file name>", sorted, as `sha256sum *.safetensors | sha256sum` has it.
    """
    lines = [f"{sha256(path)}  {path.name}\n" for path in sorted(Path(folder).glob("*.safetensors"))]
    return {"id": name, "revision": revision, "sha256": hashlib.sha256("".join(lines).encode()).hexdigest()}
