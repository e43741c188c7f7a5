"""A user's problem and a fault of the machine are one line; an error of the code keeps its traceback."""

import os
import signal
import subprocess
import sys

import pytest
from conftest import ROOT

SCRIPT = """
import errno, os, signal
from nli.base.errors import StudyError, run_main

def main():
    {body}

run_main(main)
"""
FULL = "raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), 'out.json')"


def run(tmp_path, body: str) -> tuple[int, str]:
    """Exit code and standard error of a script whose `main` has this body."""
    script = tmp_path / "script.py"
    script.write_text(SCRIPT.format(body=body))
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "scripts")}
    done = subprocess.run(
        [sys.executable, script], env=environment, capture_output=True, text=True, timeout=60,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a shell's background jobs ignore it
    )  # fmt: skip
    return done.returncode, done.stderr


@pytest.mark.parametrize(
    ("body", "line"),
    [
        ("raise StudyError('no such prompt')", "error: no such prompt"),
        (FULL, "error: out.json: No space left on device; free some space, then rerun"),
        (
            "raise RuntimeError('I/O error: No space left on device (os error 28)')",  # as safetensors says it
            "error: a file: No space left on device; free some space, then rerun",
        ),
        ("raise PermissionError(errno.EACCES, 'no', 'a')", "error: a: Permission denied; fix its permissions"),
        ("raise OSError(errno.EROFS, 'no', 'a')", "error: a: Read-only file system; choose another `results:`"),
        ("raise MemoryError", "error: out of memory; end other programs, then rerun"),
        ("bytearray(10**15)", "error: out of memory; end other programs, then rerun"),
        (
            'raise RuntimeError("DefaultCPUAllocator: can\'t allocate memory: you tried 8 bytes")',  # as torch says it
            "error: out of memory (DefaultCPUAllocator: can't allocate memory: you tried 8 bytes)",
        ),
    ],
)
def test_what_the_machine_lacks_is_one_line(tmp_path, body, line):
    code, error = run(tmp_path, body)
    assert (code, error.count("\n")) == (1, 1), error
    assert line in error


def test_fault_is_found_behind_a_librarys_own_error(tmp_path):
    body = f"try: {FULL}\n    except OSError as error: raise RuntimeError('unexpected pos 64') from error"
    code, error = run(tmp_path, body)
    assert (code, error) == (1, "error: out.json: No space left on device; free some space, then rerun\n")


@pytest.mark.parametrize("body", ["raise ValueError('28')", "raise OSError(errno.EBADF, 'bad')", "open('/no/such')"])
def test_error_of_the_code_keeps_its_traceback(tmp_path, body):
    code, error = run(tmp_path, body)
    assert code == 1
    assert error.startswith("Traceback")


def test_ctrl_c_is_one_word(tmp_path):
    assert run(tmp_path, "os.kill(os.getpid(), signal.SIGINT)") == (130, "interrupted\n")
