"""What the SLURM profile requests, without a cluster; and how the workflow handles a missing cluster."""

import os
import shutil
from pathlib import Path

import pytest
import yte
from workflow.conftest import snakemake
from workflow.sbatch_lines import CASES, STAND_INS, lines_of

REVIEWED = Path(__file__).parent / "sbatch_lines.txt"


def reviewed(heading: str) -> list[str]:
    """The reviewed lines below `# heading`."""
    return REVIEWED.read_text().split(f"# {heading}\n")[1].split("\n\n")[0].splitlines()


@pytest.mark.parametrize("heading", CASES)
def test_sbatch_lines_are_the_reviewed_ones(heading):
    # After an intended change: python tests/workflow/sbatch_lines.py > tests/workflow/sbatch_lines.txt
    assert lines_of(*CASES[heading]) == reviewed(heading)


def test_job_asks_for_a_gpu_in_one_dialect_only():
    for heading in CASES:
        for line in reviewed(heading):
            asked = [flag for flag in ("--gpus=1", "--gres=gpu:1") if flag in line]
            assert len(asked) == (1 if " -p gpu " in line else 0), line


def test_profile_knows_every_rule_that_asks_for_a_gpu(root, monkeypatch):
    monkeypatch.chdir(root)  # where Snakemake reads the profile
    profile = yte.process_yaml((root / "profiles/slurm/config.yaml").read_text(), require_use_yte=True)
    trained = {
        f"{stage}_{family}" for stage in ("finetune", "predict") for family in ("roberta", "qlora", "linear_head")
    }
    assert set(profile["set-resources"]) == trained | {
        *("predict_icl", "merge_adapter", "rehearse_experiment", "finetune_task", "switch_tasks")
    }
    assert {resources["slurm_partition"] for resources in profile["set-resources"].values()} == {"gpu"}


@pytest.mark.parametrize("option", ["--profile", "--workflow-profile"])
def test_profile_is_understood_as_either_kind(option, tmp_path, monkeypatch):
    program = tmp_path / "bin/apptainer"  # the profile's jobs run in containers, but a dry run starts none
    program.parent.mkdir()
    program.write_text(STAND_INS["apptainer"])
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")
    arguments = ["-n", "--quiet", "rules", "--config", f"results={tmp_path}"]
    if option == "--workflow-profile":
        done = snakemake(*arguments, profile="profiles/slurm")
    else:
        done = snakemake(*arguments, option, "profiles/slurm")
    assert "finetune_roberta" in done.stdout


def test_machine_without_slurm_is_told_in_one_line_before_any_job(tmp_path, monkeypatch):
    (tmp_path / "bin").mkdir()
    for command in ("bash", "which"):  # all that Snakemake and the plugin need to start
        (tmp_path / "bin" / command).symlink_to(shutil.which(command))
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    arguments = ["--profile", "profiles/slurm", "--sdm", "env-modules", "--config", f"results={tmp_path}"]
    done = snakemake(*arguments, check=False)
    assert done.returncode != 0
    assert "no sbatch on PATH; start Snakemake on the cluster's login node" in done.stdout
    assert "Traceback" not in done.stdout
    assert not list(tmp_path.rglob("*.json"))
