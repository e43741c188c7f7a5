"""The whole study, run for real at smoke sizes: contracts, resumption, determinism, and what is rerun."""

import html
import json
import os
import re
import shlex
import shutil
from pathlib import Path

import pandas as pd
import pytest
import yaml
from conftest import ROOT
from workflow.conftest import SMOKE, holds, planned_jobs, snakemake

from nli.data.all_answers import read_all_answers
from nli.data.predictions import named_run, read_predictions, write_predictions
from nli.data.splits import read_split
from nli.study.resolve import load_study

REAL = Path(os.environ.get("NLI_SHARED_DATA", ROOT.parent / "shared/data")) / "multinli"


def run_folders(results):
    return sorted(path.parent for path in results.glob("*/*/seed*/run.json"))


def test_every_experiment_leaves_a_whole_run_directory(smoke, config):
    results, _ = smoke
    study = load_study(config)
    assert {f"{path.parent.parent.name}/{path.parent.name}" for path in run_folders(results)} == set(study.experiments)
    for folder in run_folders(results):
        run = json.loads((folder / "run.json").read_text())
        predictions = read_predictions(folder / "predictions.parquet")
        metrics = json.loads((folder / "metrics.json").read_text())
        experiment = study.experiments[f"{run['family']}/{run['name']}"]
        assert (run["seed"], run["scale"]) == (42, "demo")
        assert set(predictions["split"]) == set(experiment.evaluation.splits) == set(metrics["results"])
        assert run["parameters"]["total"] == run["parameters"]["trainable"] + run["parameters"]["frozen"]
        assert set(run["parameters"]["gradient_tensors"]) <= set(run["parameters"]["trainable_tensors"])
        assert (run["model"] is None) == (experiment.model is None)
        assert run["model"] is None or len(run["model"]["sha256"]) == 64
        assert f"scripts/predict_{run['family']}.py" in run["code"]["answering"]
        if run["parameters"]["trainable"] and experiment.model:
            assert run["throughput"]["tokens_per_second"] > 0
            assert "scripts/nli/models/training.py" in run["code"]["training"]
            assert "scripts/nli/reporting/prose.py" not in run["code"]["training"]


def test_scorers_of_an_attempt_judge_the_same_answers(smoke):
    results, _ = smoke
    frame = read_predictions(results / "qlora/attempt1/seed42/predictions.parquet")
    first, frequent = (frame[frame.scorer == s] for s in ("first_label", "most_frequent_label"))
    assert first["answer"].tolist() == frequent["answer"].tolist()
    assert first["pair_id"].tolist() == frequent["pair_id"].tolist()


def test_methods_are_compared_on_the_same_pairs(smoke):
    results, _ = smoke
    asked = {}
    for name in ("icl/prompt1", "icl/prompt5", "qlora/attempt3", "linear_head/first_token"):
        frame = read_predictions(results / name / "seed42/predictions.parquet")
        asked[name] = frame[frame["scorer"] == frame["scorer"].iloc[0]]["pair_id"].tolist()
    assert len({tuple(pairs) for pairs in asked.values()}) == 1
    data = pd.read_parquet(results / "data/matched.parquet")
    positions = [data["pair_id"].tolist().index(pair) for pair in asked["icl/prompt1"]]
    assert positions == sorted(positions)  # the data's order


def further_set(folder):
    """A config file that adds a set with two classes, and its rows, for the baselines and RoBERTa to answer."""
    rows = [
        {"premise": "The doctor near the actor danced.", "hypothesis": "The actor danced.", "label": "non-entailment"},
        {"premise": "The actor and the doctor danced.", "hypothesis": "The actor danced.", "label": "entailment"},
    ]
    (folder / "hans.jsonl").write_text("\n".join(map(json.dumps, rows)))
    labels = {"entailment": "entailment", "non-entailment": ["neutral", "contradiction"]}
    source = {"path": str(folder / "hans.jsonl"), "labels": labels}
    evaluation = {"evaluation": {"splits": ["matched", "mismatched", "hans"]}}
    config = {
        "data": {"sets": {"hans": {"title": "HANS", "source": source}}},
        "families": {"baseline": evaluation, "roberta": evaluation},
    }
    (folder / "mine.yaml").write_text(yaml.safe_dump(config))
    return str(folder / "mine.yaml")


def test_further_evaluation_set_is_answered_and_nothing_is_trained_again(smoke, config, tmp_path):
    _, (option, smoke_config, *rest) = smoke
    jobs = planned_jobs(option, smoke_config, further_set(tmp_path), *rest)
    roberta = [experiment for experiment in load_study(config).selected() if experiment.family == "roberta"]
    assert jobs["fetch_set"] == jobs["write_set_spec"] == 1
    assert jobs["predict_roberta"] == len(roberta)
    assert not {rule for rule in jobs if rule.startswith(("finetune", "fetch_data", "sample", "predict_icl"))}


def test_further_evaluation_set_of_two_classes_is_scored_by_its_own_rule(tmp_path):
    metrics = tmp_path / "results/demo/baseline/majority/seed42/metrics.json"
    options = ["--configfile", str(SMOKE), further_set(tmp_path), "--config", f"results={tmp_path / 'results'}"]
    snakemake(str(metrics), "--cores", "2", *options)
    frame = read_predictions(metrics.with_name("predictions.parquet"))
    frame = frame[frame["split"] == "hans"]
    assert frame["gold"].tolist() == ["neutral", "entailment"]
    assert set(frame["pred"]) <= {"entailment", "neutral"}
    assert json.loads(metrics.read_text())["results"]["hans"]["classifier"]["n"] == 2
    (tmp_path / "hans.jsonl").unlink()
    refused = snakemake(str(metrics), "--dry-run", "--cores", "1", *options, check=False)
    assert refused.returncode != 0
    assert "no such file; correct config.yaml: data.sets.hans.source.path" in refused.stdout


def test_what_is_meant_to_be_shared_holds_no_path_of_this_machine(smoke):
    results, _ = smoke
    shared = [results / name for name in ("report.html", "report.pdf", "summary.json", "summary.csv", "preflight.json")]
    shared += [path for folder in (*run_folders(results), results / "report") for path in folder.rglob("*")]
    private = [str(Path.home()) + "/", str(ROOT), str(results.parent)]
    found = {path: holds(path, private) for path in shared if path.is_file()}
    assert results / "report.pdf" in found
    assert len(found) > 100
    assert {path.relative_to(results): held for path, held in found.items() if held} == {}


def test_report_is_made_in_both_formats(smoke):
    results, _ = smoke
    html = (results / "report.html").read_text()
    assert "not the study" in html.lower()
    assert 'src="http' not in html
    assert (results / "report.pdf").read_bytes().startswith(b"%PDF")


def test_snakemakes_own_report_has_the_files_by_category_with_their_captions(smoke, tmp_path):
    _, arguments = smoke
    page = tmp_path / "workflow.html"
    snakemake("--report", str(page), "--cores", "1", *arguments)
    html = page.read_text()
    for text in (
        "Natural-language inference on MultiNLI: fine-tuning an encoder",
        "roberta/lora, seed 42: the card of the run",
        "A figure of the study",
        "an answer without a label is wrong",
        "finetune_qlora",
    ):
        assert text in html, text
    categories = json.loads(re.search(r"var categories = (\{.*?\});?\n", html)[1])
    assert set(categories) == {"Report", "Figures", "Scores", "Experiments"}
    assert set(categories["Experiments"]) == {"baseline", "roberta", "icl", "qlora", "linear_head"}


def test_all_answers_are_in_one_file_that_names_their_runs(smoke):
    results, _ = smoke
    answers = read_all_answers(results / "answers.parquet")
    folders = run_folders(results)
    assert set(answers["experiment"] + "/seed" + answers["seed"].astype(str)) == {
        str(folder.relative_to(results)) for folder in folders
    }
    assert len(answers) == sum(len(read_predictions(folder / "predictions.parquet")) for folder in folders)
    scored = json.loads((results / "icl/prompt1/seed42/metrics.json").read_text())["results"]["matched"]["label_logp"]
    rows = answers.query("experiment == 'icl/prompt1' and split == 'matched' and scorer == 'label_logp'")
    assert rows["correct"].mean() == scored["accuracy"]
    assert rows["logp_neutral"].notna().all()


def test_a_table_or_figure_is_made_alone_by_the_command_that_the_report_prints(smoke):
    results, arguments = smoke
    printed = re.findall(r"<code>(snakemake [^<]+)</code>", (results / "report.html").read_text())
    for label, folder in (("tbl-icl", "tables"), ("fig-accuracy", "figures")):
        command = next(command for command in map(html.unescape, printed) if f"/{label}.csv " in command)
        name = results.parent.name
        options = f"--cores 1 --configfile tests/workflow/smoke.yaml --config results={name}"
        assert command == f"snakemake {name}/demo/report/single/{label}.csv {options}"
        snakemake(
            *shlex.split(command.replace(f"{name}/demo", str(results)).replace(f"={name}", f"={results.parent}"))[1:]
        )
        made, whole = (results / f"report/{place}/{label}.csv" for place in ("single", folder))
        assert made.read_bytes() == whole.read_bytes()
    assert planned_jobs(*arguments) == {}  # the report is none the older for it


def test_second_run_does_nothing(smoke):
    _, arguments = smoke
    assert planned_jobs(*arguments) == {}


def test_changed_hyperparameter_reruns_its_variant_its_scoring_and_the_report(smoke):
    _, arguments = smoke
    change = "experiments={roberta/lora: {lora: {r: 4}}}"
    assert planned_jobs(*arguments, change) == {
        "write_spec": 2,
        "write_study": 1,
        "finetune_roberta": 1,
        "predict_roberta": 1,
        "score": 1,
        "collect_answers": 1,
        "make_ladders": 1,
        "make_tables": 1,
        "make_figures": 1,
        "render_report": 1,
    }


@pytest.fixture
def copied(smoke, tmp_path):
    """The study in a second clone: the same results, but no record of them in Snakemake."""
    results = shutil.copytree(smoke[0], tmp_path / "demo")
    study = results / "study.json"
    times = study.stat()
    study.write_text(study.read_text().replace(str(smoke[0].parent), str(tmp_path)))  # `results:` is a part of it
    os.utime(study, ns=(times.st_atime_ns, times.st_mtime_ns))
    return results, ["--configfile", str(SMOKE), "--config", f"results={tmp_path}"]


REPORT = {"collect_answers": 1, "make_ladders": 1, "make_tables": 1, "make_figures": 1, "render_report": 1}


def test_second_clone_has_nothing_to_do(copied):
    assert planned_jobs(*copied[1]) == {}


def test_second_clone_notices_a_changed_config_and_reruns_that_experiment_only(copied):
    results, arguments = copied
    files = {path: path.stat().st_mtime_ns for path in results.rglob("*")}
    lora = planned_jobs(*arguments, "experiments={roberta/lora: {lora: {r: 4}}}")
    assert lora == {
        "write_spec": 2,
        "write_study": 1,
        "finetune_roberta": 1,
        "predict_roberta": 1,
        "score": 1,
        **REPORT,
    }
    seeds = planned_jobs(*arguments, "only=[roberta/lora]", "seeds=[42,43]")
    assert seeds == {"write_study": 1, "finetune_roberta": 1, "predict_roberta": 1, "score": 1, **REPORT}
    title = planned_jobs(*arguments, "experiments={roberta/lora: {title: Low rank}}")
    assert title == {"write_study": 1, **REPORT}
    assert {path: path.stat().st_mtime_ns for path in results.rglob("*")} == files  # a dry run changes nothing


@pytest.mark.parametrize(
    ("module", "rerun"),
    [
        ("reporting/prose.py", {"make_ladders", "make_tables", "make_figures", "render_report"}),
        ("reporting/render.py", {"make_ladders", "make_tables", "make_figures", "render_report"}),
        (
            "measure/metrics.py",
            {"score", "collect_answers", "make_ladders", "make_tables", "make_figures", "render_report"},
        ),
        ("models/training.py", set()),
        ("answering/classify.py", set()),
    ],
)
def test_an_edit_reruns_scores_and_report_and_never_a_training_or_an_answer(copied, module, rerun):
    path = ROOT / "scripts/nli" / module
    times = path.stat()
    try:
        path.touch()
        assert planned_jobs(*copied[1]).keys() == rerun
    finally:
        os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))


def test_edited_and_exchanged_results_are_named_and_remade_once_deleted(copied):
    results, arguments = copied
    metrics, answers = results / "roberta/full/seed42/metrics.json", results / "icl/prompt1/seed42/predictions.parquet"
    before = metrics.read_bytes(), answers.read_bytes()
    target = [str(results / "report/ladders.json"), "--cores", "2", *arguments]

    def refusal():
        done = snakemake(*target, check=False)
        assert done.returncode != 0
        return " ".join(done.stdout.split())  # long lines of a log are broken

    metrics.write_text(metrics.read_text().replace('"accuracy": 0.', '"accuracy": 0.9', 1))
    assert "metrics.json: edited after it was written" in refusal()
    shutil.copy(results / "roberta/lora/seed42/metrics.json", metrics)
    assert "metrics.json: it belongs to roberta/lora" in refusal()
    metrics.unlink()
    write_predictions(read_predictions(answers).iloc[:-20], answers, named_run(answers))
    assert "predictions.parquet: not the answers that run.json beside it records" in refusal()
    answers.unlink()
    snakemake(*target)
    assert (metrics.read_bytes(), answers.read_bytes()) == before


def test_second_clone_notices_changed_data_and_models(copied):
    _, arguments = copied
    jobs = planned_jobs(*arguments, "data={train_fraction: 0.5}")
    assert (jobs["write_data_spec"], jobs["sample_data"], jobs["make_model"]) == (1, 1, 2)
    assert "fetch_data" not in jobs
    jobs = planned_jobs(*arguments, "data={synthetic: {train: 96}}")
    assert (jobs["fetch_data"], jobs["sample_data"]) == (1, 1)
    jobs = planned_jobs(*arguments, "models={encoder: {recipe: {steps: 13}}}")
    assert (jobs["write_model_spec"], jobs["make_model"]) == (1, 1)
    assert jobs["finetune_roberta"] > 0
    assert not {"predict_icl", "finetune_qlora", "sample_data"} & jobs.keys()


def test_spec_is_written_again_and_what_depends_on_it_stays_old(copied):
    results, arguments = copied
    spec = results / "specs/roberta/lora/train.json"
    change = "experiments={roberta/lora: {lora: {r: 4}}}"
    snakemake(str(spec), "--cores", "1", *arguments, change)
    assert json.loads(spec.read_text())["lora"]["r"] == 4
    assert "write_spec" not in planned_jobs(str(spec), *arguments, change)
    assert planned_jobs(*arguments, change)["finetune_roberta"] == 1
    assert planned_jobs(str(spec), *arguments)["write_spec"] == 1  # and back


def test_changed_evaluation_retrains_nothing(smoke):
    _, arguments = smoke
    jobs = planned_jobs(*arguments, "families={qlora: {evaluation: {batch_size: 8}}}")
    assert jobs["predict_qlora"] == len(list(smoke[0].glob("qlora/*/seed42/run.json")))
    assert not {"finetune_qlora", "finetune_roberta", "predict_icl", "make_model"} & jobs.keys()


def test_changed_prompt_reruns_its_own_experiment(smoke):
    _, arguments = smoke
    jobs = planned_jobs(*arguments, "prompts={prompt1: {text: '{premise} {hypothesis} Label:'}}")
    assert jobs["predict_icl"] == 1
    assert "finetune_qlora" not in jobs


def test_same_seed_gives_the_same_bytes_with_and_without_the_fork_server(smoke):
    results, arguments = smoke
    names = ["roberta/prompt_tuning", "icl/prompt1", "qlora/attempt2", "linear_head/last_token"]
    folders = [results / name / "seed42" for name in names]
    before = [(folder / "predictions.parquet").read_bytes() for folder in folders]
    for folder in folders:
        shutil.rmtree(folder)
    snakemake("metrics", "--cores", "2", *arguments, "machine={fork_server: false}")
    assert list(results.glob("benchmarks/*/prompt_tuning.seed42.tsv"))  # Snakemake measures what it starts itself
    assert [(folder / "predictions.parquet").read_bytes() for folder in folders] == before


def test_report_is_made_again_from_records_and_answers_alone(smoke, tmp_path):
    results, arguments = smoke
    for folder in ("baseline", "roberta", "icl", "qlora", "linear_head", "data"):
        weights = shutil.ignore_patterns("model", "adapter", "head", "merged")
        shutil.copytree(results / folder, tmp_path / "demo" / folder, ignore=weights)
    arguments = [*arguments, f"results={tmp_path}", "finished_only=true"]
    planned = planned_jobs(*arguments).keys()
    assert "render_report" in planned
    assert not {rule for rule in planned if rule.startswith(("fetch", "finetune", "merge", "predict", "score"))}
    snakemake("--cores", "1", *arguments)
    again, before = (json.loads((folder / "summary.json").read_text()) for folder in (tmp_path / "demo", results))
    assert again == before


def test_report_of_what_finished_shows_a_missing_experiment_as_such(smoke):
    results, arguments = smoke
    folder = results / "icl/prompt3/seed42"
    away = results / "away"
    folder.rename(away)
    try:
        snakemake("--cores", "1", *arguments, "finished_only=true")
        assert "not run" in (results / "report.html").read_text()
    finally:
        if folder.exists():
            shutil.rmtree(folder)
        away.rename(folder)


def test_runs_are_scored_on_tune_where_one_chooses(tmp_path):
    splits = "families={baseline: {evaluation: {splits: [matched, tune]}}}"
    config = [f"results={tmp_path}", "only=[baseline/hypothesis_only]", splits]
    snakemake("metrics", "--cores", "2", "--configfile", str(SMOKE), "--config", *config)
    metrics = json.loads((tmp_path / "demo/baseline/hypothesis_only/seed42/metrics.json").read_text())
    assert {split: scored["classifier"]["n"] for split, scored in metrics["results"].items()} == {
        "matched": 96,
        "tune": 48,
    }


@pytest.mark.skipif(not REAL.exists(), reason="the shared MultiNLI rows are not here")
def test_real_rows_take_the_same_path(tmp_path):
    folder = tmp_path / "multinli"
    folder.mkdir()
    for name, rows in (("train", 300), ("validation_matched", 120), ("validation_mismatched", 60)):
        lines = (REAL / f"{name}.jsonl").read_text().splitlines()[:rows]
        (folder / f"{name}.jsonl").write_text("\n".join(lines) + "\n")
    snakemake(
        "--cores",
        "2",
        "--configfile",
        str(SMOKE),
        "--config",
        f"results={tmp_path}",
        f"data={{source: files, path: {folder}}}",
        "only=[baseline, roberta/full, icl/prompt4, qlora/attempt1]",
    )
    results = tmp_path / "demo"
    description = json.loads((results / "data/description.json").read_text())
    splits = {split: read_split(results / f"data/{split}.parquet") for split in ("train", "tune")}
    assert not set(splits["train"]["premise_id"]) & set(splits["tune"]["premise_id"])
    assert description["splits"]["tune"]["n"] == 60  # a fifth; the demo requests more
    assert 230 <= description["splits"]["train"]["n"] <= 240
    chosen = json.loads((results / "baseline/hypothesis_only/seed42/run.json").read_text())["chosen_on_tune"]
    assert 0 < chosen["tune_accuracy"] < 1
    metrics = json.loads((results / "roberta/full/seed42/metrics.json").read_text())
    assert metrics["results"]["matched"]["classifier"]["n"] == 120
    answers = read_predictions(results / "icl/prompt4/seed42/predictions.parquet")
    assert answers.groupby("scorer")["pair_id"].nunique().to_dict() == {
        "parsed": 24,
        "label_logp": 24,
        "calibrated_logp": 24,
    }
    assert (results / "report.html").exists()
