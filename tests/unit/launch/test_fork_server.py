"""Scripts that run in forks of one process: to their callers they must be like scripts that Python runs."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from conftest import ROOT

CLIENT = ROOT / "scripts/fork_server.py"
# The real server, but with as few libraries as the code of a fork needs.
SERVER = """
import sys
from pathlib import Path
from nli.launch import fork_server
fork_server.PRELOADED = ("nli.runtime",)
address = Path(sys.argv[1])
fork_server.serve(address, fork_server.listening(address))
"""
# Snakemake's part: it starts a server, then its jobs' shells.
STARTER = """
import subprocess, sys
from pathlib import Path
from nli.launch import fork_server
definition = fork_server.start(sys.executable, 1, Path("log"), {})
for command in ("python scripts/heavy.py", "python scripts/fetch_heavy.py", "python scripts/code.py | cat"):
    print(subprocess.run(["bash", "-c", f"set -o pipefail; {definition} {command}"]).returncode, flush=True)
"""
ENVIRONMENT = {
    **os.environ,
    "PYTHONPATH": str(ROOT / "scripts"),
    "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
}
SCRIPTS = {
    "ok": "print('done')",
    "code": "import sys; sys.exit(3)",
    "text": "import sys; sys.exit('error: no such thing')",
    "error": "raise ValueError('no such value')",
    "arguments": "import sys; print(sys.argv[1:]); print(sys.stdin.read(), file=sys.stderr)",
    "surroundings": "import os; print(os.getcwd(), os.environ['WHO'], os.environ['HF_HUB_OFFLINE'])",
    "neighbour": "import helper; print(helper.NAME, __file__)",
    "helper": "NAME = 'helper'",
    "killed": "import os; os.kill(os.getpid(), 9)",
    "hung": "import time; from nli.base.errors import run_main; run_main(lambda: time.sleep(600))",
    "slow": "import os, pathlib, subprocess, sys, time; child = subprocess.Popen(['sleep', '600'])\n"
    "pathlib.Path(sys.argv[1]).write_text(f'{os.getpid()} {child.pid}'); time.sleep(600)",
}


@pytest.fixture(scope="module")
def scripts(tmp_path_factory) -> Path:
    """A folder with the scripts."""
    folder = tmp_path_factory.mktemp("scripts")
    for name, text in SCRIPTS.items():
        (folder / f"{name}.py").write_text(text)
    return folder


def start_server(address: Path) -> subprocess.Popen:
    server = subprocess.Popen([sys.executable, "-c", SERVER, str(address)], stdin=subprocess.PIPE, env=ENVIRONMENT)
    wait_until(address.exists)
    return server


@pytest.fixture(scope="module")
def address(tmp_path_factory) -> Path:
    """The socket of a running server."""
    address = tmp_path_factory.mktemp("server") / "private" / "socket"
    address.parent.mkdir()
    with start_server(address) as server:
        yield address
        server.stdin.close()
        assert server.wait(timeout=60) == 0


def wait_until(condition, seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)


def client(address: Path, script: Path, *arguments: str, **settings) -> subprocess.Popen:
    pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    command = [sys.executable, CLIENT, address, script, *arguments]
    return subprocess.Popen(command, text=True, **pipes, **{"env": ENVIRONMENT, **settings})


def outcome(*arguments, stdin: str = "", **settings) -> tuple[int, str, str]:
    """Exit code, standard output and standard error."""
    process = client(*arguments, **settings)
    output, error = process.communicate(stdin, timeout=60)
    return process.returncode, output, error


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().split()[2] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.parametrize(
    ("name", "code", "output", "error"),
    [
        ("ok", 0, "done\n", ""),
        ("code", 3, "", ""),
        ("text", 1, "", "error: no such thing\n"),
        ("error", 1, "", "ValueError: no such value\n"),
        ("killed", 137, "", "error: the job was killed; did the machine run out of memory?\n"),
    ],
)
def test_exit_codes_and_messages_are_those_of_the_script(scripts, address, name, code, output, error):
    returned = outcome(address, scripts / f"{name}.py")
    assert returned[:2] == (code, output)
    assert returned[2].endswith(error)


def test_arguments_and_streams_are_the_clients(scripts, address):
    returned = outcome(address, scripts / "arguments.py", "--text", "a b", stdin="read me")
    assert returned == (0, "['--text', 'a b']\n", "read me\n")


def test_folder_and_environment_are_the_clients(scripts, address, tmp_path):
    environment = {name: value for name, value in ENVIRONMENT.items() if name != "HF_HUB_OFFLINE"} | {"WHO": "me"}
    returned = outcome(address, scripts / "surroundings.py", cwd=tmp_path, env=environment)
    assert returned == (0, f"{tmp_path} me 1\n", "")


def test_script_imports_from_its_own_folder(scripts, address, tmp_path):
    returned = outcome(address, scripts / "neighbour.py", cwd=tmp_path)
    assert returned == (0, f"helper {scripts / 'neighbour.py'}\n", "")


def test_forks_share_nothing_that_one_has_changed(scripts, address, tmp_path):
    script = tmp_path / "change.py"
    script.write_text("import json; print(hasattr(json, 'mark')); json.mark = 1")
    assert [outcome(address, script)[1] for _ in range(2)] == ["False\n", "False\n"]


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_script_and_what_it_started_end_with_their_client(scripts, address, tmp_path, number):
    mark = tmp_path / "pids"
    process = client(address, scripts / "slow.py", str(mark))
    wait_until(lambda: mark.exists() and mark.read_text())
    pids = [int(pid) for pid in mark.read_text().split()]
    assert all(alive(pid) for pid in pids)
    process.send_signal(number)
    process.communicate(timeout=60)
    assert process.returncode == -number
    wait_until(lambda: not any(alive(pid) for pid in pids))
    assert outcome(address, scripts / "ok.py")[0] == 0  # the server goes on


def test_hung_script_ends_at_its_limit(scripts, address):
    environment = {**ENVIRONMENT, "NLI_LIMITS": json.dumps({"hung.py": 0.01})}
    code, _, error = outcome(address, scripts / "hung.py", env=environment)
    assert code == 124
    assert error.startswith(f"error: {scripts / 'hung.py'}: ended after 0.01 minutes")
    assert "did the machine run out of memory" not in error


def test_client_without_a_server_runs_the_script_itself(scripts, tmp_path):
    assert outcome(tmp_path / "none", scripts / "ok.py") == (0, "done\n", "")
    assert outcome(tmp_path / "none", scripts / "code.py")[0] == 3


@pytest.mark.parametrize("end", [lambda server: server.stdin.close(), lambda server: server.terminate()])
def test_server_that_ends_leaves_no_socket(scripts, tmp_path, end):
    address = tmp_path / "private" / "socket"
    address.parent.mkdir()
    with start_server(address) as server:
        assert outcome(address, scripts / "ok.py")[0] == 0
        end(server)
        assert server.wait(timeout=60) == 0
    assert not address.parent.exists()


def test_starting_defines_python_for_the_shells_of_the_jobs(tmp_path):
    (tmp_path / "scripts").mkdir()
    for name in ("heavy", "fetch_heavy"):
        (tmp_path / f"scripts/{name}.py").write_text("import sys; print('torch' in sys.modules, flush=True)")
    (tmp_path / "scripts/code.py").write_text(SCRIPTS["code"])
    command = [sys.executable, "-c", STARTER]
    done = subprocess.run(command, cwd=tmp_path, env=ENVIRONMENT, text=True, stdout=subprocess.PIPE)
    assert done.stdout.split() == ["True", "0", "False", "0", "3"]
