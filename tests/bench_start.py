"""How much sooner a job starts in a fork of a process that has imported its libraries.

PYTHONPATH=scripts:tests python tests/bench_start.py [REPETITIONS]

The work is a script's `--help`: its imports, and nothing else.
"""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from bench_rows import Row, compare, seconds

from nli.launch import fork_server

ROOT = Path(__file__).parents[1]
JOBS = {
    "a training job": "scripts/finetune_qlora.py",
    "an answering job": "scripts/predict_icl.py",
    "a scoring job": "scripts/score.py",
}
PLAIN, FORKED = "a Python of its own", "the fork server"


def rows(repetitions: int) -> Iterator[Row]:
    with tempfile.TemporaryDirectory() as folder:
        definition = fork_server.start(sys.executable, 1, Path(folder) / "log", {})

        def job(script: str, before: str) -> None:
            path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
            command = ["bash", "-c", f"{before} python {script} --help > /dev/null"]
            subprocess.run(command, cwd=ROOT, env={**os.environ, "PATH": path}, check=True)

        for name, script in JOBS.items():
            job(script, definition)  # the first one waits for the server
            programs = {
                FORKED: lambda script=script: seconds(lambda: job(script, definition)),
                PLAIN: lambda script=script: seconds(lambda: job(script, "")),
            }
            yield from compare(f"the start of {name}", programs, [(FORKED, PLAIN)], repetitions)


if __name__ == "__main__":
    for row in rows(int(sys.argv[1]) if len(sys.argv) > 1 else 3):
        print(row.markdown(), flush=True)
