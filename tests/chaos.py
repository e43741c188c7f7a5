"""Kill a small study at random moments until it is finished, over and over; compare each with an undisturbed one.

PYTHONPATH=scripts:tests python tests/chaos.py [--kills N] [--seed S] [--minutes M] [--folder F]

After each kill the plain command runs again, without any option that repairs something. The seed decides who is killed
and when; where that meets a job is up to the machine. Processes are found in /proc, so this runs on Linux only.
"""

import argparse
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path

import psutil
from chaos_compare import compare
from pages import ROOT, replaced

CONFIG = ROOT / "tests/workflow/chaos.yaml"
PAGE = ROOT / "docs/reliability.md"
ENVIRONMENT = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
PAUSE = 0.05  # seconds between two looks at the processes, while someone is to be killed
CHANCE = 0.5  # that a job of a wanted kind is taken, so that it is not always the first
START = 10  # seconds before the first job of a run, about
MOST = 3  # jobs killed in one run of the command
JOBS = {  # kind of victim -> rules
    "a job that makes data or a model": ("fetch_data", "sample_data", "make_model"),
    "a training or a merge": ("finetune_roberta", "finetune_qlora", "finetune_linear_head", "merge_adapter"),
    "an answering job": ("predict_baseline", "predict_roberta", "predict_icl", "predict_qlora", "predict_linear_head"),
    "a scoring job": ("score",),
    "a job of the report": ("make_ladders", "make_tables", "make_figures", "render_report"),
}
RUNS = ("Snakemake alone", "Snakemake and its process group", "all processes at once", "the fork server", "Ctrl-C")


class Attempt:
    """One run of the plain command, whose processes are known by the logs that they write to."""

    def __init__(self, results: Path, cores: int, output: Path):
        command = ["snakemake", "--cores", str(cores), "--configfile", str(CONFIG), "--config", f"results={results}"]
        self.logs = f"{results}/demo/logs/"
        self.earlier = {pid for pids in writers(self.logs).values() for pid in pids}  # a killed run's, which are ending
        with output.open("w") as file:
            self.process = subprocess.Popen(
                command, cwd=ROOT, env=ENVIRONMENT, stdout=file, stderr=file, start_new_session=True
            )
        self.started = time.monotonic()

    def seconds(self) -> float:
        return time.monotonic() - self.started

    def runs(self) -> bool:
        return self.process.poll() is None

    def writers(self) -> dict[str, list[int]]:
        """`writers` of this run's logs."""
        return {
            log: own for log, pids in writers(self.logs).items() if (own := [p for p in pids if p not in self.earlier])
        }

    def kill(self, kind: str) -> bool:
        """End a part of the run; False if it was not there to be ended."""
        pid = self.process.pid
        if kind == "the fork server":
            return any(killed(server) for server in self.writers().get("fork_server.log", [])[:1])
        if not self.runs():
            return False
        if kind == "Ctrl-C":
            os.killpg(pid, signal.SIGINT)
        elif kind == "Snakemake alone":
            os.kill(pid, signal.SIGKILL)
        elif kind == "Snakemake and its process group":
            os.killpg(pid, signal.SIGKILL)
        else:
            for process in [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]:
                killed(process.pid)
        return True


def writers(logs: str) -> dict[str, list[int]]:
    """Log, as a path below the folder of logs -> the processes whose standard output it is."""
    found: dict[str, list[int]] = {}
    for entry in os.scandir("/proc"):
        with suppress(OSError):  # it has ended
            if entry.name.isdigit():
                path = os.readlink(f"/proc/{entry.name}/fd/1")
                if path.startswith(logs):
                    found.setdefault(path.removeprefix(logs), []).append(int(entry.name))
    return found


def killed(pid: int) -> bool:
    """Kill a process; False if it had ended."""
    with suppress(OSError, psutil.Error):
        if psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
            os.kill(pid, signal.SIGKILL)
            return True
    return False


def kind_of(log: str) -> tuple[str, str] | None:
    """The rule of a job, from its log, and the kind of victim that it is; None for others."""
    rule = log.partition("/")[0].removesuffix(".log")
    return next(((rule, kind) for kind, rules in JOBS.items() if rule in rules), None)


class Killer:
    """Decides who is killed and when.

    `plan` has the victims that are still to be killed, `lasted` the seconds that a job of each rule last took, `whole`
    those of an undisturbed study, and `left` about those that the present study still needs.
    """

    def __init__(self, seed: int):
        self.random = random.Random(seed)
        self.plan: list[str] = []
        self.lasted: dict[str, float] = {}
        self.whole = self.left = 0.0
        self.met: Counter[str] = Counter()

    def plan_kills(self, number: int) -> None:
        """Plan as many kills of each kind, in a random order."""
        kinds = [*JOBS, *RUNS]
        self.plan = [kinds[i % len(kinds)] for i in range(number)]
        self.random.shuffle(self.plan)

    def next_victims(self) -> list[str]:
        """The next of the plan, up to one that ends the whole run."""
        chosen: list[str] = []
        while self.plan and len(chosen) < MOST and (not chosen or chosen[-1] not in RUNS):
            chosen.append(self.plan.pop(0))
        return chosen

    def disturb(self, attempt: Attempt, victims: list[str]) -> int:
        """Watch a run to its end and kill the victims; who is not met goes back into the plan. How many were met."""
        due: dict[str, float] = {}  # log of a job, or a kind of RUNS -> the second of its death
        first: dict[str, float] = {}  # log of a job -> the second at which it was first seen
        wanted = [kind for kind in victims if kind in JOBS]
        due |= {kind: self.random.uniform(0, self.left) for kind in victims if kind in RUNS}
        dead: list[str] = []
        while attempt.runs():
            now, jobs = attempt.seconds(), attempt.writers()
            for log in [log for log in first if log not in jobs]:
                lasted = now - first.pop(log)
                if log not in dead:
                    self.lasted[kind_of(log)[0]] = lasted
                if log in due:  # it had ended before
                    del due[log]
                    wanted.append(kind_of(log)[1])
            for log in jobs:
                if (found := kind_of(log)) and log not in first:
                    first[log] = now
                    if found[1] in wanted and self.random.random() < CHANCE:
                        wanted.remove(found[1])
                        due[log] = now + self.random.uniform(0, self.lasted.get(found[0], 0))
            for victim in [victim for victim, moment in due.items() if moment <= now]:
                if victim in RUNS:
                    done = attempt.kill(victim)
                else:
                    done = victim in jobs and killed(self.random.choice(jobs[victim]))
                if done:
                    del due[victim]
                    dead.append(victim)
                    self.met[victim if victim in RUNS else kind_of(victim)[1]] += 1
            time.sleep(PAUSE if due or wanted or not self.whole else 10 * PAUSE)
        self.plan += [*wanted, *(victim if victim in RUNS else kind_of(victim)[1] for victim in due)]
        return len(dead)


def finish(results: Path, killer: Killer, cores: int, deadline: float) -> int:
    """Run the plain command until the study is finished; return how often. Exits where it needs a hand."""
    output = results.with_suffix(".log")
    killer.left = killer.whole
    for number in range(1, 1000):
        victims = killer.next_victims() if time.monotonic() < deadline else []
        attempt = Attempt(results, cores, output)
        met = killer.disturb(attempt, victims)
        killer.left = max(killer.left - attempt.seconds() + START, START)
        code = attempt.process.returncode
        print(f"  run {number}: {attempt.seconds():.0f} s, exit {code}, {met} kills ({', '.join(victims)})", flush=True)
        if code == 0:
            wait_for_the_end(attempt)
            return number
        if not met:
            sys.exit(f"the plain command failed although nothing was killed:\n{output.read_text()[-8000:]}")
    sys.exit("the study was never finished")


def wait_for_the_end(attempt: Attempt) -> None:
    """Wait until no process of an ended run is left; exits if one stays."""
    end = time.monotonic() + 60
    while left := writers(attempt.logs):
        if time.monotonic() > end:
            sys.exit(f"processes outlive their run: {left}")
        time.sleep(0.1)


def table(met: Counter[str]) -> list[str]:
    """The kills by kind of victim, in Markdown."""
    return ["| killed | times |", "|:--|--:|", *(f"| {kind} | {met[kind]} |" for kind in [*JOBS, *RUNS])]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1, help="of who is killed and when")
    parser.add_argument("--minutes", type=float, default=float("inf"), help="after these, no more kills")
    parser.add_argument("--cores", type=int, default=2)
    parser.add_argument("--folder", type=Path, help="an empty folder to work in, which is kept")
    args = parser.parse_args()
    deadline = time.monotonic() + 60 * args.minutes
    folder = args.folder or Path(tempfile.mkdtemp(prefix="nli-chaos-"))
    folder.mkdir(parents=True, exist_ok=True)
    results, undisturbed = folder.resolve() / "results", folder.resolve() / "undisturbed"

    killer = Killer(args.seed)
    started = time.monotonic()
    finish(results, killer, args.cores, deadline)
    killer.whole = time.monotonic() - started
    results.rename(undisturbed)
    killer.plan_kills(args.kills)
    studies = runs = files = 0
    while killer.plan and time.monotonic() < deadline:
        print(f"study {studies + 1}: {killer.met.total()} of {args.kills} kills so far", flush=True)
        runs += finish(results, killer, args.cores, deadline)
        files, wrong = compare(undisturbed / "demo", results / "demo")
        if wrong:
            sys.exit("not as in an undisturbed run:\n" + "\n".join(wrong))
        shutil.rmtree(results)
        studies += 1
    sentence = (
        f"{killer.met.total()} kills (seed {args.seed}) in {studies} studies, which took {runs} runs of the plain "
        f"command: each study was finished without a hand, and all its {files} files were an undisturbed run's."
    )
    lines = [*table(killer.met), "", sentence]
    print("\n".join(lines))
    PAGE.write_text(replaced(PAGE.read_text(encoding="utf-8"), "chaos", lines), encoding="utf-8")
    if not args.folder:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
