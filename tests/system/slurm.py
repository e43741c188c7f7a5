"""The throw-away cluster, and the study run through it in a copy of the repository."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from conftest import ROOT

from nli.base.files import sha256
from nli.data.run_files import sealed

SCRIPT = ROOT / "profiles/slurm/cluster.sh"
FAST = ["--slurm-init-seconds-before-status-checks", "3", "--latency-wait", "10"]  # everything runs on this machine
FIELDS = "JobIDRaw,JobName,Comment,Partition,NodeList,AllocTRES,State,Start,End,TimelimitRaw,ReqMem"


@dataclass(frozen=True)
class Record:
    """sacct's record of one run of a job; a requeued job has several."""

    job: str
    name: str
    rule: str
    partition: str
    node: str
    resources: dict[str, str]
    state: str
    start: str
    end: str
    minutes: int
    memory: str

    @property
    def gpus(self) -> int:
        """The number of GPUs of the job."""
        return int(self.resources.get("gres/gpu", 0))


class Cluster:
    """SLURM's commands on the throw-away cluster."""

    def __init__(self, folder: Path):
        self.folder = folder
        path = f"{folder}/bin{os.pathsep}{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        self.environment = {**os.environ, "CLUSTER_DIR": str(folder), "PATH": path}

    def script(self, action: str) -> subprocess.CompletedProcess:
        """Run cluster.sh; shows its output if it fails."""
        done = subprocess.run(
            [SCRIPT, action],
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=600,
        )
        assert done.returncode == 0, done.stdout
        return done

    def ask(self, *command: str) -> str:
        """Standard output of a SLURM command."""
        done = subprocess.run(command, env=self.environment, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, f"{command}: {done.stderr}"
        return done.stdout

    def records(self, run: str, every: bool = False) -> list[Record]:
        """The jobs of a Snakemake run in the order of submission; `every` also lists all runs of a requeued job."""
        options = ["--duplicates"] if every else []
        command = ["sacct", "-X", "--noheader", "--parsable2", f"--format={FIELDS}", f"--name={run}", *options]
        return [record_of(line) for line in self.ask(*command).splitlines()]

    def running(self) -> dict[str, str]:
        """Job id -> comment (rule and wildcards) of the running jobs."""
        lines = self.ask("squeue", "--noheader", "--states=RUNNING", "--format=%i %k").splitlines()
        return dict(line.split(maxsplit=1) for line in lines)


def record_of(line: str) -> Record:
    """Parse a line of sacct's output."""
    job, name, rule, partition, node, resources, state, start, end, minutes, memory = line.split("|")
    held = dict(part.split("=") for part in resources.split(",") if part)
    return Record(job, name, rule, partition, node, held, state.split(" ")[0], start, end, int(minutes or 0), memory)


class Study:
    """A copy of the repository in which the study runs through the profile."""

    def __init__(self, folder: Path, cluster: Cluster, config: list[str], options: list[str]):
        self.folder, self.cluster = folder, cluster
        self.options = ["--profile", "profiles/slurm", *FAST, *options, "--config", *config]

    @classmethod
    def copied(cls, folder: Path, cluster: Cluster, config: list[str], options: list[str]) -> "Study":
        """A copy of the working tree: tracked and new files, no generated ones."""
        listed = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
        for name in subprocess.run(listed, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines():
            if (ROOT / name).is_file():
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(ROOT / name, folder / name)
        return cls(folder, cluster, config, options)

    def clone(self, folder: Path, *config: str) -> "Study":
        """A copy with everything made so far, and further configuration."""
        shutil.copytree(self.folder, folder)
        study = Study(folder, self.cluster, [], [])
        study.options = [*self.options, *config]
        return study

    @property
    def results(self) -> Path:
        """The folder of the copy's results."""
        return self.folder / "results/demo"

    def edit(self, path: str, old: str, new: str) -> None:
        """Change one place in a file of the copy."""
        text = (self.folder / path).read_text()
        assert text.count(old) == 1, f"{path}: '{old}' occurs {text.count(old)} times"
        (self.folder / path).write_text(text.replace(old, new))

    def start(self, *arguments: str) -> subprocess.Popen:
        """Start Snakemake as a user at a terminal does."""
        return subprocess.Popen(
            ["snakemake", *arguments, *self.options],
            cwd=self.folder,
            env=self.cluster.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a shell's background job ignores Ctrl-C
        )

    def run(self, *arguments: str, check: bool = True, seconds: int = 900) -> str:
        """Run Snakemake to its end; returns what it printed."""
        return self.finish(self.start(*arguments), check=check, seconds=seconds)

    def finish(self, process: subprocess.Popen, check: bool = True, seconds: int = 900) -> str:
        """Wait for Snakemake; returns what it printed."""
        try:
            output, _ = process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGINT)
            output, _ = process.communicate(timeout=120)
            raise AssertionError(f"still running after {seconds} s:\n{output[-6000:]}") from None
        if check:
            assert process.returncode == 0, output[-8000:]
        return output

    def log(self, path: str) -> str:
        """A job's log."""
        return (self.results / "logs" / path).read_text()


def run_id(output: str) -> str:
    """The name under which the plugin submitted the jobs of a Snakemake run."""
    return re.search(r"SLURM run ID:\s+(\S+)", output)[1]


def wait_until(condition, what: str, seconds: int = 300):
    """The first true value of `condition()`, evaluated twice a second."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if value := condition():
            return value
        time.sleep(0.5)
    raise AssertionError(f"{what}: not in {seconds} s")


def runs(pid: int) -> bool:
    """Whether a process still runs; a zombie (state Z), which has ended but waits for its parent, does not."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:  # it has ended or is ending (ProcessLookupError)
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"  # the name before it may contain parentheses and spaces


def overlap(first: Record, second: Record) -> bool:
    """Whether two jobs ran at the same time; sacct's times are whole seconds in one format."""
    return first.start < second.end and second.start < first.end


def answers(results: Path) -> dict[str, bytes]:
    """Run -> its predictions, which depend only on spec, data, model and seed."""
    return {
        str(path.parent.relative_to(results)): path.read_bytes()
        for path in sorted(results.glob("*/*/seed*/predictions.parquet"))
    }


# Measured values of a record, its time, and the commit, which a copy of the repository lacks.
MEASURED = {"sessions", "seconds", "throughput", "energy_kwh", "peak_memory_gib", "git_commit", "finished"}
MEASURED_IN_HISTORY = {"seconds", "samples_per_second", "steps_per_second"}


def without_measures(value, measured: set[str]):
    """JSON with every number below a measured key set to 1 and every text there removed."""
    if isinstance(value, dict):
        return {
            key: constant(part) if key in measured else without_measures(part, measured) for key, part in value.items()
        }
    return value


def constant(value):
    """The same shape with all numbers 1."""
    if isinstance(value, dict):
        return {key: constant(part) for key, part in value.items()}
    return type(value)(1) if isinstance(value, int | float) else None


def seal_again(run: Path) -> None:
    """Make the hashes in a changed run.json those of its content and of the training's files beside it."""
    record = {key: value for key, value in json.loads(run.read_text()).items() if key != "content_sha256"}
    if "trained" in record and not record["spec"].get("adapter"):
        record["trained"] = {name: sha256(run.parent / name) for name in record["trained"]}
    run.write_text(json.dumps(sealed(record)))


def report_without_measures(results: Path, folder: Path) -> dict[str, bytes]:
    """Every table and figure of the report, computed from `results` as if everything took one second and one GiB.

    Two runs whose answers, parameters, losses and settings are the same give the same bytes.
    """
    for path in [results / "study.json", results / "data/description.json", *results.glob("*/*/seed*/*.json")]:
        value = json.loads(path.read_text())
        measured = MEASURED_IN_HISTORY if path.name == "history.json" else MEASURED
        target = folder / "results" / path.relative_to(results)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(json.dumps(without_measures(value, measured)))
    for path in results.glob("*/*/seed*/predictions.parquet"):
        shutil.copy2(path, folder / "results" / path.relative_to(results))
    for path in (folder / "results").glob("*/*/seed*/run.json"):
        seal_again(path)
    shared = ["--results", folder / "results", "--study", folder / "results/study.json"]
    shared += ["--data", folder / "results/data/description.json", "--reported", "report/reported.yaml"]
    ladders, summary = folder / "ladders.json", folder / "summary.json"
    for arguments in (
        ["scripts/make_ladders.py", "--output", ladders, "--summary", summary],
        ["scripts/make_tables.py", "--ladders", ladders, "--output-dir", folder / "tables"],
        ["scripts/make_figures.py", "--ladders", ladders, "--output-dir", folder / "figures"],
    ):
        done = subprocess.run([sys.executable, *arguments, *shared], cwd=ROOT, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
    made = [path for kind in ("tables", "figures") for path in sorted((folder / kind).rglob("*")) if path.is_file()]
    return {str(path.relative_to(folder)): path.read_bytes() for path in [ladders, summary, *made]}
