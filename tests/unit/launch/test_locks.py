"""The lock files and what installs them: only listed files are installed, unless a package is named as unverified.

Packages here are wheels of a few bytes in a folder; the real pip installs them into an empty environment.
"""

import hashlib
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import zipfile
from datetime import date
from pathlib import Path

import pytest
from conftest import ROOT
from packaging.requirements import Requirement

FOLDER = ROOT / "containers"
LOCKS = sorted(FOLDER.glob("*.lock"))


def entries(lock: Path) -> list[str]:
    return [line for line in lock.read_text().replace("\\\n", " ").splitlines() if not line.startswith("#")]


# ------------------------------------------------------------------------------------------------ the lock files


def test_every_locked_package_has_one_version_and_hashes_and_no_address():
    for lock in LOCKS:
        for entry in entries(lock):
            pin, *hashes = re.split(r"\s+--hash=", entry)
            assert [specifier.operator for specifier in Requirement(pin).specifier] == ["=="], entry
            assert hashes, entry
            assert all(re.fullmatch(r"sha256:[0-9a-f]{64}", digest) for digest in hashes), entry
        assert "://" not in lock.read_text()


def test_torch_is_locked_with_the_wheels_of_both_its_builds():
    entry = next(entry for entry in entries(FOLDER / "study.lock") if entry.startswith("torch=="))
    version = entry.split()[0].removeprefix("torch==")
    listed = re.findall(r"^(\w{64})  torch-(\S+?)-", (FOLDER / "torch_cpu.sha256").read_text(), re.MULTILINE)
    assert {local for _, local in listed} == {f"{version}+cpu"}
    assert {digest for digest, _ in listed} < set(re.findall(r"sha256:(\w{64})", entry))


def test_everything_that_is_installed_goes_through_the_hashes():
    for script in ("install.sh", "install_packages.sh"):
        text = (FOLDER / script).read_text()
        assert "install_locked.py" in text
        assert not re.search(r"pip\S* .*install\b", text), script
    for image, needs in (("study", {"install_locked.py", "cuda.lock"}), ("report", {"install_locked.py"})):
        files = re.findall(r"^    containers/(\S+) /opt/nli/\S+$", (FOLDER / f"{image}.def").read_text(), re.MULTILINE)
        assert needs <= set(files)


# ------------------------------------------------------------------------------------------------ installing


@pytest.fixture
def site(tmp_path):
    """A folder of wheels, an empty environment, and the installer with a cuda.lock of its own."""
    for folder in ("wheels", "installer"):
        (tmp_path / folder).mkdir()
    shutil.copy(FOLDER / "install_locked.py", tmp_path / "installer")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path / "environment"], check=True)
    return tmp_path


def wheel(site: Path, name: str, version: str, content: str = "", requires: str = "") -> str:
    """Write a wheel to the site's folder; returns its lock entry."""
    path = site / f"wheels/{name}-{version}-py3-none-any.whl"
    info = f"{name}-{version}.dist-info"
    metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr(f"{name}.py", content)
        file.writestr(f"{info}/METADATA", metadata + (f"Requires-Dist: {requires}\n" if requires else ""))
        file.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        file.writestr(f"{info}/RECORD", f"{name}.py,,\n{info}/METADATA,,\n{info}/WHEEL,,\n{info}/RECORD,,\n")
    return f"{name}=={version.split('+')[0]} \\\n    --hash=sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}\n"


def install(site: Path, *options: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Install site/lock from the site's folder of wheels alone."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PIP_")}
    environment |= {"PIP_CONFIG_FILE": os.devnull, "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(site / "wheels")}
    command = [sys.executable, site / "installer/install_locked.py", "--python", site / "environment/bin/python"]
    return subprocess.run(
        [*command, *options, site / "lock"], env={**environment, **variables}, capture_output=True, text=True
    )


def installed(site: Path) -> list[str]:
    """Name and version of each package in the environment."""
    return sorted(path.name.removesuffix(".dist-info") for path in site.glob("environment/lib/*/*/*.dist-info"))


def test_listed_files_are_installed_and_nothing_else(site):
    lock = wheel(site, "one", "1.0") + wheel(site, "two", "2.0")
    wheel(site, "one", "1.1")
    (site / "lock").write_text(f"# made\n{lock}")
    done = install(site)
    assert done.returncode == 0, done.stderr
    assert installed(site) == ["one-1.0", "two-2.0"]


def test_changed_file_is_refused_until_its_package_is_named(site):
    (site / "lock").write_text(wheel(site, "one", "1.0") + wheel(site, "two", "2.0"))
    wheel(site, "two", "2.0", content="print('not what was locked')")
    done = install(site)
    assert done.returncode == 1
    assert "two==2.0" in done.stderr
    assert done.stderr.splitlines()[-1].startswith("error: the files above are not those that the lock files list")
    assert "NLI_UNVERIFIED=NAME" in done.stderr.splitlines()[-1]
    assert installed(site) == []
    done = install(site, NLI_UNVERIFIED="Two")
    assert done.returncode == 0, done.stderr
    assert "without hashes: two" in done.stdout
    assert installed(site) == ["one-1.0", "two-2.0"]


def test_entry_without_a_hash_is_refused(site):
    (site / "lock").write_text(wheel(site, "one", "1.0").split()[0] + "\n")
    assert install(site).returncode == 1
    assert installed(site) == []


@pytest.mark.parametrize(
    ("variant", "expected"),
    [
        ("auto", ["torch-2.13.0+cpu"]),
        ("cpu", ["torch-2.13.0+cpu"]),
        ("cuda", ["nvidia_cublas-13.1", "torch-2.13.0"]),
    ],
)
def test_each_build_of_torch_brings_what_it_requires(site, variant, expected):
    builds = [wheel(site, "torch", "2.13.0", requires="nvidia-cublas"), wheel(site, "torch", "2.13.0+cpu")]
    (site / "lock").write_text(builds[0].rstrip() + " \\\n    " + builds[1].split()[-1] + "\n")
    (site / "installer/cuda.lock").write_text(wheel(site, "nvidia_cublas", "13.1"))
    done = install(site, "--torch", variant)
    assert done.returncode == 0, done.stderr
    assert installed(site) == expected


def test_sites_own_build_of_torch_is_refused_until_it_is_named(site):
    (site / "lock").write_text(wheel(site, "torch", "2.13.0"))
    wheel(site, "torch", "2.13.0+site", requires="driver")
    wheel(site, "driver", "1.0")
    assert install(site).returncode == 1
    done = install(site, NLI_UNVERIFIED="torch")
    assert done.returncode == 0, done.stderr
    assert installed(site) == ["driver-1.0", "torch-2.13.0+site"]


def test_requirement_that_no_lock_has_is_named(site):
    (site / "lock").write_text(wheel(site, "one", "1.0", requires="two"))
    done = install(site)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == "error: in no lock file: two (required by one)"


# ------------------------------------------------------------------------------------------------ advisories


def test_allowed_advisory_ends_on_its_day(tmp_path):
    location = importlib.util.spec_from_file_location("audit", FOLDER / "audit.py")
    audit = importlib.util.module_from_spec(location)
    location.loader.exec_module(audit)
    assert audit.allowed(FOLDER / "audit.allow", date(2026, 1, 1)) == []
    path = tmp_path / "audit.allow"
    path.write_text("# made\nPYSEC-2026-1  2026-06-30  the study opens no such file\n")
    assert audit.allowed(path, date(2026, 6, 30)) == ["PYSEC-2026-1"]
    with pytest.raises(SystemExit, match="line 2: PYSEC-2026-1 was allowed until 2026-06-30"):
        audit.allowed(path, date(2026, 7, 1))
    for line in ("PYSEC-2026-1", "PYSEC-2026-1 soon a reason", "PYSEC-2026-1 2026-06-30"):
        path.write_text(line)
        with pytest.raises(SystemExit, match="line 1: not an advisory, a day"):
            audit.allowed(path, date(2026, 1, 1))
