"""A process that has imported the libraries once and runs each job in a fork of itself.

The imports of a job take several seconds, which is most of a job at demo scale. Snakemake starts the server (`start`)
where jobs run on this machine, without a GPU and without containers. The shell of a job then calls the client (`ask`)
instead of Python: it sends its arguments, folder, environment and standard streams, and waits for the exit code. If one
side is killed, the other notices by the end of their connection.
"""

import json
import os
import runpy
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Mapping
from pathlib import Path

from nli.base.limits import ENDED, GRACE, limit_of

PRELOADED = ("nli.runtime", "nli.jobs.families", "nli.jobs.outline", "nli.measure.metrics", "nli.reporting.figures")
# The first needs a network that the preloaded libraries were told not to use; the others run before or beside all jobs.
LEFT_ALONE = ("scripts/fetch_*", "scripts/preflight.py", "scripts/build_image.py")
READY = b"+"
KILLED = 137  # as a shell reports a process that SIGKILL ended
EXPLANATION = "error: the job was killed; did the machine run out of memory?"


# ---------------------------------------------------------------------------------------------- Snakemake's side


def start(python: str, threads: int, log: Path, mark: Mapping[str, str]) -> str:
    """Start a server that ends with this process.

    Args:
        python: the interpreter of the jobs.
        threads: CPU threads of a job, which NumPy's libraries read when they are imported.
        log: where the server writes, next to the logs of the jobs.
        mark: a variable by which the server and its forks are known as this run's.

    Returns:
        a definition of `python` for the shells of the jobs, on one line.
    """
    script = Path(__file__).parents[2] / "fork_server.py"
    address = Path(tempfile.mkdtemp(prefix="nli-"), "socket")  # only this user may enter the folder
    listener = listening(address)  # from now on clients wait for the server
    libraries = ("OMP", "OPENBLAS", "MKL", "NUMEXPR", "VECLIB")
    environment = {**os.environ, **mark, **{f"{name}_NUM_THREADS": str(threads) for name in libraries}}
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("w") as output:
        subprocess.Popen(
            [python, str(script), "--serve", str(address), str(listener.fileno())],
            pass_fds=[listener.fileno()],
            stdin=subprocess.PIPE,  # closed by the end of this process, whatever ends it
            stdout=output,
            stderr=output,
            env=environment,
            start_new_session=True,  # Ctrl-C is for Snakemake and the clients
        )
    listener.close()
    client = f"command python {script} {address}"
    return f'python() {{ case "$1" in {"|".join(LEFT_ALONE)}) command python "$@";; *) {client} "$@";; esac; }};'


def listening(address: Path) -> socket.socket:
    """A socket at a new address to which clients can connect."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(address))
    listener.listen(128)
    return listener


# ---------------------------------------------------------------------------------------------- a job's client


def ask(address: str, command: list[str]) -> int:
    """Run `python COMMAND` in a fork of the server; return its exit code.

    Without a server, or if it ends or hangs before it has imported the libraries, this process becomes that Python.
    """
    for number in (signal.SIGINT, signal.SIGPIPE):
        signal.signal(number, signal.SIG_DFL)
    connection = socket.socket(socket.AF_UNIX)
    minutes, started = limit_of(command[0]), time.monotonic()
    connection.settimeout(None if minutes is None else 60 * minutes + 2 * GRACE)
    try:
        connection.connect(address)
        ready = connection.recv(1)
    except OSError:
        ready = b""
    if not ready:
        os.execvp("python", ["python", *command])
    request = json.dumps({"command": command, "folder": os.getcwd(), "environment": dict(os.environ)}).encode()
    try:
        socket.send_fds(connection, [len(request).to_bytes(4, "big")], [0, 1, 2])
        connection.sendall(request)
        answer = connection.recv(16)
    except OSError:  # the fork was killed, or does not even end at its limit
        answer = b""
    if not answer and minutes is not None and time.monotonic() - started > 60 * minutes:
        return ENDED  # the script has said so
    if not answer:
        print(EXPLANATION, file=sys.stderr)
        return KILLED
    return int(answer)


# ---------------------------------------------------------------------------------------------- the server


def serve(address: Path, listener: socket.socket) -> None:
    """Import the libraries, and run one script in a fork for each connection, until standard input ends or SIGTERM."""
    server = os.getpid()
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit())
    try:
        for module in PRELOADED:
            __import__(module)
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # ended children leave at once
        while sys.stdin not in (ready := select.select([listener, sys.stdin], [], [])[0]):
            connection, _ = ready[0].accept()
            if os.fork() == 0:
                listener.close()
                for number in (signal.SIGCHLD, signal.SIGTERM):
                    signal.signal(number, signal.SIG_DFL)
                sys.exit(run_request(connection))
            connection.close()
    finally:
        if os.getpid() == server:
            address.unlink()
            address.parent.rmdir()


def run_request(connection: socket.socket) -> int:
    """In a fork: take the client's place, run its script, and tell it the exit code."""
    os.setsid()  # so that the script and what it starts can be ended together
    connection.sendall(READY)
    size, streams, _, _ = socket.recv_fds(connection, 4, 3)
    request = json.loads(received(connection, int.from_bytes(size, "big")))
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    threading.Thread(target=end_with_client, args=(connection,), daemon=True).start()
    os.chdir(request["folder"])
    os.environ.clear()
    os.environ.update(request["environment"])
    sys.modules["nli.runtime"].set_environment()
    code = run_script(request["command"])
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    connection.sendall(str(code).encode())
    return code


def received(connection: socket.socket, size: int) -> bytes:
    """Exactly `size` bytes."""
    with connection.makefile("rb") as stream:
        return stream.read(size)


def end_with_client(connection: socket.socket) -> None:
    """Wait for the end of the connection, and end the script and what it has started."""
    connection.recv(1)
    os.killpg(0, signal.SIGTERM)


def run_script(command: list[str]) -> int:
    """What `python COMMAND` does, in this process; the exit code."""
    sys.argv = command
    sys.path[0] = str(Path(command[0]).resolve().parent)
    try:
        runpy.run_path(command[0], run_name="__main__")
    except SystemExit as end:
        if isinstance(end.code, str):
            print(end.code, file=sys.stderr)
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        traceback.print_exc()
        return 1
    return 0
