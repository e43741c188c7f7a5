"""One run at a time in a results folder, from whichever clone or machine it is started.

The lock is the operating system's (flock). It ends with the process that holds it, whatever ends that, so that a reused
process id is never taken for the owner. The record in the locked file says who the owner is. A run that ends empties
it; that of a killed run stays, and tells whether the run was on this machine or may live on another, whose locks a
shared file system does not always show.
"""

import atexit
import errno
import fcntl
import getpass
import json
import os
import socket
import sys
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import TextIO

import psutil

from nli.base.errors import StudyError
from nli.launch.cluster import ask
from nli.launch.local_jobs import end_jobs

NAME = ".lock"
KERNEL = Path("/proc/sys/kernel/random/boot_id")
NO_LOCKS = (errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP)  # what flock says on a file system without locks


@dataclass(frozen=True)
class Owner:
    """Who holds a lock.

    Args:
        run: the mark of its jobs (`local_jobs`).
        kernel: the running kernel, which the containers on a machine share; empty where it is unknown.
        started: when it took the lock, in UTC.
        folder: where it was started.
        submitted: the name of its jobs on the cluster; empty if it submits none.
    """

    run: str
    host: str
    kernel: str
    process: int
    started: str
    folder: str
    submitted: str

    def __str__(self) -> str:
        return f"process {self.process} on {self.host}, started at {self.started} in {self.folder}"

    def is_on_this_machine(self) -> bool:
        return self.host == socket.gethostname() or (self.kernel != "" and self.kernel == this_kernel())


def take(folder: Path, run: str, submitted: str) -> str | None:
    """Lock `folder`, which is created if it is missing, until this process ends.

    What is left of a run that was killed on this machine is ended first.

    Args:
        run: the mark of this run's jobs on this machine.
        submitted: the name of those that it submits to a cluster, if any.

    Returns:
        a line about the run that was killed; None if the last one ended by itself.

    Raises:
        StudyError: another run or its jobs hold the lock, or may hold it; or the folder cannot be written.
    """
    file = opened(folder)
    has_locks = lock(file, folder)
    former = read_owner(file)
    line = None
    if former:
        if not (has_locks and former.is_on_this_machine()):
            raise StudyError(
                f"{folder}: another run may still write here: {former}. Wait for it; if it has ended, run the same "
                "command with --unlock once, then without"
            )
        refuse_submitted(former, folder)
        ended = end_jobs(former.run)
        left = f"; ended {ended} of its processes, which still ran" if ended else ""
        line = f"{folder}: goes on after a run that was killed ({former}){left}"
    started = datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    owner = Owner(run, socket.gethostname(), this_kernel(), os.getpid(), started, os.getcwd(), submitted)
    write(file, json.dumps(asdict(owner)))
    atexit.register(write, file, "")
    return line


def refuse_submitted(former: Owner, folder: Path) -> None:
    """Raise StudyError if jobs of a killed run are still in the cluster's queue, or if the queue does not answer."""
    if not former.submitted:
        return
    jobs = ask("squeue", f"--user={getpass.getuser()}", "--noheader", f"--name={former.submitted}", "--format=%A")
    if jobs is None:
        raise StudyError(
            f"{folder}: squeue does not say whether jobs of a killed run ({former}) still run; repeat later"
        )
    if jobs:
        raise StudyError(
            f"{folder}: {len(jobs)} jobs of a killed run ({former}) are still in the queue; wait for them or end them "
            f"(scancel --name={former.submitted}), then rerun"
        )


def unlock(folder: Path) -> None:
    """Forget the owner, which has ended; StudyError if it runs on this machine."""
    if (folder / NAME).exists():
        with opened(folder) as file:
            lock(file, folder)
            write(file, "")


def is_held(folder: Path) -> bool:
    """Whether a run writes to `folder`, as far as its record and this machine's processes tell; takes no lock."""
    try:
        with (folder / NAME).open(encoding="utf-8") as file:
            owner = read_owner(file)
    except OSError:
        return False
    return owner is not None and (not owner.is_on_this_machine() or psutil.pid_exists(owner.process))


def opened(folder: Path) -> TextIO:
    """The folder's lock file. It is never deleted: a deleted file can be locked, too, by who has opened it before."""
    path = folder / NAME
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, 0o666), "r+", encoding="utf-8")
    except OSError as error:
        raise StudyError(
            f"{path}: cannot be written ({error.strerror}); fix that, or choose another `results:`"
        ) from None


def lock(file: TextIO, folder: Path) -> bool:
    """Lock the file; False if its file system has no locks. StudyError if another process has locked it."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        owner = read_owner(file) or "one that has just started"
        raise StudyError(f"{folder}: another run writes here: {owner}. Wait for it or stop it, then rerun") from None
    except OSError as error:
        if error.errno not in NO_LOCKS:
            raise
        print(f"warning: {folder}: its file system has no locks; start one run at a time", file=sys.stderr)
        return False
    return True


def this_kernel() -> str:
    return KERNEL.read_text().strip() if KERNEL.exists() else ""


def read_owner(file: TextIO) -> Owner | None:
    """The owner on record; None if there is none, or the record is not whole. What other code left out is empty."""
    file.seek(0)
    try:
        record = json.loads(file.read())
    except ValueError:
        return None
    if not isinstance(record, dict):
        return None
    return Owner(**{field.name: record.get(field.name, "") for field in fields(Owner)})


def write(file: TextIO, text: str) -> None:
    file.seek(0)
    file.truncate()
    file.write(text)
    file.flush()
