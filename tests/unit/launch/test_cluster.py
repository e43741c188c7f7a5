"""Checks of accounts and partitions, against a cluster with fake commands."""

import re
import subprocess
import time
from pathlib import Path

import pytest
from system.slurm import runs

from nli.base.errors import StudyError
from nli.launch.cluster import asks_for_gpu, check_cluster


@pytest.fixture
def cluster(tmp_path, monkeypatch):
    """`cluster(name="shell code")` puts fake SLURM commands on an otherwise empty PATH."""
    monkeypatch.setenv("PATH", str(tmp_path))

    def install(**commands: str) -> None:
        for name, code in commands.items():
            (tmp_path / name).write_text(f"#!/bin/sh\n{code}\n")
            (tmp_path / name).chmod(0o755)

    install(sbatch="", sinfo="echo short; echo gpu", sacctmgr="echo study; echo guests")
    return install


def test_known_names_pass(cluster):
    check_cluster({"study"}, {"short", "gpu"})


def test_several_partitions_in_one_entry_are_checked_one_by_one(cluster):
    check_cluster(set(), {"short,gpu"})
    with pytest.raises(StudyError, match="no partition 'long' for you"):
        check_cluster(set(), {"short,long"})


def test_unknown_partition_is_named_with_those_that_exist(cluster):
    with pytest.raises(StudyError, match=r"no partition 'gpus' for you; it has gpu, short \(sinfo\)"):
        check_cluster({"study"}, {"gpus"})


def test_unknown_account_is_named_with_those_that_exist(cluster):
    with pytest.raises(StudyError, match=r"no account 'nlp' for you; it has guests, study"):
        check_cluster({"nlp"}, {"gpu"})


def test_account_ignores_case_as_slurm_does(cluster):
    check_cluster({"Guests"}, {"gpu"})


@pytest.mark.parametrize("sacctmgr", ["exit 1", "true"])
def test_cluster_without_accounting_has_no_account_to_check(cluster, sacctmgr):
    cluster(sacctmgr=sacctmgr)
    check_cluster({"anything"}, {"gpu"})


def test_silent_controller_is_said(cluster):
    cluster(sinfo="exit 1")
    with pytest.raises(StudyError, match="check the cluster's controller"):
        check_cluster(set(), {"gpu"})


def test_machine_without_slurm_is_said(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(StudyError, match="login node"):
        check_cluster(set(), set())


def test_hidden_partitions_are_known_too(cluster):
    cluster(sinfo='echo short; [ "$1" = --all ] && echo hidden')
    check_cluster(set(), {"hidden"})


@pytest.mark.parametrize(
    ("resources", "asks"),
    [
        ({"gpu": 1}, True),
        ({"gpu": 0, "gres": "gpu:1"}, True),
        ({"gpu": 0, "gres": "nvme:2,gpu:a100:1"}, True),
        ({"gpu": 0}, False),
        ({"gpu": 0, "gres": "nvme:gpu"}, False),
        ({"mem_mb": 4000}, False),
    ],
)
def test_gpu_is_asked_for_in_either_of_slurms_ways(resources, asks):
    assert asks_for_gpu(resources) is asks


# ------------------------------------------------------------------------------------- the throw-away cluster's end


def runs_by_script(root: Path, pid: int) -> bool:
    """What `runs` in cluster.sh says about a process, with the script's own options."""
    script = (root / "profiles/slurm/cluster.sh").read_text()
    function = re.search(r"^runs\(\) \{.*?^\}", script, flags=re.MULTILINE | re.DOTALL)[0]
    code = f"set -euo pipefail\n{function}\nif runs {pid}; then echo yes; else echo no; fi"
    return {"yes\n": True, "no\n": False}[subprocess.check_output(["bash", "-c", code], text=True)]


def test_process_that_only_waits_for_its_parent_has_ended(root, tmp_path):
    program = tmp_path / "a ) Z ("  # the name is on the same line as the state
    program.write_text("#!/bin/sh\nread line\n")
    program.chmod(0o755)
    process = subprocess.Popen([program], stdin=subprocess.PIPE)
    try:
        assert (runs(process.pid), runs_by_script(root, process.pid)) == (True, True)
        process.stdin.close()
        deadline = time.monotonic() + 20
        while runs(process.pid) and time.monotonic() < deadline:
            time.sleep(0.01)
        assert Path(f"/proc/{process.pid}").exists()  # a zombie: nobody has read its status
        assert (runs(process.pid), runs_by_script(root, process.pid)) == (False, False)
    finally:
        process.wait()
    assert (runs(process.pid), runs_by_script(root, process.pid)) == (False, False)
