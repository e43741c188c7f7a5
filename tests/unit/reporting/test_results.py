"""Files of a run that are edited, exchanged or broken: every job of the report names them and prints no number."""

import json
import shutil

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from unit.report_fixtures import load, make_results, make_run, rewrite, run_report_script

from nli.data.predictions import named_run, write_predictions
from nli.data.splits import write_split
from nli.reporting.results import blockers
from nli.reporting.summary import summarize

SCRIPTS = ("make_ladders.py", "make_tables.py", "make_figures.py")
FULL, LORA = "roberta/full/seed42", "roberta/lora/seed42"


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return make_results(tmp_path_factory.mktemp("made"), n=60, only=("roberta/full", "roberta/lora", "icl/prompt1"))


@pytest.fixture
def folder(made, tmp_path):
    return shutil.copytree(made, tmp_path / "demo")


def edit(path, change, seal=False):
    """Change a JSON file in place, as an editor would; with `seal`, as someone would who makes it fit."""
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))
    if seal:
        rewrite(path)


def matched(content):
    return content["results"]["matched"]["classifier"]


def edited_accuracy(folder):
    edit(folder / FULL / "metrics.json", lambda content: matched(content).update(accuracy=0.99))
    return "metrics.json: edited after it was written"


def missing_key(folder):
    edit(folder / FULL / "metrics.json", lambda content: matched(content).pop("per_class"), seal=True)
    return "metrics.json: results.matched.classifier.per_class: Field required"


def metrics_of_another_experiment(folder):
    shutil.copy(folder / LORA / "metrics.json", folder / FULL)
    return "metrics.json: it belongs to roberta/lora, seed 42, scale demo, not to roberta/full, seed 42, scale demo"


def metrics_of_another_seed(folder):
    edit(folder / FULL / "metrics.json", lambda content: content.update(seed=43), seal=True)
    return "metrics.json: it belongs to roberta/full, seed 43"


def metrics_of_an_earlier_run(folder):
    remade(folder, kept="metrics.json")
    return "metrics.json: computed from other answers than run.json records"


def metrics_of_an_earlier_version(folder):
    edit(folder / FULL / "metrics.json", lambda content: [content.pop(k) for k in ("content_sha256", "hashes")])
    return "metrics.json: it does not say what it was computed from"


def broken_metrics(folder):
    text = (folder / FULL / "metrics.json").read_text()
    (folder / FULL / "metrics.json").write_text(text[: len(text) // 2])
    return "metrics.json, line"


def metrics_that_are_no_text(folder):
    (folder / FULL / "metrics.json").write_bytes(b"\xff\xfe\x00")
    return "metrics.json: not JSON"


def run_of_another_experiment(folder):
    shutil.copy(folder / LORA / "run.json", folder / FULL)
    return "run.json: it belongs to roberta/lora"


def edited_parameters(folder):
    edit(folder / FULL / "run.json", lambda content: content["parameters"].update(trainable=7))
    return "run.json: edited after it was written"


def run_without_a_key(folder):
    edit(folder / FULL / "run.json", lambda content: content["parameters"].pop("total"), seal=True)
    return "run.json: parameters.total: Field required"


def unsealed_run(folder):
    edit(folder / FULL / "run.json", lambda content: content.pop("content_sha256"))
    return "run.json: its content: Value error, needs all of hashes, predictions and content_sha256"


def dropped_rows(folder):
    changed(folder, lambda frame: frame.iloc[:-20])
    return "predictions.parquet: not the answers that run.json beside it records"


def changed_gold(folder):
    changed(folder, lambda frame: frame.assign(gold=frame["pred"]))
    return "predictions.parquet: not the answers that run.json beside it records"


def changed(folder, change):
    path = folder / FULL / "predictions.parquet"
    write_predictions(change(pd.read_parquet(path)), path, named_run(path))


def answers_of_another_experiment(folder):
    shutil.copy(folder / LORA / "predictions.parquet", folder / FULL)
    return "predictions.parquet: it belongs to roberta/lora"


def answers_of_an_earlier_run(folder):
    remade(folder, kept="predictions.parquet")
    return "metrics.json"  # of the other run.json: both files differ, and the first is named


def remade(folder, kept):
    """The same experiment, run again with other answers; one file is still the first run's."""
    run = folder / FULL
    shutil.copy(run / kept, folder / kept)
    spec = json.loads((folder / "study.json").read_text())["experiments"]["roberta/full"]
    rest = "metrics.json" if kept == "predictions.parquet" else kept
    first = (run / rest).read_bytes()
    make_run(run, "roberta/full", spec, "demo", 60, np.random.default_rng(9))
    (run / rest).write_bytes(first)
    shutil.copy(folder / kept, run)


def history_of_another_experiment(folder):
    shutil.copy(folder / LORA / "history.json", folder / FULL)
    return "history.json: not the file that the training wrote"


def missing_answers(folder):
    (folder / FULL / "predictions.parquet").unlink()
    return "predictions.parquet: no such file"


def truncated_answers(folder):
    path = folder / FULL / "predictions.parquet"
    path.write_bytes(path.read_bytes()[:500])
    return "predictions.parquet: not a readable Parquet file"


def answers_to_other_rows(folder):
    path = folder / "data/matched.parquet"
    write_split(pq.read_table(path).to_pandas().iloc[::-1], path)
    return "run.json: it did not answer the rows of"


def another_setting(folder):
    def change(content):
        content["experiments"]["roberta/full"]["tokenization"]["max_length"] = 64

    edit(folder / "study.json", change)
    return "run.json: made with another 'tokenization' than the study's"


WRONG = [
    edited_accuracy,
    missing_key,
    metrics_of_another_experiment,
    metrics_of_another_seed,
    metrics_of_an_earlier_run,
    metrics_of_an_earlier_version,
    broken_metrics,
    metrics_that_are_no_text,
    run_of_another_experiment,
    edited_parameters,
    run_without_a_key,
    unsealed_run,
    dropped_rows,
    changed_gold,
    answers_of_another_experiment,
    answers_of_an_earlier_run,
    history_of_another_experiment,
    missing_answers,
    truncated_answers,
    answers_to_other_rows,
    another_setting,
]


@pytest.mark.parametrize("wrong", WRONG)
def test_every_job_of_the_report_names_a_wrong_file_and_what_remakes_it(folder, wrong):
    said = wrong(folder)
    for script in SCRIPTS:
        done = run_report_script(script, folder)
        assert done.returncode == 1
        assert done.stderr.count("\n") == 1
        assert said in done.stderr
        assert str(folder) in done.stderr
        assert "rerun" in done.stderr
        assert not (folder / "summary.json").exists()


def test_scores_that_were_made_to_fit_do_not_pass_the_count_of_the_answers(folder):
    edit(folder / FULL / "metrics.json", lambda content: matched(content).update(accuracy=0.99), seal=True)
    true = matched(json.loads((folder / FULL / "metrics.json").read_text()))["correct"] / 60
    done = run_report_script("make_ladders.py", folder)
    assert done.returncode == 1
    place = f"{folder / FULL / 'metrics.json'}: results.matched.classifier.accuracy is 0.99"
    assert done.stderr.startswith(f"error: {place}, but the predictions give {true}; delete it and rerun")


def test_report_on_what_finished_shows_the_wrong_ones_reason_and_the_others_numbers(folder):
    edited_accuracy(folder)
    shutil.rmtree(folder / "icl/prompt1")
    edit(folder / "study.json", lambda study: study.update(finished_only=True))
    for script in SCRIPTS:
        done = run_report_script(script, folder)
        assert done.returncode == 0, done.stderr
    summary = json.loads((folder / "summary.json").read_text())["experiments"]
    assert {key: summary[key]["status"] for key in ("roberta/full", "roberta/lora", "icl/prompt1")} == {
        "roberta/full": "failed",
        "roberta/lora": "done",
        "icl/prompt1": "not run",
    }
    assert summary["roberta/full"]["problem"].startswith("roberta/full/seed42/metrics.json: edited after")
    assert "0.99" not in json.dumps(summary)
    assert "edited after it was written" in (folder / "report/make_tables/experiments.md").read_text()


def test_report_on_what_finished_says_why_a_job_failed(folder):
    shutil.rmtree(folder / "icl/prompt1")
    (folder / LORA / "run.json").unlink()  # it was trained, but not asked
    (folder / LORA / "metrics.json").unlink()
    events = [{"event": "run"}]
    for job, (name, log) in enumerate({"icl/prompt1/seed42": "a.log", LORA: "b.log", FULL: "c.log"}.items()):
        events.append({"event": "started", "job": job, "rule": "predict", "name": name, "log": f"logs/{log}"})
        events.append({"event": "failed", "job": job, "message": "returned non-zero exit status 1"})
    (folder / "logs").mkdir()
    (folder / "logs/jobs.jsonl").write_text("".join(json.dumps({"time": 1, **event}) + "\n" for event in events))
    (folder / "logs/a.log").write_text("Traceback (most recent call last):\n  File\nValueError: <b>no</b>\n")
    edit(folder / "study.json", lambda study: study.update(finished_only=True))
    for script in SCRIPTS:
        done = run_report_script(script, folder)
        assert done.returncode == 0, done.stderr
    summary = json.loads((folder / "summary.json").read_text())["experiments"]
    assert summary["icl/prompt1"]["problem"] == "predict: ValueError: <b>no</b>"
    assert summary["roberta/lora"]["problem"] == "predict: returned non-zero exit status 1"
    assert {summary[key]["status"] for key in ("icl/prompt1", "roberta/lora")} == {"failed"}
    assert summary["roberta/full"]["status"] == "done"  # an earlier failure, which a later run made good
    missing = (folder / "report/make_tables/findings.md").read_text()
    assert "(predict: ValueError: \\<b\\>no\\</b\\>)" in missing


def test_what_did_not_run_names_what_it_waited_for():
    reasons = {"qlora/attempt2/seed42": "finetune_qlora: no", "fetch_model decoder": "d", "fetch_model encoder": "e"}
    assert blockers({"family": "qlora", "adapter": "qlora/attempt2"}, [42], reasons) == [
        "needs qlora/attempt2/seed42, which failed"
    ]
    assert blockers({"family": "qlora", "adapter": "qlora/attempt1"}, [42], reasons) == ["d"]
    assert blockers({"family": "roberta"}, [42], {**reasons, "make_tables": "t"}) == ["e"]


def test_ladders_that_were_edited_or_measured_from_other_answers_are_refused(folder, tmp_path):
    ladders = folder / "report/ladders.json"
    other = make_results(tmp_path / "other", n=60, seed=1, only=("roberta/full",))
    first = ladders.read_text()
    edit(ladders, lambda content: content["pairs"].update(split="tune"))
    for said in ("edited after it was written", "measured from other answers than those of roberta/full, seed 42"):
        done = run_report_script("make_tables.py", folder)
        assert done.returncode == 1
        assert f"{ladders}: {said}" in done.stderr
        shutil.copy(other / "report/ladders.json", ladders)
    ladders.write_text(first)
    assert run_report_script("make_tables.py", folder).returncode == 0


def test_untouched_results_pass_and_give_the_same_summary(folder):
    assert run_report_script("make_ladders.py", folder).returncode == 0
    assert json.loads((folder / "summary.json").read_text()) == json.loads(json.dumps(summarize(load(folder))))
