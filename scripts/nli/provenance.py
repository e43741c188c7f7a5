"""The provenance of a result: the code and its commit, the versions of its libraries, and the data."""

import ast
import hashlib
import os
import subprocess
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

from nli.base.files import read_json, sha256

REPOSITORY = Path(__file__).resolve().parents[2]
SCRIPTS = REPOSITORY / "scripts"
COMMIT_VARIABLE = "NLI_GIT_COMMIT"  # the workflow sets it for containers, which have no git
PACKAGES = ("torch", "transformers", "datasets", "peft", "bitsandbytes", "trl", "accelerate", "tokenizers")
PACKAGES += ("scikit-learn",)


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that affect the numbers."""
    found = {"python": ".".join(map(str, sys.version_info[:3]))}
    return {**found, **{name: metadata.version(name) for name in PACKAGES}}


def data_identity(splits: dict[str, Path]) -> dict[str, Any]:
    """The source of the rows and the hash of each split's file."""
    folder = next(iter(splits.values())).parent
    described = folder / "description.json"
    description = read_json(described) if described.exists() else {}
    return {
        "source": description.get("source"),
        "revision": description.get("revision"),
        "sha256": {name: sha256(path) for name, path in splits.items()},
    }


def code_hashes() -> dict[str, str]:
    """The hash of this script and of every library module that it imports, by path in the repository.

    What else the process has loaded, as the fork server has, does not count. Outside a script of the study: the hash of
    every library module that is loaded.
    """
    main = Path(getattr(sys.modules["__main__"], "__file__", None) or ".").resolve()
    if main.is_relative_to(SCRIPTS):
        paths = imported_files(main)
    else:
        modules = [module for name, module in list(sys.modules.items()) if name.split(".")[0] == "nli"]
        paths = {Path(module.__file__).resolve() for module in modules if module.__file__}
    return {str(path.relative_to(REPOSITORY)): code_hash(path) for path in sorted(paths)}


def imported_files(script: Path) -> set[Path]:
    """A script's file and those of the library's modules that it imports, directly or not, even within functions."""
    found, waiting = set(), [script]
    while waiting:
        path = waiting.pop()
        if path in found:
            continue
        found.add(path)
        names = set()
        for node in ast.walk(ast.parse(path.read_bytes())):
            if isinstance(node, ast.Import):
                names |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
        files = [SCRIPTS.joinpath(*name.split(".")).with_suffix(".py") for name in names if name.startswith("nli.")]
        waiting += [file for file in files if file.is_file()]
    return found


def code_hash(path: Path) -> str:
    """A hash of what a Python file does: twelve hexadecimal digits, independent of comments and layout."""
    return hashlib.sha256(ast.dump(ast.parse(path.read_bytes())).encode()).hexdigest()[:12]


def changed_code(recorded: Mapping[str, str], repository: Path) -> list[str]:
    """The files of `code_hashes` that have changed or are gone."""
    paths = {name: repository / name for name in recorded}
    return [name for name, path in paths.items() if not path.exists() or code_hash(path) != recorded[name]]


def finished() -> str:
    """The time at which a job ends, in UTC: "2026-11-28T10:02:03+00:00"."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def git_commit() -> str | None:
    """The commit of the code, with "+" for local changes; None outside a git checkout."""
    if os.environ.get(COMMIT_VARIABLE):
        return os.environ[COMMIT_VARIABLE]
    here = Path(__file__).parent

    def git(*arguments: str) -> str | None:
        try:
            done = subprocess.run(["git", *arguments], cwd=here, capture_output=True, text=True, timeout=10)
        except (OSError, subprocess.TimeoutExpired):
            return None
        return done.stdout.strip() if done.returncode == 0 else None

    commit = git("rev-parse", "HEAD")
    if commit is None:
        return None
    return commit + ("+" if git("status", "--porcelain", "--untracked-files=no") else "")
