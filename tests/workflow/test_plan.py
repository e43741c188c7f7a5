"""What Snakemake would do, in dry runs: quick, without torch, complete, and refusing bad input at once."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT
from workflow.conftest import planned_jobs, snakemake

from nli.reporting.figures.workflow import ARROWS, MODEL, MODEL_RULES, PLACES
from nli.study.specs import trains


@pytest.fixture
def plan(tmp_path):
    """A dry run before anything is made: `plan("key=value", ...)` returns rule -> number of jobs."""

    def dry_run(*config: str) -> dict[str, int]:
        return planned_jobs("--config", f"results={tmp_path}", *config)

    return dry_run


def test_whole_demo_is_planned(demo_study, plan):
    jobs = plan("rungs=all")
    families = [experiment.family for experiment in demo_study.selected()]
    merges = sum(getattr(experiment, "method", None) == "merge" for experiment in demo_study.selected())
    borrowing = sum(getattr(experiment, "adapter", None) is not None for experiment in demo_study.selected())
    assert jobs["predict_roberta"] == families.count("roberta")
    assert jobs["finetune_roberta"] == families.count("roberta") - 1  # the zero-shot cloze does not train
    assert jobs["predict_icl"] == families.count("icl")
    assert jobs["finetune_qlora"] == families.count("qlora") - borrowing  # the rest use another's adapter
    assert jobs["predict_qlora"] == families.count("qlora")
    assert jobs["merge_adapter"] == merges == 6
    assert jobs["predict_baseline"] == families.count("baseline") == 2
    assert jobs["score"] == len(families)
    assert jobs["make_ladders"] == 1
    assert jobs["render_report"] == 1


def test_picture_of_the_workflow_shows_what_waits_for_what(tmp_path):
    """Directly or not: the picture leaves out arrows that follow from others."""
    dot = snakemake("--rulegraph", "--cores", "1", "--config", f"results={tmp_path}", "rungs=all").stdout
    rules = dict(re.findall(r'(\d+)\[label = "(\w+)"', dot))
    names = {number: MODEL if rule in MODEL_RULES else rule for number, rule in rules.items()}
    drawn = {(names[a], names[b]) for a, b in re.findall(r"(\d+) -> (\d+)", dot)}
    assert len(drawn) > 20
    real = {pair for pair in reachable(drawn) if set(pair) <= PLACES.keys()}
    assert reachable(set(ARROWS)) == real


def reachable(pairs: set[tuple[str, str]]) -> set[tuple[str, str]]:
    """The pairs that arrows connect over any number of steps."""
    while more := {(a, d) for a, b in pairs for c, d in pairs if b == c} - pairs:
        pairs |= more
    return pairs


def test_core_is_planned_without_the_rungs(demo_study, plan):
    jobs = plan()
    core = [experiment for experiment in demo_study.experiments.values() if not experiment.extra]
    assert jobs["score"] == len(core)
    assert jobs["merge_adapter"] == 3
    assert jobs["finetune_roberta"] == sum(experiment.family == "roberta" for experiment in core)


def test_paper_scale_fetches_and_pretrains_nothing(plan):
    jobs = plan("scale=paper")
    assert jobs["fetch_model"] == 2
    assert "make_model" not in jobs


def test_demo_takes_the_models_that_ship_and_own_data_get_their_own(plan, tmp_path):
    assert "make_model" not in plan()
    for name in ("train", "validation_matched", "validation_mismatched"):
        (tmp_path / f"{name}.jsonl").write_text('{"premise": "a", "hypothesis": "b", "label": "neutral"}\n')
    data = f"data={{source: files, path: {tmp_path}}}"
    own = plan(data)
    assert own["make_model"] == 2
    assert "link_model" not in own
    assert plan(data, "models={encoder: {source: path}, decoder: {source: path}}")["link_model"] == 2


def test_models_that_ship_are_made_from_nothing_by_their_own_command():
    jobs = planned_jobs("demo_models", "--configfile", "docs/demo_models.yaml", "--config", "results=results-models")
    assert (jobs["make_model"], jobs["describe_model"], jobs["sample_data"]) == (2, 2, 1)
    assert "finetune_roberta" not in jobs


def test_seeds_multiply_the_runs_but_not_the_models_or_specs(plan):
    one, three = plan(), plan("seeds=[1,2,3]")
    assert three["finetune_roberta"] == 3 * one["finetune_roberta"]
    assert three["write_spec"] == one["write_spec"]
    assert three["link_model"] == one["link_model"] == 2


def test_encoders_of_the_paper_scale_run_with_their_own_seeds_unless_told_otherwise(plan):
    only = "only=[roberta/full,icl/prompt1]"
    stated, told = plan("scale=paper", only), plan("scale=paper", only, "seeds=[7]")
    assert (stated["finetune_roberta"], stated["predict_icl"], stated["score"]) == (3, 1, 4)
    assert (told["finetune_roberta"], told["predict_icl"], told["score"]) == (1, 1, 2)


def test_only_selects_experiments_and_families(plan):
    jobs = plan("only=[roberta/lora,linear_head]")
    assert jobs["finetune_roberta"] == 1
    assert jobs["finetune_linear_head"] == 2
    assert "predict_icl" not in jobs


def test_a_sweep_and_the_several_tasks_run_alone_by_their_names(plan):
    jobs = plan("only=[rank]")
    assert (jobs["finetune_roberta"], jobs["finetune_qlora"]) == (4, 4)  # ranks 1, 4 and 64, and the experiment's own
    assert not {"finetune_task", "predict_icl"} & jobs.keys()
    jobs = plan("only=[tasks]")
    assert (jobs["finetune_task"], jobs["switch_tasks"], jobs["finetune_roberta"]) == (9, 1, 3)
    assert not {"finetune_task", "switch_tasks"} & plan().keys()


def test_merge_alone_brings_the_training_it_needs(plan):
    jobs = plan("only=[qlora/attempt2_merged]")
    assert (jobs["finetune_qlora"], jobs["merge_adapter"], jobs["predict_qlora"]) == (1, 1, 1)


def test_answering_with_anothers_adapter_brings_the_training_it_needs(plan):
    jobs = plan("only=[qlora/attempt2_greedy]")
    assert (jobs["finetune_qlora"], jobs["predict_qlora"]) == (1, 1)
    assert "merge_adapter" not in jobs


def test_paper_plan_lists_every_job_with_its_resources(paper_study, tmp_path):
    done = snakemake("--dry-run", "--cores", "4", "--config", "scale=paper", f"results={tmp_path}")
    asked = r"\(4 threads, (\d+) MB, (\d+) min, 1 GPU\)"
    trainings = re.findall(rf"^Job \d+: fine-tune (\S+), seed 42 {asked}$", done.stdout, flags=re.MULTILINE)
    assert {name for name, _, _ in trainings} == {e.key for e in paper_study.selected() if trains(e)}
    assert {(memory, time) for name, memory, time in trainings if name.startswith("roberta/")} == {("16000", "240")}
    assert {(memory, time) for name, memory, time in trainings if name.startswith("qlora/")} == {("32000", "480")}
    assert re.search(r"^Job \d+: score icl/prompt1, seed 42 \(1 threads, 4000 MB, 30 min\)$", done.stdout, re.MULTILINE)


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
        (["sceds=[1]"], "config.yaml: unknown name 'sceds'; did you mean 'seeds'?"),
        (
            ["families={roberta: {training: {learning_rate: -1}}}"],
            "config.yaml: experiments.roberta/full.training.learning_rate: input should be greater than 0, got -1",
        ),
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


def test_checkpoints_belong_to_one_spec_one_base_model_and_one_draw_of_the_data(tmp_path):
    """A killed training is resumed only from a checkpoint of the same experiment, model and data."""

    def folder(*config: str) -> str:
        settings = ["--config", f"results={tmp_path}", "only=[roberta/lora]", *config]
        output = snakemake("--dry-run", "--printshellcmds", "--cores", "1", *settings).stdout
        (found,) = set(re.findall(r"--checkpoints \S+/(seed42-\w+)", output))
        return found

    same = folder()
    assert folder("finished_only=false") == same
    changed = [
        "experiments={roberta/lora: {lora: {r: 4}}}",
        "models={encoder: {source: made, recipe: {steps: 7}}}",
        "data={train_examples: 9}",
    ]
    assert len({same, *(folder(setting) for setting in changed)}) == 4
