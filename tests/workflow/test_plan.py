"""What Snakemake would do, by dry runs: quick, torch-free, complete, and refusing bad input at once."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT
from workflow.conftest import planned_jobs, snakemake


@pytest.fixture
def plan(tmp_path):
    """A dry run where nothing has been made yet: `plan("key=value", ...)` gives rule -> number of jobs."""

    def dry_run(*config: str) -> dict[str, int]:
        return planned_jobs("--config", f"results={tmp_path}", *config)

    return dry_run


def test_whole_demo_is_planned(demo_study, plan):
    jobs = plan()
    families = [experiment.family for experiment in demo_study.selected()]
    assert jobs["finetune_roberta"] == jobs["predict_roberta"] == families.count("roberta") == 6
    assert jobs["prompt_llama"] == families.count("icl") == 5
    assert jobs["finetune_llama"] == families.count("qlora") - 1  # the merge has its adapter from attempt 2
    assert jobs["answer_llama"] == families.count("qlora") == 5
    assert jobs["merge_adapter"] == 1
    assert jobs["score"] == len(families)
    assert jobs["render_report"] == 1


def test_paper_scale_fetches_and_pretrains_nothing(plan):
    jobs = plan("scale=paper")
    assert jobs["fetch_model"] == 2
    assert "make_model" not in jobs


def test_seeds_multiply_the_runs_but_not_the_models_or_specs(plan):
    one, three = plan(), plan("seeds=[1,2,3]")
    assert three["finetune_roberta"] == 3 * one["finetune_roberta"]
    assert three["write_spec"] == one["write_spec"]
    assert three["make_model"] == one["make_model"]


def test_only_selects_experiments_and_families(plan):
    jobs = plan("only=[roberta/lora,linear_head]")
    assert jobs["finetune_roberta"] == 1
    assert jobs["finetune_linear_head"] == 2
    assert "prompt_llama" not in jobs


def test_merge_alone_brings_the_training_it_needs(plan):
    jobs = plan("only=[qlora/attempt2_merged]")
    assert (jobs["finetune_llama"], jobs["merge_adapter"], jobs["answer_llama"]) == (1, 1, 1)


def test_dry_run_imports_no_torch():
    code = (
        "import sys\n"
        "from snakemake.cli import main\n"
        "sys.argv = ['snakemake', '-n', '--quiet', '--cores', '1', '--workflow-profile', 'none', '--nolock']\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        "heavy = [m for m in ('torch', 'transformers', 'datasets', 'peft', 'matplotlib') if m in sys.modules]\n"
        "print('heavy:', heavy)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.stdout.splitlines()[-1] == "heavy: []"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["only=[robert]"], "config.yaml: only: unknown name 'robert'; did you mean 'roberta'?"),
        (["seeds=[1,1]"], "config.yaml: seeds: each seed once, got [1, 1]"),
        (["data={source: files, path: no/such/folder}"], "no/such/folder: no such folder"),
    ],
)
def test_bad_input_ends_before_any_job_with_one_line(arguments, message):
    done = snakemake("--cores", "1", "--dry-run", "--config", *arguments, check=False)
    assert done.returncode != 0
    assert message in done.stdout
    assert "Traceback" not in done.stdout


def test_linters_find_nothing():
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run(["snakemake", "--lint"], cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
