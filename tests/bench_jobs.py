"""Print the CPU time that plain kernels save in a QLoRA training, compared with compiled ones, over alternating runs.

python tests/bench_jobs.py [REPETITIONS]
"""

import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
SMOKE = ROOT / "tests/workflow/smoke.yaml"
STEPS = 60


def cpu_seconds(command: list[str], **environment: str) -> float:
    """CPU time of a command and its child processes."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    paths = {"PYTHONPATH": str(ROOT / "scripts"), "TORCHDYNAMO_DISABLE": "1"}
    done = subprocess.run(command, cwd=ROOT, env={**os.environ, **paths, **environment}, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(done.stdout + done.stderr)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def prepare(results: Path) -> tuple[Path, list[str]]:
    """A tiny decoder, its training pairs and a spec of `STEPS` steps: the study's folder, the command that trains."""
    study = results / "demo"
    spec, model, train = "specs/qlora/attempt1/train.json", "models/made/decoder", "data/train.parquet"
    targets = [str(study / name) for name in (spec, model, train)]
    settings = [f"results={results}", f"families={{qlora: {{training: {{max_steps: {STEPS}}}}}}}"]
    options = ["--cores", "1", "--quiet", "all", "--nolock", "--configfile", str(SMOKE), "--config", *settings]
    cpu_seconds([sys.executable, "-m", "snakemake", *targets, *options])
    script = [sys.executable, "scripts/finetune_qlora.py", "--seed", "42", "--threads", "1"]
    inputs = ["--spec", targets[0], "--model", targets[1], "--train", targets[2], "--base", "models/decoder"]
    return study, [*script, *inputs]


def train(study: Path, command: list[str], name: str, dynamo_disabled: str) -> tuple[float, bytes]:
    """CPU time of a training, and its adapter."""
    folder = study / "bench" / name
    files = ["history", "record", "samples", "checkpoints"]
    outputs = [part for file in files for part in (f"--{file}", str(folder / file))]
    seconds = cpu_seconds([*command, *outputs, "--output-dir", str(folder)], TORCHDYNAMO_DISABLE=dynamo_disabled)
    return seconds, (folder / "adapter_model.safetensors").read_bytes()


def main() -> None:
    repetitions = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    with tempfile.TemporaryDirectory() as results:
        study, command = prepare(Path(results))
        trainings = {"0": [], "1": []}
        for i in range(repetitions):
            for disabled, runs in trainings.items():
                runs.append(train(study, command, f"{disabled}_{i}", disabled))
        if len({adapter for runs in trainings.values() for _, adapter in runs}) != 1:
            sys.exit("the adapters differ between plain and compiled kernels")
        ratio = min(trainings["1"])[0] / min(trainings["0"])[0]
    print(f"{STEPS} steps of QLoRA, kernels plain / compiled: {ratio:.2f} of the CPU time, the same adapter")


if __name__ == "__main__":
    main()
