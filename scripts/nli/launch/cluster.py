"""Checks a plan's requests to a SLURM cluster before the first job: the account, the partitions and the GPUs."""

import getpass
import shutil
import subprocess
from collections.abc import Iterable, Mapping
from typing import Any

from nli.base.errors import StudyError

PROFILE = "profiles/slurm/config.yaml"
TIMEOUT = 60  # seconds for one answer of the controller or the database


def ask(*command: str) -> list[str] | None:
    """The output lines of a SLURM command; None if it fails, as sacctmgr does on clusters without accounting."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT)
    except (OSError, subprocess.TimeoutExpired):
        return None
    if done.returncode != 0:
        return None
    return [line.strip() for line in done.stdout.splitlines() if line.strip()]


def asks_for_gpu(resources: Mapping[str, Any]) -> bool:
    """Whether a job's resources request a GPU: `gpu`, or instead SLURM's `gres` ("gpu:1", "gpu:a100:1,nvme:2")."""
    devices = str(resources.get("gres") or "").split(",")
    return bool(resources.get("gpu")) or any(device.strip().split(":")[0] == "gpu" for device in devices)


def check_cluster(accounts: Iterable[str], partitions: Iterable[str]) -> None:
    """Refuse a plan whose jobs SLURM would refuse one by one.

    Args:
        accounts: the accounts of the plan's jobs; one entry may name several, comma-separated.
        partitions: the partitions of the plan's jobs, likewise.

    Raises:
        StudyError: SLURM is missing, does not answer, or does not know an account or a partition.
    """
    if shutil.which("sbatch") is None:
        raise StudyError("no sbatch on PATH; start Snakemake on the cluster's login node (module load slurm?)")
    known = ask("sinfo", "--all", "--noheader", "--format=%R")  # jobs may be submitted to a hidden partition
    if known is None:
        raise StudyError("sinfo fails or does not answer; check the cluster's controller with `scontrol ping`")
    refuse_unknown("partition", partitions, known, "sinfo")
    user = getpass.getuser()
    own = ask("sacctmgr", "--noheader", "--parsable2", "show", "associations", f"user={user}", "format=account")
    if own:  # empty without accounting; account names are lower case in SLURM's database
        refuse_unknown("account", {name.lower() for name in accounts}, own, f"sacctmgr show associations user={user}")


def refuse_unknown(kind: str, wanted: Iterable[str], known: list[str], source: str) -> None:
    """Raise StudyError for the first name in `wanted` that is not in `known`."""
    for name in sorted({part for names in wanted for part in names.split(",")}):
        if name not in known:
            raise StudyError(
                f"{PROFILE}: this cluster has no {kind} '{name}' for you; it has {', '.join(sorted(set(known)))}"
                f" ({source})"
            )
