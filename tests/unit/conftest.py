"""A fake hub, and the fetch scripts run against it in a separate home folder."""

import os
import subprocess
import sys

import pytest
from conftest import ROOT
from unit.hub_server import COMMIT, MODEL, TOKEN, Hub, StoredRepository


@pytest.fixture
def hub():
    server = Hub().start()
    server.tokens.add(TOKEN)
    server.repositories["models/owner/model"] = StoredRepository(dict(MODEL), COMMIT)
    yield server
    server.stop()


@pytest.fixture
def fetch(hub, tmp_path):
    """Run a fetch script in a new home against the fake hub: `fetch(name=..., token=...)` returns the process."""
    (tmp_path / "home").mkdir()

    def run(script="fetch_model.py", *arguments, name="owner/model", revision=COMMIT, wait=True, **variables):
        options = ["--name", name, "--revision", revision, "--cache", tmp_path / "cache", *arguments]
        options += ["--output-dir", tmp_path / "output"]
        options += ["--role", "encoder"] if script == "fetch_model.py" else ["--source", "hub", "--seed", "1"]
        command = [sys.executable, ROOT / "scripts" / script, *map(str, options)]
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("HF_", "XDG_"))}
        environment = {**kept, "HOME": str(tmp_path / "home"), "NO_PROXY": "*", "HF_ENDPOINT": hub.address, **variables}
        process = subprocess.Popen(
            command, env=environment, cwd=tmp_path, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        if not wait:
            return process
        output, _ = process.communicate(timeout=60)
        (tmp_path / "job.log").open("a").write(output)
        return subprocess.CompletedProcess(command, process.returncode, output)

    return run
