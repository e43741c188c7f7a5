"""What a training keeps from one session to the next.

A job that is killed and restarted trains in several sessions. Its records about the whole training are saved with every
checkpoint: Trainer writes the state of each ExportableState to its trainer_state.json.
"""

from collections.abc import Mapping
from time import perf_counter
from typing import Any

import torch
from transformers import TrainerCallback
from transformers.trainer_callback import ExportableState

from nli.machine.memory import GIB, resident_memory
from nli.machine.power import PowerMeter

POWER_INTERVAL = 5.0  # seconds between two readings of the power
JOULES_PER_KWH = 3.6e6


class SavedCallback(TrainerCallback, ExportableState):
    """A callback whose `remember` is saved with every checkpoint and passed to `recall` when the training resumes.

    Trainer can restore callbacks itself (restore_callback_states_from_checkpoint), but it then replaces objects that
    the caller still refers to, and also restores TrainerControl.
    """

    def remember(self) -> dict[str, Any]:
        """The state for the next session, as JSON."""
        raise NotImplementedError

    def recall(self, saved: dict[str, Any]) -> None:
        """Restore the state of an earlier session."""
        raise NotImplementedError

    def state(self) -> dict[str, Any]:
        """`remember`, in Trainer's layout."""
        return {"args": {}, "attributes": self.remember()}

    def on_train_begin(self, args, state, control, **kwargs) -> None:
        """Read the state from the checkpoint; a training that starts at step 0 has none."""
        if state.global_step:
            self.recall(state.stateful_callbacks[type(self).__name__]["attributes"])


class Sessions(SavedCallback):
    """Time, energy and memory of a training, over all its sessions.

    The work of a killed session after its last checkpoint is repeated and not counted; neither is a session without a
    checkpoint.

    Args:
        started: `runtime.start`'s clock; now if None.
    """

    def __init__(self, started: float | None = None) -> None:
        self.started = perf_counter() if started is None else started
        self.training: list[float] = []  # start and end of this session's training
        self.meter = PowerMeter(POWER_INTERVAL)
        self.earlier: dict[str, Any] = {
            "sessions": 0,
            "seconds": {"wall": 0.0, "train": 0.0},
            "energy_kwh": {"train": 0.0},
            "peak_memory_gib": {},
        }

    def on_train_begin(self, args, state, control, **kwargs) -> None:
        """Restore the earlier sessions, and start the clock of this session's training."""
        super().on_train_begin(args, state, control, **kwargs)
        self.training = [perf_counter()]

    def on_train_end(self, args, state, control, **kwargs) -> None:
        """Stop that clock."""
        self.training.append(perf_counter())

    def used(self) -> dict[str, Any]:
        """The sessions so far: their number, seconds (of the whole job and of the training), energy and peak memory.

        The energy is the GPU's, in kWh; None if a session could not read the power.
        """
        now = perf_counter()
        begun, ended = [*self.training, now, now][:2]
        seconds = {"wall": now - self.started, "train": ended - begun}
        before, watts = self.earlier["energy_kwh"]["train"], self.meter.watts
        known = before is not None and watts is not None
        energy = before + watts * seconds["train"] / JOULES_PER_KWH if known else None
        return {
            "sessions": self.earlier["sessions"] + 1,
            "seconds": {key: self.earlier["seconds"][key] + value for key, value in seconds.items()},
            "energy_kwh": {"train": energy},
            "peak_memory_gib": highest(self.earlier["peak_memory_gib"], peak_memory()),
        }

    remember = used

    def recall(self, saved: dict[str, Any]) -> None:
        """Restore the earlier sessions' sums."""
        self.earlier = saved


def peak_memory() -> dict[str, float | None]:
    """Peak resident memory of this process and peak allocation on the device, in GiB."""
    device = torch.cuda.max_memory_allocated() / GIB if torch.cuda.is_available() else None
    return {"process": resident_memory(), "device": device}


def highest(*peaks: Mapping[str, float | None]) -> dict[str, float | None]:
    """The maximum of several `peak_memory` results, each of which may lack a value."""
    return {
        key: max((peak[key] for peak in peaks if peak.get(key) is not None), default=None)
        for key in ("process", "device")
    }
