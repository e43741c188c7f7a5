"""The state of a study from its files: for the terminal, and as a page."""

import json
import os
from pathlib import Path

import pytest

from nli.base.atomic import write_json
from nli.base.journal import NAME, duration
from nli.base.progress import NAME as PROGRESS
from nli.launch.live import read_state
from nli.launch.live_page import NAME as PAGE
from nli.launch.live_page import page, status_lines, write_page

START = 1_700_000_000
KEYS = ("roberta/full", "roberta/lora", "icl/prompt1", "qlora/attempt1", "qlora/attempt2")


@pytest.fixture
def folder(tmp_path):
    """A study at some moment: one run is done, one trains, one answers, one has failed, one waits."""
    experiments = {key: {"family": key.split("/")[0], "origin": "ours"} for key in KEYS}
    write_json(tmp_path / "study.json", {"scale": "demo", "seeds": [1], "only": [], "experiments": experiments})
    write_json(tmp_path / "roberta/full/seed1/metrics.json", {})
    rules = ("score", "finetune_roberta", "predict_icl", "finetune_qlora")
    events = [{"event": "run", "jobs": 9}]
    for job, (key, rule) in enumerate(zip(KEYS, rules, strict=False)):
        log = f"logs/{rule}/{key.split('/')[1]}.seed1.log"
        events.append({"event": "started", "job": job, "rule": rule, "name": f"{key}/seed1", "log": log})
        write_text(tmp_path / log, "", START)
    events += [{"event": "finished", "job": 0}, {"event": "failed", "job": 3, "message": ""}]
    write_text(tmp_path / NAME, "".join(json.dumps({"time": START, **event}) + "\n" for event in events), START)
    write_text(tmp_path / "logs/finetune_qlora/attempt1.seed1.log", "error: <b>no</b> such file\n", START)
    write_text(tmp_path / "logs/predict_icl/prompt1.seed1.log", "32 of 3000 answered\n1064 of 3000 answered\n", START)
    progress = {"step": 100, "steps": 700, "seconds_per_step": 2.0}
    write_text(tmp_path / f"checkpoints/roberta/lora/seed1-0123/{PROGRESS}", json.dumps(progress), START + 60)
    write_text(tmp_path / f"checkpoints/roberta/lora/seed1-old/{PROGRESS}", '{"step": 1', START - 9000)
    return tmp_path


def write_text(path: Path, text: str, at: float) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    os.utime(path, (at, at))


def test_terminal_shows_what_is_done_runs_and_failed(folder):
    assert status_lines(read_state(folder, running=True, at=START + 120), "results/demo") == [
        "results/demo: running since 2023-11-14 22:13 UTC (2 min), 1 of 9 jobs done",
        "  experiments and seeds: 1 done, 2 running, 1 failed, 1 waiting",
        "Running:",
        "  roberta/lora/seed1, finetune roberta: step 100 of 700, 2 s each, 19 min left",
        "  icl/prompt1/seed1, predict icl: 1,064 of 3,000 pairs of a set answered",
        "Failed:",
        "  qlora/attempt1/seed1, finetune qlora: <b>no</b> such file "
        "(results/demo/logs/finetune_qlora/attempt1.seed1.log)",
    ]


def test_killed_run_has_no_running_jobs(folder):
    lines = status_lines(read_state(folder, running=False, at=START + 120), "results/demo")
    assert lines[0] == "results/demo: interrupted; started at 2023-11-14 22:13 UTC, 1 of 9 jobs done"
    assert lines[1] == "  experiments and seeds: 1 done, 1 failed, 3 waiting"
    assert "Running:" not in lines


def test_training_that_says_nothing_for_long_is_said_to(folder):
    doing = read_state(folder, running=True, at=START + 4000).active[0].doing
    assert doing.endswith("; last sign of life 1 h 6 min ago")


def test_job_without_output_may_wait_in_a_queue(folder):
    (folder / "logs/finetune_roberta/lora.seed1.log").unlink()
    assert read_state(folder, running=True).active[0].doing == "no output yet; on a cluster it may wait in the queue"


def test_page_reloads_while_the_study_runs_and_is_only_text(folder):
    html = page(read_state(folder, running=True, at=START + 120))
    assert '<meta http-equiv="refresh" content="10">' in html
    assert "&lt;b&gt;no&lt;/b&gt; such file" in html
    assert "<b>" not in html
    assert "http" not in html.replace("http-equiv", "")
    assert "<script" not in html
    for word in ("step 100 of 700", 'value="1" max="9"', "qlora/attempt2/seed1</td><td>waiting"):
        assert word in html
    assert "refresh" not in page(read_state(folder, running=False))


def test_page_of_a_folder_without_a_study_is_written_too(tmp_path):
    write_page(tmp_path, read_state(tmp_path, running=True))
    assert "no job has started" in (tmp_path / PAGE).read_text()
    assert [path.name for path in tmp_path.iterdir()] == [PAGE]


@pytest.mark.parametrize(
    ("seconds", "words"), [(0.4, "0 s"), (59, "59 s"), (61, "1 min"), (4000, "1 h 7 min"), (200_000, "2 d 7 h")]
)
def test_times_are_words(seconds, words):
    assert duration(seconds) == words
