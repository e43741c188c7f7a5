"""The mean power that a GPU draws while a block of code runs, as its driver reports it."""

import os
import shutil
import subprocess
import threading
from types import TracebackType

from nli.machine.gpus import first_visible

QUERY = ("nvidia-smi", "--query-gpu=power.draw", "--format=csv,noheader,nounits")


class PowerMeter:
    """Context manager that reads nvidia-smi every `interval` seconds in a separate thread.

    The GPU is the one that the job uses. `watts` is the mean afterwards; None without nvidia-smi, if every GPU is
    hidden, or if the card does not report its power.
    """

    def __init__(self, interval: float = 0.5) -> None:
        self.interval = interval
        self.gpu = first_visible(os.environ)
        self.readings: list[float] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._read, daemon=True)

    def __enter__(self) -> "PowerMeter":
        if self.gpu and shutil.which(QUERY[0]):
            self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        if self._thread.ident is not None:
            self._thread.join()

    @property
    def watts(self) -> float | None:
        """Mean of the readings."""
        return sum(self.readings) / len(self.readings) if self.readings else None

    def _read(self) -> None:
        while True:
            try:
                done = subprocess.run([*QUERY, f"--id={self.gpu}"], capture_output=True, text=True, timeout=10)
                self.readings.append(float(done.stdout.strip()))
            except (OSError, ValueError, subprocess.TimeoutExpired):
                return
            if self._stop.wait(self.interval):
                return
