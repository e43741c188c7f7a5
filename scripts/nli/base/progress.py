"""A small file in which a long job says how far it is."""

import json
import os
import time
from contextlib import suppress
from pathlib import Path

NAME = "progress.json"
EVERY = 5.0  # seconds between two writes


class Progress:
    """Writes step, steps and seconds per step, every few seconds; a write that fails is left out.

    Args:
        folder: where the file goes; created if it is missing.
    """

    def __init__(self, folder: Path | str) -> None:
        self.path = Path(folder, NAME)
        self.first, self.begun, self.written = 0, time.monotonic(), 0.0

    def begin(self, step: int, steps: int) -> None:
        """Start the clock at `step`, which is not 0 where a training resumes."""
        self.first, self.begun, self.written = step, time.monotonic(), 0.0
        self.write(step, steps)

    def advance(self, step: int, steps: int) -> None:
        """Say that `step` of `steps` is done, if the last time is long enough ago or if it is the last one."""
        if step >= steps or time.monotonic() - self.written >= EVERY:
            self.write(step, steps)

    def write(self, step: int, steps: int) -> None:
        """Replace the file. It is not flushed to the disk: it matters only while the job runs."""
        self.written = time.monotonic()
        done = step - self.first
        each = (self.written - self.begun) / done if done else None
        temporary = self.path.with_suffix(f".{os.getpid()}")
        with suppress(OSError):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            temporary.write_text(json.dumps({"step": step, "steps": steps, "seconds_per_step": each}), encoding="utf-8")
            temporary.replace(self.path)
