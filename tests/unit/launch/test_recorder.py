"""Snakemake's log becomes the journal; tests/workflow/test_live.py does this with a real run."""

import logging
import subprocess
import sys
import time

from conftest import ROOT

from nli.base.journal import NAME, read_journal
from nli.launch.live_page import NAME as PAGE
from nli.launch.recorder import Recorder, shorten


def record(event, text="", **keys):
    made = logging.LogRecord("snakemake", logging.INFO, "", 0, text, (), None)
    made.__dict__.update({"event": event, **keys})
    return made


def start(folder, job, name="lora"):
    outputs = [f"{folder}/roberta/{name}/seed42/model"]
    logs = [f"{folder}/logs/finetune_roberta/{name}.seed42.log"]
    return record("job_info", jobid=job, rule_name="finetune_roberta", output=outputs, log=logs, wildcards={})


def test_events_of_jobs_are_written_and_nothing_else(tmp_path):
    recorder = Recorder(tmp_path, jobs=3)
    said = "CalledProcessError in file x: Command 'python' returned non-zero exit status 137."
    for each in (
        start(tmp_path, 1),
        start(tmp_path, 2, "full"),
        record("progress", done=1, total=3),
        record("job_finished", job_id=2),
        record("error", said),
        record("job_error", jobid=1, rule_msg=None),
        record(None, "a line"),
        record("job_info"),  # of another version of Snakemake
    ):
        recorder.emit(each)
    journal = read_journal(tmp_path)
    assert [(job.name, job.state, job.message) for job in journal.jobs] == [
        ("roberta/lora/seed42", "failed", "returned non-zero exit status 137"),
        ("roberta/full/seed42", "finished", ""),
    ]
    assert journal.jobs[0].log == "logs/finetune_roberta/lora.seed42.log"
    assert (journal.planned, journal.finished) == (3, 1)


def test_earlier_runs_keep_one_attempt_at_each_job(tmp_path):
    for _ in range(5):
        recorder = Recorder(tmp_path, jobs=1)
        recorder.emit(start(tmp_path, 1))
        recorder.emit(record("job_error", jobid=1, rule_msg="no"))
    shorten(tmp_path)
    assert len((tmp_path / NAME).read_text().splitlines()) == 2
    assert [(job.state, job.message) for job in read_journal(tmp_path).jobs] == [("failed", "no")]


def test_folder_that_cannot_be_written_does_no_harm(tmp_path):
    (tmp_path / "logs").touch()
    Recorder(tmp_path, jobs=1).emit(start(tmp_path, 1))
    assert not read_journal(tmp_path).jobs


def test_page_is_written_for_the_last_time_when_snakemake_ends(tmp_path):
    command = [sys.executable, str(ROOT / "scripts/watch.py"), str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE) as watch:
        time.sleep(0.1)
        assert watch.poll() is None
        watch.stdin.close()
        assert watch.wait(timeout=60) == 0
    assert "refresh" not in (tmp_path / PAGE).read_text()
