"""What became of the jobs, and the one line that says why a job failed."""

import json
import os
from pathlib import Path

import pytest

from nli.base.journal import NAME, failures, last_error, name_of, read_journal

BAR = "\r 88%|████▊ | 740/846 [00:23<00:03, 33.92it/s]\r 89%|████▉ | 750/846 [00:24<00:03, 33.92it/s]"
TRACEBACK = """Traceback (most recent call last):
  File "scripts/finetune_roberta.py", line 47, in <module>
    run_main(main)
  File "torch/nn/modules/linear.py", line 125, in forward
    return F.linear(input)
           ^^^^^^^^^^^^^^^
"""
CHAINED = f"""Traceback (most recent call last):
  File "a.py", line 1, in <module>
KeyError: 'first'

During handling of the above exception, another exception occurred:

{TRACEBACK}ValueError: the second
"""


def write(folder: Path, *events: dict) -> None:
    path = folder / NAME
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps({"time": 100 + i, **event}) + "\n" for i, event in enumerate(events)))


def started(job: int, name: str, rule: str = "finetune_roberta") -> dict:
    return {"event": "started", "job": job, "rule": rule, "name": name, "log": f"logs/{rule}/{name.split('/')[1]}.log"}


def states(folder: Path) -> dict[str, str]:
    return {job.name: job.state for job in read_journal(folder).jobs}


def test_the_last_attempt_at_a_job_counts(tmp_path):
    write(
        tmp_path,
        {"event": "run", "jobs": 5},
        started(1, "roberta/a/seed1"),
        {"event": "failed", "job": 1, "message": ""},
        started(2, "roberta/b/seed1"),
        started(1, "roberta/a/seed1"),
        {"event": "finished", "job": 2},
    )
    journal = read_journal(tmp_path)
    assert states(tmp_path) == {"roberta/a/seed1": "running", "roberta/b/seed1": "finished"}
    assert (journal.begun, journal.ended, journal.planned, journal.finished) == (100, None, 5, 1)


def test_what_a_killed_run_left_is_interrupted_and_a_failure_stays_until_it_is_tried_again(tmp_path):
    events = [
        {"event": "run", "jobs": 5},
        started(1, "roberta/a/seed1"),
        started(2, "roberta/b/seed1"),
        {"event": "failed", "job": 2, "message": "no memory"},
        {"event": "run", "jobs": 1},
        started(2, "roberta/c/seed1"),
        {"event": "finished", "job": 2},
        {"event": "ended"},
    ]
    write(tmp_path, *events)
    with (tmp_path / NAME).open("a") as file:
        file.write('{"event": "star')  # a full disk
    assert states(tmp_path) == {
        "roberta/a/seed1": "interrupted",
        "roberta/b/seed1": "failed",
        "roberta/c/seed1": "finished",
    }
    assert failures(tmp_path) == {"roberta/b/seed1": "finetune_roberta: no memory"}
    assert read_journal(tmp_path / "elsewhere").jobs == ()


def test_a_job_is_named_by_the_run_that_it_works_for():
    assert name_of(["results/demo/qlora/a_1/seed7/adapter"], "finetune_qlora", {}) == "qlora/a_1/seed7"
    assert name_of(["results/demo/models/hub/encoder"], "fetch_model", {"role": "encoder"}) == "fetch_model encoder"


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (f"{BAR}\n{TRACEBACK}ValueError: no such value\n", "ValueError: no such value"),
        (f"{TRACEBACK}torch.OutOfMemoryError: out of memory.\n{BAR}", "torch.OutOfMemoryError: out of memory."),
        (CHAINED, "ValueError: the second"),
        (f"{TRACEBACK}RuntimeError: Error(s) in a:\n\tsize mismatch.\n", "RuntimeError: Error(s) in a: size mismatch."),
        (f"{TRACEBACK}KeyboardInterrupt\n", "KeyboardInterrupt"),
        (f"{BAR}\nerror: training diverged: the loss is nan\n", "training diverged: the loss is nan"),
        (f"{TRACEBACK}ValueError: before\n{BAR}\nerror: after\n", "after"),
        (f"error: before\n{TRACEBACK}ValueError: after\nException ignored in: <function f>\n", "ValueError: after"),
        (f"{BAR}error: the job was killed; why?\n", "the job was killed; why?"),
        (f"{BAR}\nslurmstepd: error: Detected 1 oom_kill\n", "slurmstepd: error: Detected 1 oom_kill"),
        ("\x1b[31mFatal Python error: a fault\x1b[0m\n\nCurrent thread 0x1:\n", "Fatal Python error: a fault"),
        (BAR, ""),
        ("", ""),
    ],
)
def test_the_error_that_ended_a_job_is_found_in_its_log(tmp_path, text, line):
    (tmp_path / "log").write_text(text)
    assert last_error(tmp_path / "log") == line


def test_error_has_one_line_without_paths_of_this_machine(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(Path, "home", lambda: Path("/home/me"))
    text = f"error: {tmp_path}/results/a.json and /home/me/data: {'x' * 1000}\n"
    (tmp_path / "log").write_text(text)
    found = last_error(tmp_path / "log")
    assert found.startswith("results/a.json and ~/data: xxx")
    assert len(found) == 300


@pytest.mark.parametrize(
    ("message", "log", "reason"),
    [
        ("SLURM-job '7' failed, SLURM status is: 'TIMEOUT'. Reason: x.", BAR, "ran out of time (SLURM: TIMEOUT)"),
        ("SLURM-job '7' failed, SLURM status is: 'OUT_OF_MEMORY'.", BAR, "ran out of memory (SLURM: OUT_OF_MEMORY)"),
        ("SLURM-job '7' failed, SLURM status is: 'FAILED'.", f"{TRACEBACK}ValueError: no\n", "ValueError: no"),
        ("returned non-zero exit status 2", BAR, "returned non-zero exit status 2"),
        ("", None, "ended without an error in its log"),
    ],
)
def test_reason_is_the_clusters_where_it_ended_the_job_and_else_the_logs(tmp_path, message, log, reason):
    write(tmp_path, {"event": "run"}, started(1, "roberta/a/seed1"), {"event": "failed", "job": 1, "message": message})
    if log is not None:
        (tmp_path / "logs/finetune_roberta").mkdir()
        (tmp_path / "logs/finetune_roberta/a.log").write_text(log)
    assert failures(tmp_path) == {"roberta/a/seed1": f"finetune_roberta: {reason}"}


def test_log_of_an_earlier_attempt_is_not_the_reason(tmp_path):
    write(
        tmp_path,
        {"event": "run"},
        {**started(1, "roberta/a/seed1"), "time": 10_000},
        {"event": "failed", "job": 1, "message": "not submitted"},
    )
    (tmp_path / "logs/finetune_roberta").mkdir()
    log = tmp_path / "logs/finetune_roberta/a.log"
    log.write_text("error: of last week\n")
    os.utime(log, (5000, 5000))
    assert failures(tmp_path) == {"roberta/a/seed1": "finetune_roberta: not submitted"}
