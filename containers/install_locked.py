"""Install lock files by their hashes: install_locked.py [--torch cpu|cuda] [--python PYTHON] LOCK...

.venv and the images both come here. Nothing is resolved: the locks name every package, and pip takes only files whose
SHA-256 they list. torch's CUDA build then gets its libraries from cuda.lock, next to this file; the CPU build has none.

NLI_UNVERIFIED=NAME,NAME: packages that may differ from their hashes, such as a site's own build of torch. Each is
installed at its locked version from what pip finds, and so is what else it requires.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

CUDA = Path(__file__).with_name("cuda.lock")
MISMATCH = "DO NOT MATCH THE HASHES"  # pip's words
SOURCE_ONLY = {"connection-pool"}  # has no wheel (as lock.sh knows); built with the locks' own setuptools
HASHED = ("--require-hashes", "--no-deps")
WHEELS, SOURCES = (*HASHED, "--only-binary", ":all:"), (*HASHED, "--no-build-isolation")


def read_lock(path: Path) -> list[str]:
    """The entries of a lock file, each on one line: NAME==VERSION [; MARKER] --hash=... --hash=..."""
    lines = path.read_text(encoding="utf-8").replace("\\\n", " ").splitlines()
    return [" ".join(line.split()) for line in lines if line.strip() and not line.startswith("#")]


def name_of(entry: str) -> str:
    """The name of an entry's package, as pip compares names."""
    return canonical(entry.partition("==")[0])


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name.strip()).lower()


def without_hashes(entry: str) -> str:
    return entry.partition(" --hash")[0]


def torch_constraint(python: str | None, variant: str, entries: Iterable[str]) -> str:
    """The constraint that selects a build of the locked torch; `auto` is the one that pip prefers without hashes.

    With hashes pip would prefer an index, which shows them, to a folder of wheels. The CUDA build has no local version,
    which `===` requires; the CPU build has `+cpu`.
    """
    version = next((entry.split()[0].removeprefix("torch==") for entry in entries if name_of(entry) == "torch"), None)
    if version is None:
        return ""
    if variant != "auto":
        return {"cpu": f"torch=={version}+cpu", "cuda": f"torch==={version}"}[variant]
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder, "report.json")
        run_pip(python, "install", "--dry-run", "--no-deps", "--report", str(report), f"torch=={version}")
        chosen = json.loads(report.read_text(encoding="utf-8"))["install"]  # empty if it is installed already
    return f"torch==={chosen[0]['metadata']['version']}" if chosen else ""


def run_pip(python: str | None, *arguments: str) -> None:
    """Run this Python's pip, for another `python` if one is given; SystemExit if it fails."""
    chosen = ["--python", python] if python else []
    command = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", *chosen, *arguments]
    done = subprocess.run(command, stderr=subprocess.PIPE, text=True)
    sys.stderr.write(done.stderr)
    if MISMATCH in done.stderr:
        sys.exit(
            "error: the files above are not those that the lock files list; they were not installed. 'pip config list' "
            "shows where they come from. For builds of your own: NLI_UNVERIFIED=NAME,NAME"
        )
    if done.returncode != 0:
        sys.exit("error: pip could not install the locked packages; its messages are above")


def install(python: str | None, entries: list[str], constraints: list[str], options: Iterable[str] = ()) -> None:
    """Install the entries, if there are any."""
    if not entries:
        return
    with tempfile.TemporaryDirectory() as folder:
        arguments = ["install", *options]
        for option, lines in (("requirement", entries), ("constraint", constraints)):
            file = Path(folder, option)
            file.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
            arguments += [f"--{option}", str(file)]
        run_pip(python, *arguments)


def missing_packages(python: str | None) -> dict[str, str]:
    """The packages that installed ones require and do not find, each with one that requires it."""
    chosen = ["--python", python] if python else []
    command = [sys.executable, "-m", "pip", *chosen, "check"]
    heard = {**os.environ, "PIP_QUIET": "0"}  # else a site's `quiet` would hide the answer
    done = subprocess.run(command, capture_output=True, text=True, env=heard)
    found = re.findall(r"^(\S+) \S+ requires (\S+), which is not installed", done.stdout, re.MULTILINE)
    return {canonical(name): canonical(user) for user, name in found}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("locks", nargs="+", type=Path, metavar="LOCK")
    parser.add_argument("--torch", choices=("auto", "cpu", "cuda"), default="auto", help="which build of torch")
    parser.add_argument("--python", help="Python to install for; default: this one")
    arguments = parser.parse_args()

    entries = list(dict.fromkeys(entry for lock in arguments.locks for entry in read_lock(lock)))
    libraries = read_lock(CUDA) if CUDA.is_file() else []
    constraint = torch_constraint(arguments.python, arguments.torch, entries)
    named = {canonical(name) for name in os.environ.get("NLI_UNVERIFIED", "").split(",")}
    unverified = [without_hashes(entry) for entry in entries if name_of(entry) in named]
    sources = [entry for entry in entries if name_of(entry) in SOURCE_ONLY - named]
    wheels = [entry for entry in entries if name_of(entry) not in SOURCE_ONLY | named]

    install(arguments.python, wheels, [constraint], WHEELS)
    install(arguments.python, sources, [], SOURCES)
    if unverified:
        print(f"NLI_UNVERIFIED: installed without hashes: {', '.join(map(name_of, unverified))}", flush=True)
    install(arguments.python, unverified, [constraint, *map(without_hashes, entries + libraries)])
    missing = missing_packages(arguments.python)
    if missing.keys() & set(map(name_of, libraries)):
        install(arguments.python, libraries, [], WHEELS)
        missing = missing_packages(arguments.python)
    locked = set(map(name_of, entries))
    unmet = [f"{name} (required by {user})" for name, user in missing.items() if user in locked]
    if unmet:
        sys.exit(f"error: in no lock file: {', '.join(unmet)}")


if __name__ == "__main__":
    main()
