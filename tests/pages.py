"""Parts of the pages in docs/ that a program writes, and the line that says where it ran."""

import platform
import subprocess
import time
from importlib.metadata import version
from pathlib import Path

ROOT = Path(__file__).parents[1]


def machine() -> str:
    """Processor, cores, versions, commit and date, in one line."""
    cpu = next(
        (line.split(":")[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in line),
        platform.processor(),
    )
    cores = subprocess.run(["nproc"], capture_output=True, text=True, check=True).stdout.strip()
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True).stdout
    packages = ", ".join(f"{name} {version(name)}" for name in ("torch", "transformers", "peft", "snakemake"))
    return f"{cpu}, {cores} cores; {packages}; commit {commit.strip()}, {time.strftime('%d %B %Y')}."


def replaced(page: str, name: str, lines: list[str]) -> str:
    """The page with other lines between the marks of a part."""
    start, end = f"<!-- {name} -->", f"<!-- end of {name} -->"
    before, _, rest = page.partition(start)
    return before + "\n".join([start, *lines, "", machine(), end]) + rest.partition(end)[2]
