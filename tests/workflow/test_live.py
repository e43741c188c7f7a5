"""What status, page and report say about a real run: while it trains, after it was killed, and of jobs that failed."""

import contextlib
import signal
import subprocess
from pathlib import Path

import psutil
from conftest import ROOT
from workflow.conftest import SMOKE, snakemake
from workflow.test_locks import ENVIRONMENT, endless_training, wait_until

OVERFLOWS = "roberta/head_only: {training: {learning_rate: 1.0e+38}}"  # PyTorch raises an exception, with speed: plain
ENDLESS = "roberta/bitfit: {training: {epochs: 100000}}"
KILLED = "finetune_roberta: the job was killed; did the machine run out of memory?"
OVERFLOWED = "finetune_roberta: RuntimeError: value cannot be converted to type float without overflow"


def status(results: Path) -> list[str]:
    command = ["snakemake", "--cores", "1", "status", "--quiet", "all", "--config", f"results={results}"]
    done = subprocess.run(command, cwd=ROOT, env=ENVIRONMENT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.splitlines()


def test_a_running_training_shows_its_step_and_a_killed_run_that_it_was_interrupted(tmp_path):
    page = tmp_path / "demo/status.html"
    with endless_training(tmp_path) as (process, _):
        wait_until(lambda: page.exists() and "each," in page.read_text())
        assert 'http-equiv="refresh"' in page.read_text()
        lines = status(tmp_path)
        assert " jobs done" in lines[0]
        assert lines[0].startswith(f"{tmp_path}/demo: running since")
        step = next(line for line in lines if line.startswith("  roberta/head_only/seed42, finetune roberta: step "))
        assert step.endswith(" left")
        assert not [line for line in lines if line.startswith(("Missing", "error"))]
        process.send_signal(signal.SIGKILL)
        process.wait()
        wait_until(lambda: "refresh" not in page.read_text())
    assert "<p>interrupted; started at" in page.read_text()
    assert status(tmp_path)[0].startswith(f"{tmp_path}/demo: interrupted; started at")


def test_report_and_status_say_why_experiments_are_missing(tmp_path):
    config = [f"results={tmp_path}", "only=[baseline/majority, roberta/head_only, roberta/bitfit]"]
    config += [f"experiments={{{OVERFLOWS}, {ENDLESS}}}", "machine={fork_server: false}", "speed=plain"]
    config.append("models={encoder: {source: path, name: models/encoder}}")
    arguments = ["--cores", "2", "--configfile", str(SMOKE), "--config", *config]
    streams = dict.fromkeys(("stdout", "stderr"), subprocess.DEVNULL)
    with subprocess.Popen(
        ["snakemake", *arguments], cwd=ROOT, env=ENVIRONMENT, start_new_session=True, **streams
    ) as run:
        try:
            wait_until(
                lambda: any(tmp_path.glob("demo/checkpoints/roberta/bitfit/*/progress.json")) or run.poll() is not None
            )
            for process in psutil.Process(run.pid).children(recursive=True):
                with contextlib.suppress(psutil.Error):
                    if "scripts/finetune_roberta.py" in process.cmdline() and "bitfit" in str(process.cmdline()):
                        process.kill()
            assert run.wait(timeout=300) == 1
        finally:
            run.kill()
    failed = dict(line.strip().split(", ", 1) for line in status(tmp_path) if line.startswith("  roberta/"))
    assert failed.keys() == {"roberta/head_only/seed42", "roberta/bitfit/seed42"}
    assert failed["roberta/bitfit/seed42"].startswith(KILLED.replace("_", " "))
    assert failed["roberta/head_only/seed42"].startswith(OVERFLOWED.replace("_", " "))
    snakemake(*arguments, "finished_only=true")
    html = " ".join((tmp_path / "demo/report.html").read_text().split())
    assert KILLED in html.replace("&nbsp;", " ")
    assert OVERFLOWED in html
