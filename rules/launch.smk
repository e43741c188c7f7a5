# What Snakemake does before the first job (the checks) and after the last (the closing lines).

import json
import os
import re
import secrets
from pathlib import Path

from snakemake.logging import logger

from nli.base.atomic import delete_partial
from nli.base.errors import StudyError
from nli.base.limits import VARIABLE as LIMITS
from nli.launch import folder_lock, fork_server, local_jobs, recorder, surroundings
from nli.launch.cluster import asks_for_gpu, check_cluster
from nli.launch.commands import command_for, portable, with_setting, without_target

USES_FORK_SERVER = STUDY.machine.fork_server and not STUDY.machine.has_gpu and not USES_CONTAINERS
RUN = secrets.token_hex(8)  # marks what belongs to this run
LOCKS = [f"containers/{name}.lock" for name in ("workflow", "study", "report")]


def jobs_run_remotely():
    """Whether jobs run on other machines; unknown until Snakemake has its executor, after it has read this file."""
    return workflow.non_local_exec


def image_unless_in_use(image):
    """None, because preflight must not run in a container; without containers `image`, for `snakemake --lint`."""
    return None if USES_CONTAINERS else image


def preflight_arguments(wildcards):
    """The arguments of preflight.py that only Snakemake knows."""
    return [
        *(["--remote"] if jobs_run_remotely() else []),
        *(["--containers"] if USES_CONTAINERS else []),
        *["--locks", *LOCKS],
    ]


def command_of_the_study(wildcards):
    """The user's command, without the target `status`."""
    return without_target(sys.argv[1:], "status")


def command_of_a_part(wildcards):
    """The command that makes one table or figure of the report, LABEL, alone."""
    settings, repository = workflow.config_settings, Path.cwd()
    target = f"{portable(STUDY.results, repository)}/{STUDY.scale}/report/single/LABEL.csv"
    return command_for(target, settings.configfiles, settings.config, repository)


def written_folders():
    """The folders that this run writes to: this scale's results, and that of the images if it builds one."""
    written = {str(file) for job in workflow.dag.needrun_jobs() for file in job.output}
    images = written.intersection(IMAGES_TO_BUILD)
    return [*([study_path()] if written - images else []), *(["containers"] if images else [])]


def name_of_submitted_jobs():
    """The name that the SLURM plugin gives to all jobs of this run; empty where none are submitted."""
    return getattr(workflow.scheduler._executor, "run_uuid", "") if jobs_run_remotely() else ""


def lock_folders():
    """Keep other runs, from any clone, out of the folders that this run writes to.

    Snakemake's own lock knows one working directory, and stays after a kill; profiles/ switch it off.
    """
    try:
        for folder in written_folders():
            if line := folder_lock.take(Path(folder), RUN, name_of_submitted_jobs()):
                print(line)
            if folder == study_path():
                record_jobs()
    except StudyError as error:
        sys.exit(f"error: {error}")


def record_jobs():
    """Write down what becomes of every job, and keep status.html while this run lasts."""
    recorder.attach(Path(study_path()), len(list(workflow.dag.needrun_jobs())), logger)


def unlock_folders():
    """`snakemake --unlock` for the folders' locks."""
    try:
        for folder in (study_path(), "containers"):
            folder_lock.unlock(Path(folder))
    except StudyError as error:
        sys.exit(f"error: {error}")


if "--unlock" in sys.argv:
    unlock_folders()


def check_before_launch():
    """Run all preflight checks if a job needs a GPU or the hub; if one fails, nothing starts.

    Snakemake calls this only in its main process, after planning, and not in a dry run or if there is nothing to do.
    Jobs that need neither a GPU nor the hub (a report, the parameter counts) start anywhere, and so does a rehearsal.
    """
    if workflow.touch:
        return
    pending = [job for job in workflow.dag.needrun_jobs() if job.rule.name != "rehearse_experiment"]
    gpu_jobs = STUDY.machine.has_gpu and any(asks_for_gpu(job.resources) for job in pending)
    generated = {"fetch_data"} if STUDY.data.source == "synthetic" else set()
    fetches = any(job.rule.name in {"fetch_data", "fetch_model"} - generated for job in pending)
    if not gpu_jobs and not fetches:
        return
    from nli.launch.preflight import Launch, preflight

    launch = Launch(jobs_run_remotely(), USES_CONTAINERS, gpu_jobs, fetches)
    try:
        preflight(STUDY, launch, [Path(lock) for lock in LOCKS])
    except StudyError as error:
        sys.exit(f"error: {error}")


def check_before_submission():
    """Stop Snakemake with one line if jobs would go to a SLURM account or partition that does not exist."""
    if workflow.executor_plugin.name != "slurm":
        return
    jobs = [job for job in workflow.dag.needrun_jobs() if not job.is_local]
    named = {
        kind: {str(job.resources[kind]) for job in jobs if job.resources.get(kind)}
        for kind in ("slurm_account", "slurm_partition")
    }
    try:
        check_cluster(named["slurm_account"], named["slurm_partition"])
    except StudyError as error:
        sys.exit(f"error: {error}")


def drop_benchmarks():
    """Declare no benchmark if a fork server is used: Snakemake would measure the clients, not the jobs.

    The jobs' own records (run.json) have their times and their memory either way.
    """
    for declared in workflow.rules if USES_FORK_SERVER else []:
        declared._benchmark = None


def tidy_results():
    """Delete what killed jobs left unfinished; date the results from the future now, and say so.

    What depends on such results is made again once, and not in every run.
    """
    delete_partial(Path(study_path()))
    if number := surroundings.date_now(Path(study_path())):
        print(
            f"{study_path()}: {number} files were dated in the future (was the clock of this machine wrong?); they are "
            "dated now, and what depends on them is made again"
        )


def limits_of_scripts():
    """Script -> the minutes that it may run: the largest `runtime` of the jobs that call it."""
    limits = {}
    for job in workflow.dag.needrun_jobs():
        if minutes := job.resources.get("runtime"):
            for script in re.findall(r"\bscripts/(\w+\.py)", job.rule.shellcmd or ""):
                limits[script] = max(minutes, limits.get(script, 0))
    return limits


def prepare_shells():
    """Let the jobs on this machine end with Snakemake, and at their limits, as a cluster ends its own.

    If all jobs run here, without a GPU and without containers, the shells also run their scripts in forks of one
    process that has imported the libraries.
    """
    mark, python = local_jobs.watch(RUN), local_jobs.EXPLAINED
    asks = all(job.rule.name == "status" for job in workflow.dag.needrun_jobs())
    if not jobs_run_remotely():
        os.environ[LIMITS] = json.dumps(limits_of_scripts())
    if USES_FORK_SERVER and not jobs_run_remotely() and not asks:
        log = Path(study_path("logs", "fork_server.log"))
        python = fork_server.start("python", JOB_THREADS, log, {local_jobs.MARK: RUN})
    begin_shells(mark, python)


def begin_shells(*lines):
    """Let every job's shell begin with these lines."""
    # Snakemake fills wildcards into a prefix.
    verbatim = " ".join(lines).replace("{", "{{").replace("}", "}}")
    shell.prefix(f"set -euo pipefail; {verbatim} ")


begin_shells(local_jobs.EXPLAINED)  # in the processes that run the jobs of a cluster, too


def announce_report():
    """Print where the report is, if this run made one."""
    for name in ("report.html", "report.pdf"):
        if Path(study_path(name)).exists():
            print(study_path(name))


def explain_failure():
    """Say whether the disk is full, and print the command for a report of the experiments that did not fail."""
    if full := surroundings.shortage(Path(study_path())):
        print(f"error: {full}", file=sys.stderr)
        return
    if {job.rule.name for job in workflow.dag.needrun_jobs()} == {"preflight"}:
        return
    print(
        "Some jobs failed; their logs are above. For a report on all finished runs:\n"
        f"  {with_setting(sys.argv[1:], 'finished_only=true')}"
    )
