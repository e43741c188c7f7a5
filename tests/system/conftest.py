"""A separate checkout, a base image and a site's profile, so that the study's command runs as a user types it."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import ROOT

LEFT_OUT = (
    ".venv",
    ".snakemake",
    "results",
    "results-*",
    "real",
    "cache",
    ".cache",
    "*.sif",
    "__pycache__",
    ".pytest_cache",
    ".ruff_cache",
)


COMMAND = "snakemake --cores 2 --use-singularity"
if "NLI_SYSTEM_STUDY" in os.environ:
    COMMAND += f" --configfile {os.environ['NLI_SYSTEM_STUDY']}"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip tests of containers without Apptainer."""
    if not shutil.which("apptainer"):
        for item in (item for item in items if item.path.name == "test_containers.py"):
            item.add_marker(pytest.mark.skip(reason="no apptainer here; make test-system installs it"))


@pytest.fixture(scope="session")
def workplace() -> Iterator[Path]:
    """A folder that every user of the machine can read, unlike pytest's own."""
    with tempfile.TemporaryDirectory(prefix="nli-system-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        folder.chmod(0o755)
        yield folder


@pytest.fixture(scope="session")
def base(workplace) -> Path:
    """Debian with Python as a folder, for `containers: base:` on a closed network."""
    folder = workplace / "base"
    mirror = subprocess.run(
        ["apt-get", "indextargets", "--format", "$(REPO_URI)", "Created-By: Packages"], capture_output=True, text=True
    ).stdout.split()
    debian = next(uri for uri in mirror if uri.rstrip("/").endswith("/debian"))
    packages = "python3,python3-venv,ca-certificates"
    command = ["mmdebstrap", "--quiet", "--variant=minbase", f"--include={packages}", "bookworm", str(folder), debian]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    for unreadable in ("dev", "var/cache/apt/archives", "var/lib/apt/lists"):  # unreadable in a build without root
        shutil.rmtree(folder / unreadable)
        (folder / unreadable).mkdir()
    return folder


@pytest.fixture(scope="session")
def checkout(workplace) -> Path:
    """The repository without generated files."""
    folder = workplace / "checkout"
    shutil.copytree(ROOT, folder, symlinks=True, ignore=shutil.ignore_patterns(*LEFT_OUT))
    return folder


@pytest.fixture(scope="session")
def environment(workplace, base) -> dict[str, str]:
    """The settings of a user of a closed network: a profile that names the base image."""
    profile = workplace / "profile"
    profile.mkdir()
    (profile / "config.yaml").write_text(f'config: ["containers={{base: {base}}}"]\n')
    home = workplace / "home"
    home.mkdir()
    return {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "SNAKEMAKE_PROFILE": str(profile),
        "APPTAINER_USERNS": "1",  # root runs a container as any user would
        "HOME": str(home),
        "OPENBLAS_CORETYPE": "Prescott",  # not what it would choose by itself, so that a container must be told
    }


@pytest.fixture(scope="session")
def shell(checkout, environment):
    """Run a command in the checkout; returns its output, or fails with the end of it."""

    def run(command: str, seconds: int, **variables: str) -> str:
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", command],
            cwd=checkout,
            env={**environment, **variables},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=seconds,
        )
        if done.returncode != 0:
            pytest.fail(f"{command}\nexited with {done.returncode}:\n{done.stdout[-8000:]}")
        return done.stdout

    return run


@pytest.fixture(scope="session")
def demo(shell, checkout) -> Path:
    """The results folder of the whole demo study, run by one command with images built from scratch.

    NLI_SYSTEM_STUDY names a smaller study (a --configfile).
    """
    shell(COMMAND, seconds=3600)
    return checkout / "results/demo"
