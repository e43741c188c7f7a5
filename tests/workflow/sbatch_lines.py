"""The sbatch line of each rule with profiles/slurm, made by the executor plugin itself, without a cluster.

    python tests/workflow/sbatch_lines.py > tests/workflow/sbatch_lines.txt

rewrites the reviewed file after a change of resources. Snakemake parses the profile and builds the DAG as usual;
only the execution is replaced: the plugin submits one job of each rule to an `sbatch` that records its arguments.
"""

import json
import os
import re
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[2]
PROFILE = ROOT / "profiles/slurm/config.yaml"
CASES = {  # heading -> (lines to change at the profile's top, scale, number of attempts)
    "paper scale": ({}, "paper", 2),
    "paper scale, gpu_dialect: gres": ({"gpu_dialect: gpu": "gpu_dialect: gres"}, "paper", 1),
    "demo scale": ({}, "demo", 1),
}
STAND_INS = {
    "sbatch": "#!{python}\nimport json, sys\njson.dump(sys.argv[1:], open({record!r}, 'w'))\nprint(1)\n",
    "sacctmgr": "#!/bin/sh\necho study\n",
    "apptainer": "#!/bin/sh\necho apptainer version 1.4.5\n",
}


def submissions(folder: Path, scale: str, attempts: int) -> None:
    """Print `rule, attempt: arguments of sbatch` for one job of each rule that is submitted."""
    from snakemake import cli
    from snakemake.workflow import Workflow
    from snakemake_executor_plugin_slurm import Executor

    record = folder / "arguments.json"

    class Recorder(Executor):
        """The plugin's submission without its threads."""

        def __init__(self, workflow):
            self.workflow, self.logger = workflow, workflow.logger_manager.logger
            self.run_uuid, self.slurm_logdir = "RUN", folder / "logs"
            self._failed_nodes, self._submitted_job_clusters = set(), set()
            self._partitions = self._fallback_partition = self._fallback_account_arg = None

        def format_job_exec(self, job):
            return "JOB"

        def _report_job_submission_threadsafe(self, job_info):
            pass

        def _report_job_error_threadsafe(self, job_info, msg):
            raise AssertionError(msg)

    def execute(self, executor_plugin, executor_settings, *_, **__):
        self._executor_plugin, self.executor_settings = executor_plugin, executor_settings
        self._prepare_dag(forceall=True, ignore_incomplete=True, lock_warn_only=True, nolock=True)
        self._build_dag()
        recorder = Recorder(self)
        submitted = {job.rule.name: job for job in self.dag.jobs if not job.is_local}
        for name, job in sorted(submitted.items()):
            for job.attempt in range(1, attempts + 1):
                record.unlink(missing_ok=True)
                recorder.run_job(job)
                print(f"{name}, attempt {job.attempt}: {normalised(json.loads(record.read_text()))}")

    Workflow.execute = execute
    arguments = ["--profile", str(folder / "profile"), "--snakefile", str(ROOT / "Snakefile"), "--forceall"]
    parser, args = cli.parse_args([*arguments, "--config", f"results={folder}/results", f"scale={scale}"])
    cli.args_to_api(args, parser)


def normalised(arguments: list[str]) -> str:
    """The line without options that differ between machines and runs."""
    own = {"--job-name", "--output", "--comment", "-D"}  # each with a value
    pairs = zip(arguments, ["", *arguments], strict=False)
    kept = [argument for argument, before in pairs if argument not in own and before not in own]
    return shlex.join(argument for argument in kept if not re.match(r"--(wrap|parsable|export)\b", argument))


def lines_of(changes: dict[str, str], scale: str, attempts: int) -> list[str]:
    """The lines of one case, from a new process."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        profile = PROFILE.read_text()
        for old, new in changes.items():
            assert old in profile, f"{PROFILE}: no '{old}'"
            profile = profile.replace(old, new, 1)
        (folder / "profile").mkdir()
        (folder / "profile/config.yaml").write_text(profile)
        for command, code in STAND_INS.items():
            path = folder / command
            path.write_text(code.format(python=sys.executable, record=str(folder / "arguments.json")))
            path.chmod(0o755)
        environment = {**os.environ, "PATH": f"{folder}{os.pathsep}{os.environ['PATH']}"}
        command = [sys.executable, __file__, str(folder), scale, str(attempts)]
        done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    lines = [line for line in done.stdout.splitlines() if ", attempt " in line]
    assert done.returncode == 0, done.stdout + done.stderr
    assert lines, done.stdout + done.stderr
    return lines


def reviewed_text() -> str:
    """The expected content of sbatch_lines.txt."""
    parts = []
    for heading, case in CASES.items():
        parts += [f"# {heading}", *lines_of(*case), ""]
    return "\n".join(parts)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        submissions(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]))
    else:
        print(reviewed_text(), end="")
