"""Accounts and partitions are checked against a cluster whose commands are stand-ins."""

import pytest

from nli.cluster import asks_for_gpu, check_cluster
from nli.errors import StudyError


@pytest.fixture
def cluster(tmp_path, monkeypatch):
    """`cluster(name="shell code")` puts stand-ins for SLURM's commands on an otherwise empty PATH."""
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
    with pytest.raises(StudyError, match="controller is away"):
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
