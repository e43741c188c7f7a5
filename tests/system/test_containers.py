"""The study in containers, with the real Apptainer: one command from scratch, offline, isolated, the same answers."""

import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest
import yaml
from conftest import ROOT
from system.conftest import COMMAND

from nli.study.resolve import load_study

SMOKE = "--configfile tests/workflow/smoke.yaml --config"
IMAGES = ("study", "report")
READY = "containers={study: containers/study.sif, report: containers/report.sif}"


def test_one_command_makes_images_runs_and_report(demo, checkout):
    for name in IMAGES:
        assert (checkout / f"containers/{name}.sif").stat().st_size > 50e6
    runs = [json.loads(path.read_text()) for path in demo.glob("*/*/seed42/run.json")]
    study = json.loads((demo / "study.json").read_text())
    assert sorted(f"{run['family']}/{run['name']}" for run in runs) == sorted(study["experiments"])
    for run in runs:
        assert (demo / run["family"] / run["name"] / "seed42/predictions.parquet").stat().st_size > 0
    html = (demo / "report.html").read_text()
    assert "<table" in html
    assert "<svg" in html or "data:image/" in html
    pdf = (demo / "report.pdf").read_bytes()
    assert pdf.startswith(b"%PDF")
    assert pdf.rstrip().endswith(b"%%EOF")


def test_record_of_a_run_in_a_container_names_the_commit(demo, checkout):
    head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=checkout, capture_output=True, text=True)
    if head.returncode != 0:
        pytest.skip("not a git checkout")
    run = json.loads(next(demo.glob("roberta/lora/seed42/run.json")).read_text())
    assert run["git_commit"].rstrip("+") == head.stdout.strip()


def test_second_command_does_nothing(demo, shell):
    assert "build image" not in shell(f"{COMMAND} --dry-run", seconds=300)
    assert "Nothing to be done" in shell(COMMAND, seconds=300)


@pytest.mark.parametrize("image", IMAGES)
def test_label_holds_the_hash_of_the_lock(demo, shell, checkout, image):
    labels = shell(f"apptainer --silent inspect --json --labels containers/{image}.sif", seconds=60)
    found = json.loads(labels[labels.index("{") :])["data"]["attributes"]["labels"]
    assert found["nli.lock.sha256"] == hashlib.sha256((checkout / f"containers/{image}.lock").read_bytes()).hexdigest()
    assert re.fullmatch(r"[0-9a-f]{40}\+?|unknown", found["org.opencontainers.image.revision"])


@pytest.mark.parametrize("image", IMAGES)
def test_image_has_the_versions_of_the_lock_and_of_the_environment(demo, shell, checkout, image):
    code = "from importlib.metadata import distributions; [print(d.name, d.version) for d in distributions()]"
    listed = shell(f'apptainer --silent exec --cleanenv containers/{image}.sif python -c "{code}"', seconds=60)
    inside = {canonical(name): version for name, version in re.findall(r"^(\S+) (\S+)$", listed, re.MULTILINE)}
    outside = shell(f'python -c "{code}"', seconds=60)
    beside = {canonical(name): version for name, version in re.findall(r"^(\S+) (\S+)$", outside, re.MULTILINE)}
    locked = re.findall(r"^([\w.-]+)==(\S+)", (checkout / f"containers/{image}.lock").read_text(), re.MULTILINE)
    named: dict[str, set[str]] = {}
    for name, version in locked:  # a lock may list a package once per version of Python
        named.setdefault(canonical(name), set()).add(version)
    assert {"torch" if image == "study" else "matplotlib", "numpy", "pandas"} <= inside.keys()
    for name, version in inside.items():
        if name in named:
            assert version.split("+")[0] in named[name], name
            assert version == beside[name], name
    assert not {"pip", "pytest", "snakemake"} & inside.keys()


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


@pytest.fixture(scope="session")
def contained(demo, shell, workplace, environment) -> Path:
    """The smoke study in containers, with only a loopback network, on a host whose Python packages must not leak in.

    Snakemake itself starts in the network namespace, so nothing in the run can reach any other machine. torch and
    pandas of the host's PYTHONPATH and of its user site would end any job that saw them.
    """
    poison = workplace / "poison"
    user_site = Path(environment["HOME"]) / ".local/lib/python3.11/site-packages"
    for folder in (poison, user_site):
        folder.mkdir(parents=True)
        for name in ("torch", "matplotlib"):
            (folder / f"{name}.py").write_text("raise ImportError('the host leaked in')\n")
    results = workplace / "inside"
    namespace = "unshare --net" if os.getuid() == 0 else "unshare --map-root-user --net"
    command = f"snakemake --cores 2 --use-singularity {SMOKE} results={results} cache={workplace}/cache '{READY}'"
    shell(f"{namespace} bash -euc 'ip link set lo up; {quoted(command)}'", seconds=1800, PYTHONPATH=str(poison))
    return results / "demo"


def quoted(command: str) -> str:
    return command.replace("'", "'\\''")


def test_whole_study_runs_offline_with_results_outside_the_repository(contained):
    assert (contained / "report.html").stat().st_size > 0
    assert (contained / "report.pdf").read_bytes().startswith(b"%PDF")


def test_namespace_of_the_offline_run_reaches_nothing(demo, shell):
    namespace = "unshare --net" if os.getuid() == 0 else "unshare --map-root-user --net"
    code = 'import socket; print(socket.socket().connect_ex((\\"192.0.2.1\\", 80)))'
    command = f'apptainer --silent exec containers/study.sif python -c "{code}"'
    error = shell(f"{namespace} bash -euc 'ip link set lo up; {quoted(command)}'", seconds=60)
    assert int(error.split()[-1]) == 101  # ENETUNREACH


def test_home_directory_holds_no_cache_of_a_job(contained, environment):
    kept = {path.name for path in Path(environment["HOME"]).iterdir()} - {".apptainer"}
    assert kept <= {".local", ".cache"}
    cached = Path(environment["HOME"]) / ".cache"
    assert {path.name for path in cached.glob("*")} <= {"snakemake"}  # Snakemake's own, on the host


def test_predictions_inside_equal_those_outside_byte_for_byte(contained, shell, workplace):
    shell(f"snakemake metrics --cores 2 {SMOKE} results={workplace}/outside", seconds=1800)
    inside = sorted(contained.glob("*/*/seed42/predictions.parquet"))
    config = yaml.safe_load((ROOT / "config.yaml").read_text())
    assert len(inside) == len(load_study(config).selected())
    pairs = [(path, workplace / "outside/demo" / path.relative_to(contained)) for path in inside]
    differ = [difference(path, outside) for path, outside in pairs if path.read_bytes() != outside.read_bytes()]
    assert not differ, "\n".join([f"{len(differ)} of {len(pairs)} files", *differ])


def difference(inside: Path, outside: Path) -> str:
    """Where two files of answers differ: their columns, the largest difference of a number, and what they belong to."""
    one, other = (pd.read_parquet(path) for path in (inside, outside))
    if one.shape != other.shape:
        return f"{inside.parent}: shapes {one.shape} and {other.shape}"
    columns = [name for name in one if not one[name].equals(other[name])]
    numbers = [name for name in columns if pd.api.types.is_float_dtype(one[name])]
    largest = (one[numbers] - other[numbers]).abs().max().max() if numbers else 0
    owners = [pq.read_schema(path).metadata.get(b"nli.run") for path in (inside, outside)]
    return f"{inside.parent}: columns {columns}, numbers by up to {largest:.3g}, runs {owners}"


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become another user")
def test_container_writes_as_the_calling_user(demo, shell):
    """Images are unpacked first, as Apptainer does if a user may not mount because only root can use /dev/fuse."""
    with tempfile.TemporaryDirectory(prefix="nli-user-") as name:
        shutil.chown(name, "nobody", "nogroup")
        user = "setpriv --reuid nobody --regid nogroup --clear-groups"
        inside = f"--cleanenv --unsquash --bind {name} containers/report.sif touch {name}/file"
        shell(f"{user} env HOME={name} TMPDIR={name} apptainer --silent exec {inside}", seconds=300)
        made = Path(name) / "file"
        assert (made.owner(), made.group()) == ("nobody", "nogroup")


def test_killed_build_leaves_no_image_and_nothing_for_long(checkout, base, environment, workplace):
    """SIGTERM leaves nothing behind; what SIGKILL leaves goes with the next build."""
    temporary = workplace / "temporary"
    temporary.mkdir()
    command = ["python", "scripts/build_image.py", "--image", "study", "--output", f"{workplace}/killed.sif"]
    command += ["--base", str(base), "--log", f"{workplace}/killed.log"]
    left: list[Path] = []
    for number in (signal.SIGKILL, signal.SIGTERM):
        process = subprocess.Popen(
            command, cwd=checkout, env={**environment, "APPTAINER_TMPDIR": str(temporary)}, stderr=subprocess.PIPE
        )
        deadline = time.monotonic() + 120
        while not (started := set(temporary.glob("*/*/rootfs/opt/nli")) - set(left)) and time.monotonic() < deadline:
            time.sleep(0.2)
        assert process.poll() is None, process.stderr.read().decode()
        process.send_signal(number)
        assert process.wait(120) != 0
        left += started
        assert not (workplace / "killed.sif").exists()
    assert not list(workplace.glob("*killed.sif"))
    assert list(temporary.iterdir()) == []


def test_failed_build_says_one_line_with_its_log(checkout, environment, workplace):
    base = workplace / "empty-base"
    (base / "mnt").mkdir(parents=True)
    log = workplace / "failed.log"
    command = ["python", "scripts/build_image.py", "--image", "report", "--output", f"{workplace}/failed.sif"]
    done = subprocess.run(
        [*command, "--base", str(base), "--log", str(log)],
        cwd=checkout,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert re.fullmatch(rf"error: \S+failed\.sif: the build failed \(.*\); see {log}\n", done.stderr)
    assert not list(workplace.glob("*failed.sif"))
