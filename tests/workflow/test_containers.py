"""What --use-singularity adds to the plan, with a fake Apptainer. tests/system uses the real one."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT
from workflow.conftest import planned_jobs, snakemake

STAND_IN = """#!/bin/sh
if [ "$1" = --version ]; then echo apptainer version 1.4.5; exit 0; fi
for word; do image=$definition; definition=$word; done
echo "$*" >> "$STAND_IN_CALLS"
echo image > "$image"
"""


@pytest.fixture
def apptainer(tmp_path, monkeypatch):
    """A fake on PATH that builds at once; returns the file with a line for every build."""
    program = tmp_path / "bin/apptainer"
    program.parent.mkdir()
    program.write_text(STAND_IN)
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("STAND_IN_CALLS", str(tmp_path / "calls"))
    return tmp_path / "calls"


def test_images_are_built_only_where_containers_are_in_use(apptainer, tmp_path):
    plain = planned_jobs("--config", f"results={tmp_path}")
    contained = planned_jobs("--use-singularity", "--config", f"results={tmp_path}")
    assert contained == {**plain, "build_image": 2}


def test_given_image_is_taken_and_the_other_built(apptainer, tmp_path):
    ready = tmp_path / "ready.sif"
    ready.touch()
    config = ("--use-singularity", "--config", f"results={tmp_path}")
    assert planned_jobs(*config, f"containers={{study: {ready}}}")["build_image"] == 1
    assert "build_image" not in planned_jobs(
        *config, f"containers={{study: {ready}, report: oras://registry.example/report:1}}"
    )


def test_every_job_that_runs_in_an_image_waits_for_it():
    for path in (ROOT / "rules").glob("*.smk"):
        for rule in re.split(r"^(?:    )?rule ", path.read_text(), flags=re.MULTILINE)[1:]:
            image = re.search(r"^ +container:\n +(\w+)_IMAGE$", rule, re.MULTILINE)
            if image:
                assert f"        image={image.group(1)}_FILE,\n" in rule, f"{path.name}: rule {rule.split(':')[0]}"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["containers={study: no/such.sif}"], "error: containers.study: no image at no/such.sif; give a .sif file"),
        (["containers={torch: rocm}"], "config.yaml: containers.torch: input should be 'auto', 'cpu' or 'cuda'"),
    ],
)
def test_wrong_choice_of_image_ends_with_one_line(apptainer, arguments, message):
    done = snakemake("--cores", "1", "--dry-run", "--use-singularity", "--config", *arguments, check=False)
    assert done.returncode != 0
    assert message in done.stdout
    assert "Traceback" not in done.stdout


def test_without_apptainer_the_command_says_how_to_go_on(tmp_path):
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    for tool in ("snakemake", "python", "bash", "git", "which"):
        (tmp_path / tool).symlink_to(shutil.which(tool, path=path))
    arguments = ["--cores", "1", "--dry-run", "--use-singularity", "--workflow-profile", "none", "--nolock"]
    environment = {**os.environ, "PATH": str(tmp_path)}
    done = subprocess.run(
        [tmp_path / "snakemake", *arguments], cwd=ROOT, env=environment, capture_output=True, text=True
    )
    assert done.returncode != 0
    assert "neither apptainer nor singularity is on PATH; install it" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.fixture
def checkout(tmp_path) -> Path:
    """A copy of the repository's files, in which images may be built."""
    folder = tmp_path / "checkout"
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True)
    if listed.returncode != 0:
        pytest.skip("not a git checkout")
    for name in listed.stdout.splitlines():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, folder / name)
    return folder


def test_build_is_skipped_until_definition_or_lock_changes(apptainer, checkout):
    environment = {**os.environ, "PATH": f"{os.environ['PATH']}{os.pathsep}{Path(sys.executable).parent}"}

    def builds() -> list[str]:
        """The images that `snakemake containers` builds now."""
        apptainer.write_text("")
        done = subprocess.run(
            ["snakemake", "--cores", "1", "--use-singularity", "--workflow-profile", "none", "containers"],
            cwd=checkout,
            env=environment,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        return sorted(line.split("/")[-1] for line in apptainer.read_text().splitlines())

    assert builds() == ["report.def", "study.def"]
    assert (checkout / "containers/study.sif").read_text() == "image\n"
    assert builds() == []
    (checkout / "containers/study.lock").touch()
    assert builds() == []
    with (checkout / "containers/study.lock").open("a") as lock:
        lock.write("# changed\n")
    assert builds() == ["study.def"]
    with (checkout / "containers/report.def").open("a") as definition:
        definition.write("# changed\n")
    assert builds() == ["report.def"]
