"""Checks before a launch, in seconds, whether this machine has what the study needs.

Each `check_...` function checks one thing and returns a `Check`. Nothing here changes the machine, and neither the
lines nor the record contain a token or the home folder's name.
"""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any, Literal, TextIO

from packaging.requirements import Requirement
from packaging.version import InvalidVersion, Version

from nli.base.atomic import write_json
from nli.base.errors import StudyError
from nli.hub import cache, needs
from nli.hub.needs import HubItem
from nli.launch import disk
from nli.launch.containers import RUNS
from nli.machine import gpus
from nli.machine.gpus import Gpu
from nli.machine.memory import machine_memory
from nli.study.experiments import UNQUANTIZED
from nli.study.schema import Study

Status = Literal["ok", "warn", "fail", "skipped"]
COLOURS = {"ok": "32", "warn": "33", "fail": "31", "skipped": "2"}  # ANSI: green, yellow, red, dim

RESERVED_GIB = 0.5  # reserved by driver, ECC or firmware: a nominal 16 GB T4 reports 14.6 to 15.0 GiB


@dataclass(frozen=True)
class Check:
    """One line: what was checked, the verdict, what was found and, unless it is ok, what to do."""

    name: str
    status: Status
    found: str
    advice: str = ""


@dataclass(frozen=True)
class Launch:
    """How Snakemake starts the study.

    Args:
        remote: whether jobs run on other machines (SLURM), so that this one needs no GPU.
        containers: whether jobs run in containers.
        gpu_jobs: whether a job of this run requests a GPU.
        fetches: whether a job of this run fetches from the hub if something is missing.
    """

    remote: bool = False
    containers: bool = False
    gpu_jobs: bool = True
    fetches: bool = True


# ---------------------------------------------------------------------------------------------- device


def check_gpu(study: Study, launch: Launch, devices: Sequence[Gpu], problem: str) -> Check:
    """Check for a GPU with the memory that the selected experiments need; `problem` says why `devices` is empty."""
    if launch.remote:
        return Check("gpu", "skipped", "checked on the node: the scheduler gives each GPU job a GPU")
    if not study.machine.has_gpu or not launch.gpu_jobs:
        why = "no job of this run requests one" if study.machine.has_gpu else f"{study.scale} scale needs none"
        return Check("gpu", "ok", f"{devices[0].name}, though {why}" if devices else why)
    sizes = study.machine.gpu_memory
    need, family = max((sizes[experiment.family], experiment.family) for experiment in study.using_models())
    if not devices:
        advice = f"start the study on a machine with an NVIDIA GPU of {need} GiB, or on a cluster (--executor slurm)"
        return Check("gpu", "fail", f"none: {problem}", advice)
    gpu = devices[0]  # the jobs see only the first one (gpus.first_visible)
    if gpu.total is None:
        return Check("gpu", "warn", f"{gpu.name}: memory not reported", f"make sure that it has {need} GiB")
    found = f"{gpu.name}, {gpu.total:.1f} GiB, {gpu.free:.1f} free, driver {gpu.driver}; {family} needs {need} GiB"
    if gpu.total + RESERVED_GIB < need:
        return Check("gpu", "fail", found, "use a larger GPU, or leave those experiments out with only=[...]")
    if gpu.free + RESERVED_GIB < need:
        return Check("gpu", "warn", found, "end the other programs that use this GPU, or jobs may run out of memory")
    return Check("gpu", "ok", found)


def check_bf16(study: Study, launch: Launch, devices: Sequence[Gpu]) -> Check:
    """Check whether the GPU supports the decoder's compute type."""
    if not any(experiment.model == "decoder" for experiment in study.selected()):
        return Check("bf16", "skipped", "no selected experiment uses the decoder")
    asked = study.models.decoder.quantization.compute_dtype
    if launch.remote:
        return Check("bf16", "skipped", f"checked on the node; the config asks for {asked}")
    if not devices or devices[0].capability is None:
        return Check("bf16", "skipped", f"no GPU here; the config asks for {asked}")
    has = devices[0].capability >= gpus.BF16_CAPABILITY
    found = f"compute capability {devices[0].capability}, bfloat16 {'supported' if has else 'not supported'}"
    if asked == "bfloat16" and not has:
        return Check("bf16", "warn", f"{found}: the decoder falls back to float16, as in the original")
    return Check("bf16", "ok", f"{found}; the config asks for {asked}")


def check_machine(study: Study, launch: Launch) -> Check:
    """Check the CPU cores and memory of this machine, or of the container that it runs in."""
    if launch.remote:
        return Check("machine", "skipped", "checked on the node: each job requests its cores and memory")
    if not launch.gpu_jobs:
        return Check("machine", "skipped", "no job of this run trains or answers")
    cores, memory, need = available_cores(), machine_memory(), memory_need(study)
    size = "memory unknown" if memory is None else f"{memory:.1f} GiB of memory"
    found = f"{cores} core{'s' if cores > 1 else ''}, {size}"
    if memory is not None and memory + RESERVED_GIB < need:
        return Check("machine", "fail", found, f"the selected experiments need {need} GiB at {study.scale} scale")
    wanted = study.machine.threads
    if cores < wanted:
        return Check("machine", "warn", found, f"a job takes {wanted} cores; with fewer it is slower")
    return Check("machine", "ok", found)


def memory_need(study: Study) -> int:
    """GiB of main memory that the selected experiments need."""
    merges = any(getattr(experiment, "merge_into", None) in UNQUANTIZED for experiment in study.selected())
    return study.machine.merge_memory if merges else study.machine.memory


def available_cores() -> int:
    """The CPU cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


# ---------------------------------------------------------------------------------------------- files


def check_results(study: Study) -> Check:
    """Check that the results folder is writable."""
    problem = disk.unwritable(Path(study.results))
    if problem:
        return Check("results", "fail", problem, "give another folder: --config results=DIR")
    return Check("results", "ok", f"{study.results}/{study.scale}")


def check_disk(study: Study, launch: Launch, missing: Sequence[HubItem]) -> Check:
    """Check the free space for results, cache and temporary files; needs on the same file system are summed.

    Quotas are not checked, only the file system's free space.
    """
    shared: dict[int, list[tuple[str, Path, float]]] = {}
    for name, path, need in disk.disk_needs(study, missing, trains=launch.gpu_jobs, at_once=launch.remote):
        existing = disk.nearest_folder(path)
        shared.setdefault(existing.stat().st_dev, []).append((name, existing, need))
    lines, short = [], False
    for places in shared.values():
        need = sum(place[2] for place in places)
        free = shutil.disk_usage(places[0][1]).free / 1e9
        short = short or free < need
        names = ", ".join(place[0] for place in places)
        lines.append(f"{names}: {need:.1f} GB needed, {free:.1f} GB free")
    advice = "free some space, or give other folders: --config results=DIR cache=DIR, and TMPDIR in the environment"
    return Check("disk", "fail" if short else "ok", "; ".join(lines), advice if short else "")


# ---------------------------------------------------------------------------------------------- hub


def check_cache(study: Study, missing: Sequence[HubItem]) -> Check:
    """Check which of the hub's models and data are in the cache, and that the rest can be written."""
    items = needs.hub_items(study)
    if not items:
        return Check("cache", "skipped", "nothing comes from the hub")
    there = ", ".join(item.name for item in items if item not in missing) or "nothing"
    found = f"{study.cache}: {there} fetched"
    if not missing:
        return Check("cache", "ok", found)
    found += f", to fetch: {', '.join(item.name for item in missing)}"
    problem = disk.unwritable(Path(study.cache))
    if problem:
        return Check("cache", "fail", f"{found}; {problem}", "give another folder: --config cache=DIR")
    return Check("cache", "ok", found)


def check_token(missing: Sequence[HubItem], environment: Mapping[str, str]) -> Check:
    """Check for a hub token without revealing it. No token is only a warning, as the model may not be gated."""
    wanted = [item.name for item in missing if item.kind == "model"]
    if not wanted:
        return Check("token", "skipped", "no model has to be fetched")
    try:
        token = cache.find_token(environment)
    except StudyError as error:
        return Check("token", "fail", str(error), "set HF_TOKEN to the token and nothing else")
    if token:
        return Check("token", "ok", f"found in {token[0]}")
    return Check(
        "token",
        "warn",
        f"none found; to fetch: {', '.join(wanted)}",
        "a gated model such as Llama 3 needs a token: accept its licence on the hub and set HF_TOKEN",
    )


def check_network(study: Study, missing: Sequence[HubItem], environment: Mapping[str, str]) -> Check:
    """Check that the hub answers, if something must be fetched from it."""
    if not missing:
        return Check("network", "skipped", "nothing has to be fetched")
    if cache.is_offline(environment):
        found = "offline mode is set (HF_HUB_OFFLINE or TRANSFORMERS_OFFLINE), but files must be fetched"
        return Check("network", "fail", found, "unset it for the fetch")
    host, problem = needs.reach_hub(environment)
    if not problem:
        return Check("network", "ok", f"{host} answers")
    return Check(
        "network",
        "fail",
        f"{host}: {problem}",
        f"start on a machine with a network, set HF_ENDPOINT to a mirror, or copy a filled cache to {study.cache}",
    )


def check_data(study: Study, missing: Sequence[HubItem]) -> Check:
    """Check that the source files exist and are readable, or say where else the data comes from."""
    data = study.data
    if data.source == "synthetic":
        return Check("data", "ok", "synthetic, made here")
    if data.source == "hub":
        here = not any(item.kind == "dataset" for item in missing)
        return Check("data", "ok", f"{data.name}, {'fetched' if here else 'to fetch'}")
    from nli.data.raw import input_files  # pyarrow takes half a second, and only this source needs it

    advice = "correct data.path in config.yaml"
    try:
        files = input_files(data.path)
    except StudyError as error:
        return Check("data", "fail", str(error), advice)
    locked = [path.name for path in files if not os.access(path, os.R_OK)]
    if locked:
        return Check("data", "fail", f"{data.path}: cannot be read: {', '.join(locked)}", "fix the files' permissions")
    return Check("data", "ok", f"{data.path}: {', '.join(path.name for path in files)}")


# ---------------------------------------------------------------------------------------------- software


def check_runtime(launch: Launch) -> Check:
    """Check the container runtime and its version, if jobs run in containers."""
    if not launch.containers:
        return Check("containers", "skipped", "not in use")
    advice = "install Apptainer 1.2 or newer, or load its module"
    program = shutil.which("apptainer") or shutil.which("singularity")
    if program is None:
        return Check("containers", "fail", "neither apptainer nor singularity is on PATH", advice)
    try:
        done = gpus.run_briefly([program, "--version"], 2, os.environ)
    except (OSError, subprocess.TimeoutExpired) as error:
        return Check("containers", "fail", f"{Path(program).name} --version: {type(error).__name__}", advice)
    found = done.stdout.strip()
    match = re.match(r"([\w-]+) version v?(\d+(?:\.\d+)*)", found)
    if done.returncode != 0 or match is None or match[1] not in RUNS:
        said = (found or done.stderr.strip() or "nothing").splitlines()[0]
        return Check("containers", "fail", f"{Path(program).name} --version said: {said}", advice)
    old = tuple(map(int, match[2].split("."))) < RUNS[match[1]]
    return Check("containers", "fail" if old else "ok", found, advice if old else "")


def check_versions(study: Study, launch: Launch, locks: Sequence[Path]) -> Check:
    """Check the installed packages against the lock files, and torch's build; containers have their own."""
    if launch.containers:
        return Check("versions", "skipped", "the containers have their own")
    pins = {pin.name: pin for lock in locks for pin in locked_packages(lock)}
    missing, other = [], []
    for name, pin in sorted(pins.items()):
        try:
            installed = Version(metadata.version(name))
        except (metadata.PackageNotFoundError, InvalidVersion):
            missing.append(name)
            continue
        if Version(installed.public) not in pin.specifier:  # 2.13.0+cpu is torch 2.13.0
            other.append(f"{name} {installed} ({pin.specifier})")
    advice = "install the locked packages: make .venv/installed"
    if missing:
        return Check("versions", "fail", f"not installed: {some(missing)}", advice)
    torch = metadata.version("torch") if "torch" in pins else ""
    if torch.endswith("+cpu") and study.machine.has_gpu and launch.gpu_jobs:
        found = f"torch {torch} is the build without CUDA, so every job would run on the CPU"
        advice = "install the one with CUDA: python containers/install_locked.py --torch cuda containers/study.lock"
        return Check("versions", "fail", found, advice)
    if other:
        return Check("versions", "warn", f"not as locked: {some(other)}", advice)
    return Check("versions", "ok", f"{len(pins)} packages as in {', '.join(path.name for path in locks)}")


def locked_packages(lock: Path) -> list[Requirement]:
    """The pins of a lock file that apply to this Python and system."""
    lines = (re.split("#|--hash=|\\\\$", line)[0].strip() for line in lock.read_text(encoding="utf-8").splitlines())
    pins = [Requirement(line) for line in lines if line and not line.startswith("-")]
    return [pin for pin in pins if pin.marker is None or pin.marker.evaluate()]


def some(names: Sequence[str], most: int = 5) -> str:
    """The names, or the first few and the number of the others."""
    rest = len(names) - most
    return ", ".join(names[:most]) + (f" and {rest} more" if rest > 0 else "")


# ---------------------------------------------------------------------------------------------- all of them


def run_checks(study: Study, launch: Launch, locks: Sequence[Path]) -> list[Check]:
    """All checks, in the order in which a person would fix them.

    Checks that wait for something outside (driver, hub, container runtime) have a timeout and run in parallel.
    """
    missing = needs.missing(study) if launch.fetches else []
    with ThreadPoolExecutor() as pool:
        asked = pool.submit(gpus.visible_gpus, os.environ)
        network = pool.submit(check_network, study, missing, os.environ)
        runtime = pool.submit(check_runtime, launch)
        devices, problem = asked.result()
        checks = [
            check_gpu(study, launch, devices, problem),
            check_bf16(study, launch, devices),
            check_machine(study, launch),
            check_results(study),
            check_disk(study, launch, missing),
            check_cache(study, missing),
            check_token(missing, os.environ),
            network.result(),
            check_data(study, missing),
            runtime.result(),
            check_versions(study, launch, locks),
        ]
    return [Check(check.name, check.status, public(check.found), public(check.advice)) for check in checks]


def public(text: str) -> str:
    """The text with the home folder as ~ and without any token that a program may have printed."""
    home = str(Path.home())
    if len(home) > 1:
        text = re.sub(rf"{re.escape(home)}(?!\w)", "~", text)
    return re.sub(r"\bhf_\w{8,}", "(token)", text)


def report(checks: Sequence[Check], stream: TextIO) -> None:
    """Write a line per check, and advice below those that are not ok; in colour only on a terminal."""
    colour = stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    for check in checks:
        word = f"{check.status:<7}"
        if colour:
            word = f"\033[{COLOURS[check.status]}m{word}\033[0m"
        print(f"{word}  {check.name:<10}  {check.found}", file=stream)
        if check.advice:
            print(f"{'':<21}{check.advice}", file=stream)
    stream.flush()


def record(checks: Sequence[Check], study: Study) -> dict[str, Any]:
    """The content of preflight.json: the worst verdict, then the checks."""
    worst = max((check.status for check in checks), key=["skipped", "ok", "warn", "fail"].index)
    time = datetime.now(UTC).isoformat(timespec="seconds")
    return {"scale": study.scale, "verdict": worst, "time": time, "checks": [asdict(check) for check in checks]}


def preflight(study: Study, launch: Launch, locks: Sequence[Path], stream: TextIO | None = None) -> None:
    """Run every check, print the lines, and save the record next to the results.

    Raises:
        StudyError: a check failed; the message names all that did.
    """
    checks = run_checks(study, launch, locks)
    report(checks, stream or sys.stdout)
    red = [check.name for check in checks if check.status == "fail"]
    if "results" not in red:
        write_json(Path(study.results, study.scale, "preflight.json"), record(checks, study))
    if red:
        raise StudyError(f"preflight: {', '.join(red)} failed; nothing was started. The lines above say what to do")
