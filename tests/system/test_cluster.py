"""The study on a real SLURM cluster of two nodes: the whole study, and failures of clusters."""

import itertools
import json
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from conftest import ROOT
from system.slurm import Cluster, Study, answers, overlap, report_without_measures, run_id, runs, wait_until

SMOKE = ["--configfile", str(ROOT / "tests/workflow/smoke.yaml")]
NO_CONTAINERS = ["--sdm", "env-modules"]  # no rule names a module
REVIEWED = (ROOT / "tests/workflow/sbatch_lines.txt").read_text()
GPU_RULES = set(re.findall(r"^(\w+), attempt 1: .* -p gpu ", REVIEWED, flags=re.MULTILINE))
TRAINING = "results/demo/roberta/lora/seed42/training.json"
LORA_LOG = "finetune_roberta/lora.seed42.log"


@pytest.fixture(scope="module")
def cluster():
    """The throw-away cluster, installed if it is missing."""
    with tempfile.TemporaryDirectory(prefix="nli-", ignore_cleanup_errors=True) as name:
        Path(name).chmod(0o755)
        cluster = Cluster(Path(name) / "cluster")
        if not shutil.which("slurmd", path=cluster.environment["PATH"] + ":/usr/sbin"):
            cluster.script("install")
        try:
            cluster.script("start")
            yield cluster
        finally:
            if (cluster.folder / "slurm.conf").exists():  # a start that failed half-way leaves daemons running
                cluster.script("stop")


@pytest.fixture(scope="module")
def shared_folder():
    """A folder that every node sees, unlike pytest's own below a private one."""
    with tempfile.TemporaryDirectory(prefix="nli-study-", ignore_cleanup_errors=True) as name:
        Path(name).chmod(0o755)
        yield Path(name)


def rule_of(record) -> str:
    """The rule in a job's comment: rule_NAME or rule_NAME_wildcards_..."""
    return record.rule.removeprefix("rule_").split("_wildcards_")[0]


# ---------------------------------------------------------------------------------------------- the whole study


@pytest.fixture(scope="module")
def local(request, shared_folder, cluster):
    """A run on this machine: its results, and the options and configuration for a comparable run on the cluster.

    With Apptainer it is the run of the container tests, with their images. NLI_SYSTEM_STUDY names a smaller study (a
    --configfile), which runs without containers.
    """
    smaller = cluster.environment.get("NLI_SYSTEM_STUDY")
    if shutil.which("apptainer") and not smaller:
        results, images = request.getfixturevalue("demo"), request.getfixturevalue("checkout") / "containers"
        for name in ("APPTAINER_USERNS", "HOME"):
            cluster.environment[name] = request.getfixturevalue("environment")[name]
        config = [f"containers={{study: {images}/study.sif, report: {images}/report.sif}}"]
        return results, [], config
    options = ["--configfile", str(Path(smaller).resolve())] if smaller else []
    command = ["snakemake", "--workflow-profile", "none", "--cores", "2", "--nolock", *options]
    results = shared_folder / "local"
    environment = {**cluster.environment, "PATH": f"{Path(sys.executable).parent}:{cluster.environment['PATH']}"}
    done = subprocess.run(
        [*command, "--config", f"results={results}"], cwd=ROOT, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-6000:]
    return results / "demo", [*options, *NO_CONTAINERS], []


@pytest.fixture(scope="module")
def whole(cluster, shared_folder, local):
    """The same study run with the profile: the study, Snakemake's output, and sacct's records."""
    _, options, config = local
    study = Study.copied(shared_folder / "whole", cluster, ["results=results", *config], options)
    output = study.run(seconds=3000)
    return study, output, cluster.records(run_id(output))


def test_every_job_but_the_local_ones_ran_under_slurm(whole):
    study, _, records = whole
    experiments = json.loads((study.results / "study.json").read_text())["experiments"]
    families = [key.split("/")[0] for key in experiments]
    borrowing = [spec["method"] for spec in experiments.values() if spec.get("adapter")]  # another's adapter
    counts = {rule: sum(rule_of(record) == rule for record in records) for rule in map(rule_of, records)}
    assert {record.state for record in records} == {"COMPLETED"}
    assert counts == {
        "sample_data": 1,
        "make_model": 2,
        "finetune_roberta": families.count("roberta"),
        "predict_roberta": families.count("roberta"),
        "predict_icl": families.count("icl"),
        "finetune_qlora": families.count("qlora") - len(borrowing),
        "merge_adapter": borrowing.count("merge"),
        "predict_qlora": families.count("qlora"),
        "finetune_linear_head": families.count("linear_head"),
        "predict_linear_head": families.count("linear_head"),
        "predict_baseline": families.count("baseline"),
        "score": len(families),
        "collect_answers": 1,
        "make_ladders": 1,
        "make_tables": 1,
        "make_figures": 1,
        "render_report": 1,
    }


def test_gpu_jobs_ran_on_the_gpu_node_with_one_gpu_and_others_with_none(whole):
    for record in whole[2]:
        if rule_of(record) in GPU_RULES:
            assert (record.partition, record.node, record.gpus) == ("gpu", "gpu1", 1)
        else:
            assert (record.partition, record.gpus) == ("cpu", 0)


def test_jobs_ran_side_by_side_on_both_nodes(whole):
    pairs = [pair for pair in itertools.combinations(whole[2], 2) if overlap(*pair)]
    assert any(first.node != second.node for first, second in pairs)
    assert any(first.node == second.node == "gpu1" and first.gpus and second.gpus for first, second in pairs)


def test_answers_and_report_are_those_of_a_run_on_this_machine(whole, local, tmp_path):
    here, there = local[0], whole[0].results
    assert answers(here)
    assert answers(there) == answers(here)
    ours, theirs = (report_without_measures(path, tmp_path / path.parent.name) for path in (here, there))
    assert [name for name in ours if ours[name] != theirs.get(name)] == []
    assert ours.keys() == theirs.keys()
    assert (there / "report.pdf").read_bytes().startswith(b"%PDF")


def test_second_command_submits_nothing(whole):
    assert "Nothing to be done" in whole[0].run(seconds=120)


def test_efficiency_report_covers_every_job(whole):
    study, output, records = whole
    report = study.folder / f"logs/slurm/efficiency_report_{run_id(output)}.csv"
    jobs = {line.split(",")[1].split(".")[0] for line in report.read_text().splitlines()[1:]}
    assert jobs == {record.job for record in records}


def test_four_cpu_jobs_share_a_node_of_four_cpus_and_16_gb(cluster):
    request = shlex.split(re.search(r"^score, attempt 1: (.*)$", REVIEWED, flags=re.MULTILINE)[1])
    submit = ["sbatch", "--parsable", *request, "--nodelist=cpu1", "--output=/dev/null", "--wrap=sleep 120"]
    jobs = [cluster.ask(*submit).strip() for _ in range(5)]
    try:
        wait_until(lambda: len(set(jobs) & cluster.running().keys()) == 4, "four jobs on one node", seconds=60)
        pending = ["squeue", "--noheader", "--states=PENDING", "--format=%r"]  # "None" until the scheduler's next turn
        wait_until(lambda: cluster.ask(*pending).split() == ["Resources"], "a fifth that waits for room", seconds=60)
        assert len(set(jobs) & cluster.running().keys()) == 4  # the fifth has not started
    finally:
        cluster.ask("scancel", *jobs)


# ---------------------------------------------------------------------------------------------- faults


@pytest.fixture(scope="module")
def prepared(cluster, shared_folder):
    """Data and a tiny encoder, made on the cluster, and a training of two steps a second on any machine."""
    config = ["results=results", "only=[roberta/lora]"]
    study = Study.copied(shared_folder / "prepared", cluster, config, [*SMOKE, *NO_CONTAINERS])
    study.run("results/demo/models/made/encoder", "results/demo/data/matched.parquet")
    study.edit(
        "scripts/nli/models/training.py",
        "        if state.global_step >= self.steps:\n            return\n",
        "        import time; time.sleep(0.5)\n        if state.global_step >= self.steps:\n            return\n",
    )
    return study


def steps(number: int) -> str:
    """Configuration of a LoRA training of `number` slowed steps, two a second."""
    return f"families={{roberta: {{training: {{epochs: {number // 12}, checkpoint_steps: 12}}}}}}"


def test_job_killed_at_its_time_limit_gets_more_time_and_resumes(prepared, cluster, tmp_path):
    study = prepared.clone(tmp_path / "study", steps(24), "machine={jobs: {gpu_small: {runtime: 1}}}")
    study.edit(  # the first session to pass step 12's checkpoint hangs; an earlier one may end before it
        "scripts/nli/models/training.py",
        "time.sleep(0.5)\n",
        "time.sleep(0.5)\n"
        "        if state.global_step == 14 and not (hung := Path('hung')).exists():\n"
        "            hung.touch()\n"
        "            time.sleep(3600)\n",
    )
    output = study.run(TRAINING)
    records = cluster.records(run_id(output))
    assert records[0].state == "TIMEOUT"
    assert records[-1].state == "COMPLETED"
    assert [record.minutes for record in records] == [attempt + 1 for attempt in range(len(records))]
    assert re.search(r"resuming from \S+/checkpoint-\d+", study.log(LORA_LOG))
    assert json.loads((study.folder / TRAINING).read_text())
    history = json.loads((study.results / "roberta/lora/seed42/history.json").read_text())
    assert history["train"]["steps"] == 24


def test_job_killed_for_memory_gets_more_memory(prepared, cluster, tmp_path):
    study = prepared.clone(tmp_path / "study", steps(24), "machine={jobs: {gpu_small: {mem_mb: 500}}}")
    output = study.run(TRAINING)
    records = cluster.records(run_id(output))
    assert records[0].state == "FAILED"  # OUT_OF_MEMORY if control groups enforce the limit
    assert "memory limit" in study_log_of(study, records[0]).lower()
    assert records[-1].state == "COMPLETED"
    assert [record.memory for record in records] == [f"{500 * (n + 1)}M" for n in range(len(records))]


def study_log_of(study: Study, record) -> str:
    """SLURM's and Snakemake's logs of a job."""
    return next((study.folder / "logs/slurm").rglob(f"{record.job}.log")).read_text()


def test_job_that_loses_its_node_is_run_on_the_other_and_resumes(prepared, cluster, tmp_path):
    study = prepared.clone(tmp_path / "study", steps(60))
    on_any_node = ["--set-resources", "finetune_roberta:slurm_partition=cpu", "finetune_roberta:gpu=0"]
    process = study.start(TRAINING, *on_any_node)
    try:
        checkpoints = study.results / "checkpoints"
        wait_until(lambda: list(checkpoints.rglob("manifest.json")), "a checkpoint")
        (job,) = cluster.running()
        cluster.ask("scontrol", "update", "nodename=cpu1", "state=down", "reason=test")
        output = study.finish(process)
    finally:
        cluster.ask("scontrol", "update", "nodename=cpu1", "state=resume")
    first, *_, last = cluster.records(run_id(output), every=True)
    assert (first.job, first.node) == (job, "cpu1")
    assert first.state in ("NODE_FAIL", "REQUEUED")
    assert (last.job, last.node, last.state) == (job, "gpu1", "COMPLETED")
    assert "resuming from" in study.log(LORA_LOG)


def test_second_command_continues_after_everything_was_cancelled(prepared, cluster, tmp_path):
    study = prepared.clone(tmp_path / "study", steps(60))
    process = study.start("metrics")
    wait_until(lambda: list((study.results / "checkpoints").rglob("manifest.json")), "a checkpoint")
    cluster.ask("scancel", "--account=study")
    wait_until(lambda: not cluster.ask("squeue", "--noheader"), "the jobs' end")
    # Plugin 2.8 takes sacct's "CANCELLED by 1000" for a running job, so Snakemake must be stopped too.
    process.send_signal(signal.SIGINT)
    output = study.finish(process, check=False, seconds=120)
    assert process.returncode != 0
    assert [record.state for record in cluster.records(run_id(output))] == ["CANCELLED"]
    again = study.run("metrics")
    rules = [rule_of(record) for record in cluster.records(run_id(again))]
    assert rules == ["finetune_roberta", "predict_roberta", "score"]
    assert "resuming from" in study.log(LORA_LOG)


@pytest.mark.parametrize(
    ("line", "wrong", "message"),
    [
        ("account: study", "account: nobodys", "no account 'nobodys' for you; it has "),
        ("gpu_partition: gpu", "gpu_partition: big", "no partition 'big' for you; it has cpu, gpu"),
    ],
)
def test_unknown_account_or_partition_is_one_line_before_anything_is_submitted(
    prepared, cluster, tmp_path, line, wrong, message
):
    study = prepared.clone(tmp_path / "study")
    study.edit("profiles/slurm/config.yaml", f"  {line} ", f"  {wrong} ")
    output = study.run("metrics", check=False, seconds=60)
    errors = [text for text in output.splitlines() if "error" in text.lower()]
    assert len(errors) == 1, output
    assert message in errors[0]
    assert "Traceback" not in output
    assert cluster.records(run_id(output)) == []


def test_cluster_leaves_nothing_behind(cluster, shared_folder):
    folder = shared_folder / "second"  # next to the first: they share no port, socket or name
    second = Cluster(folder)
    second.script("start")
    pids = [int(path.read_text()) for path in folder.glob("*.pid")]
    assert len(pids) == 6
    assert all(runs(pid) for pid in pids)
    second.script("stop")
    assert not folder.exists()
    assert cluster.ask("sinfo", "--noheader", "--format=%D", "--partition=cpu").split() == ["2"]
    wait_until(lambda: not any(runs(pid) for pid in pids), "the daemons' end", seconds=20)
