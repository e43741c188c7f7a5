"""What made a result: the commit of the code, the versions of its libraries, and the data."""

import os
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

from nli.base.files import read_json, sha256

COMMIT_VARIABLE = "NLI_GIT_COMMIT"  # how the workflow tells a container, which has no git
PACKAGES = ("torch", "transformers", "datasets", "peft", "bitsandbytes", "trl", "accelerate", "tokenizers")
PACKAGES += ("scikit-learn",)


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that decide the numbers."""
    found = {"python": ".".join(map(str, sys.version_info[:3]))}
    return {**found, **{name: metadata.version(name) for name in PACKAGES}}


def data_identity(splits: dict[str, Path]) -> dict[str, Any]:
    """Where the rows came from and the hash of each split's file."""
    folder = next(iter(splits.values())).parent
    described = folder / "description.json"
    description = read_json(described) if described.exists() else {}
    return {
        "source": description.get("source"),
        "revision": description.get("revision"),
        "sha256": {name: sha256(path) for name, path in splits.items()},
    }


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
