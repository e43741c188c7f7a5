"""Which commit of the code is running."""

import os
import subprocess
from pathlib import Path

COMMIT_VARIABLE = "NLI_GIT_COMMIT"  # how the workflow tells a container, which has no git


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
