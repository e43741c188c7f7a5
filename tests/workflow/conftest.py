"""Runs of the real workflow, too small to learn anything but covering every path."""

import os
import re
import subprocess
import sys
import zlib
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

import pytest
from conftest import ROOT

SMOKE = ROOT / "tests/workflow/smoke.yaml"


def snakemake(*arguments: str, check: bool = True, profile: str = "none") -> subprocess.CompletedProcess:
    """Run Snakemake in the repository with plain output; returns its standard output and error as one text."""
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run(
        ["snakemake", "--workflow-profile", profile, "--nolock", "--show-failed-logs", *arguments],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=1500,
    )
    if check and done.returncode != 0:
        pytest.fail(f"snakemake {' '.join(arguments)} exited with {done.returncode}:\n{done.stdout[-6000:]}")
    return done


def holds(path: Path, words: Iterable[str]) -> list[str]:
    """Those of the words that a file holds, in a PDF's compressed streams too."""
    content = path.read_bytes()
    if path.suffix == ".pdf":
        for stream in re.findall(rb"stream\r?\n(.*?)endstream", content, re.DOTALL):
            with suppress(zlib.error):
                content += zlib.decompressobj().decompress(stream)
    return [word for word in words if word.encode() in content]


def planned_jobs(*arguments: str) -> dict[str, int]:
    """Rule -> number of jobs that a dry run would start, from Snakemake's own table."""
    output = snakemake("--dry-run", "--quiet", "rules", "--cores", "1", *arguments).stdout
    rows = re.findall(r"^(\w+)\s+(\d+)$", output, flags=re.MULTILINE)
    return {rule: int(count) for rule, count in rows if rule not in ("total", "all")}


@pytest.fixture(scope="session")
def smoke(tmp_path_factory) -> tuple[Path, list[str]]:
    """The whole study, run once: its results folder, and the arguments that select it again."""
    results = tmp_path_factory.mktemp("results")
    arguments = ["--configfile", str(SMOKE), "--config", f"results={results}"]
    snakemake("--cores", "2", *arguments)
    return results / "demo", arguments
