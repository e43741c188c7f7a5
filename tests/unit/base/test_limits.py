"""A script that takes longer than its rule's limit ends with a message, even if its Python code no longer runs."""

import json
import os
import subprocess
import sys

import pytest
from conftest import ROOT

SCRIPT = """
import re, sys, time
from nli.base import limits
from nli.base.errors import run_main
limits.GRACE = 0.5

def sleep():
    time.sleep(600)

def hold_the_interpreter():
    re.match("(a+)+$", "a" * 60 + "b")

def end_at_once():
    print("done")

run_main(globals()[sys.argv[1]])
"""


def run(tmp_path, name: str, limits: dict[str, float]) -> subprocess.CompletedProcess:
    script = tmp_path / "hang.py"
    script.write_text(SCRIPT)
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "scripts"), "NLI_LIMITS": json.dumps(limits)}
    return subprocess.run(
        [sys.executable, script, name], env=environment, capture_output=True, text=True, timeout=120, cwd=tmp_path
    )


def test_hung_script_ends_at_its_limit_and_says_where_it_stood(tmp_path):
    done = run(tmp_path, "sleep", {"hang.py": 0.01, "other.py": 1000})
    assert done.returncode == 124
    line, *stood = done.stderr.splitlines()
    assert line.startswith(f"error: {tmp_path / 'hang.py'}: ended after 0.01 minutes, the time limit of its rule.")
    assert any("in sleep" in frame for frame in stood)


def test_script_that_holds_the_interpreter_is_ended_too(tmp_path):
    done = run(tmp_path, "hold_the_interpreter", {"hang.py": 0.01})
    assert done.returncode == 1
    assert "Timeout (0:00:01" in done.stderr
    assert "in hold_the_interpreter" in done.stderr


@pytest.mark.parametrize("limits", [{"hang.py": 10}, {"other.py": 0.0001}, {}])
def test_script_within_its_limit_is_left_alone(tmp_path, limits):
    done = run(tmp_path, "end_at_once", limits)
    assert (done.returncode, done.stdout, done.stderr) == (0, "done\n", "")
