"""The NVIDIA GPUs of this machine, from nvidia-smi: importing torch takes seconds, and only containers may have it."""

import csv
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass

FIELDS = ("index", "uuid", "name", "memory.total", "memory.free", "compute_cap", "driver_version")
BF16_CAPABILITY = 8.0  # Ampere and newer multiply bfloat16 in hardware
TIMEOUT = 5  # seconds; without persistence mode the driver wakes every GPU first


@dataclass(frozen=True)
class Gpu:
    """One GPU; memory in GiB, None for values that the driver does not report."""

    index: str
    uuid: str
    name: str
    total: float | None
    free: float | None
    capability: float | None
    driver: str


def first_visible(environment: Mapping[str, str]) -> str:
    """The GPU that CUDA uses first: a number, a UUID or a MIG name; empty or -1 if all are hidden on purpose.

    A job hides the others before CUDA starts. With several GPUs, transformers' Trainer uses all of them
    (nn.DataParallel) and multiplies the batch by their number, so the same configuration would train differently.
    """
    return environment.get("CUDA_VISIBLE_DEVICES", "0").split(",")[0].strip()


def visible_gpus(environment: Mapping[str, str]) -> tuple[list[Gpu], str]:
    """The GPUs that a CUDA program would see, in its order, and the reason if there are none."""
    program = shutil.which("nvidia-smi", path=environment.get("PATH"))
    if program is None:
        return [], "nvidia-smi is not on PATH"
    command = [program, f"--query-gpu={','.join(FIELDS)}", "--format=csv,noheader,nounits"]
    try:
        done = run_briefly(command, TIMEOUT, environment)
    except subprocess.TimeoutExpired:
        return [], f"nvidia-smi did not answer in {TIMEOUT} s; the driver hangs"
    except OSError as error:
        return [], f"nvidia-smi cannot be run ({error.strerror})"
    if done.returncode != 0:
        said = (done.stdout.strip() or done.stderr.strip() or "nothing").splitlines()[0]
        return [], f"nvidia-smi failed with exit status {done.returncode}: {said}"
    gpus = parse(done.stdout)
    if not gpus:
        return [], "nvidia-smi lists no GPU"
    wanted = environment.get("CUDA_VISIBLE_DEVICES")
    if wanted and wanted.startswith("MIG-"):  # a slice of a GPU, which this query does not list
        return [Gpu("0", wanted, f"a slice of {gpus[0].name}", None, None, gpus[0].capability, gpus[0].driver)], ""
    visible = select(gpus, wanted)
    return visible, "" if visible else f"CUDA_VISIBLE_DEVICES={wanted!r} shows none of the {len(gpus)} here"


def run_briefly(command: list[str], seconds: float, environment: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    """The result of a program, as from subprocess.run, without waiting for a program that cannot be killed.

    A program that hangs in a driver cannot be killed, and subprocess.run would wait for it to exit.

    Raises:
        subprocess.TimeoutExpired: the program did not finish in time.
        OSError: the program cannot be run.
    """
    pipe = subprocess.PIPE
    process = subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, env=dict(environment))
    try:
        output, errors = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        raise
    return subprocess.CompletedProcess(command, process.returncode, output, errors)


def parse(text: str) -> list[Gpu]:
    """The GPUs in nvidia-smi's output: comma-separated FIELDS, memory in MiB; "[N/A]" and the like become None."""
    gpus = []
    for row in csv.reader(text.splitlines(), skipinitialspace=True):
        if len(row) != len(FIELDS):
            continue
        index, uuid, name, total, free, capability, driver = (cell.strip() for cell in row)
        total_gib, free_gib = (None if mib is None else mib / 1024 for mib in (number(total), number(free)))
        gpus.append(Gpu(index, uuid, name, total_gib, free_gib, number(capability), driver))
    return gpus


def number(text: str) -> float | None:
    """The number in a cell, or None."""
    try:
        return float(text)
    except ValueError:
        return None


def select(gpus: list[Gpu], wanted: str | None) -> list[Gpu]:
    """The GPUs in CUDA_VISIBLE_DEVICES, in its order: numbers or UUID prefixes, up to the first unknown one.

    Source: CUDA C++ Programming Guide, "CUDA Environment Variables". The numbers are nvidia-smi's; on a machine with
    different GPUs they equal CUDA's only with CUDA_DEVICE_ORDER=PCI_BUS_ID.
    """
    if wanted is None:
        return gpus
    selected = []
    for name in (part.strip() for part in wanted.split(",")):
        match = [gpu for gpu in gpus if name == gpu.index or (name.startswith("GPU-") and gpu.uuid.startswith(name))]
        if len(match) != 1:
            break
        selected += match
    return selected
