"""The commands that messages print."""

from pathlib import Path

import pytest

from nli.launch.commands import command_for, portable, with_setting, without_target


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--cores", "2"], "snakemake --cores 2 --config finished_only=true"),
        (
            ["--configfile", "my study.yaml", "--config", "results=r", "seeds=[1, 2]", "--cores", "2"],
            "snakemake --configfile 'my study.yaml' --config finished_only=true results=r 'seeds=[1, 2]' --cores 2",
        ),
        (["-C", "scale=paper"], "snakemake -C finished_only=true scale=paper"),
        (["--config=scale=paper", "-n"], "snakemake --config finished_only=true scale=paper -n"),
    ],
)
def test_a_setting_joins_those_of_the_command(arguments, expected):
    assert with_setting(arguments, "finished_only=true") == expected


def test_the_study_takes_the_place_of_a_target():
    command = without_target(["--cores", "1", "status", "--config", "scale=paper"], "status")
    assert command == "snakemake --cores 1 --config scale=paper"


def test_a_command_for_a_report_has_the_configuration_and_no_folder_of_this_machine():
    repository = Path("/home/me/study")
    files = [repository / "tests/smoke.yaml", Path("/home/me/my own.yaml")]
    config = {
        "results": "/scratch/r",
        "only": ["icl/prompt1"],
        "data": {"path": "/home/me/rows"},
        "finished_only": True,
    }
    assert command_for("r/demo/LABEL.csv", files, config, repository) == (
        "snakemake r/demo/LABEL.csv --cores 1 --configfile tests/smoke.yaml 'my own.yaml' "
        """--config results=r 'only=["icl/prompt1"]' 'data={"path": "rows"}' finished_only=true"""
    )
    assert command_for("a", [], {}, repository) == "snakemake a --cores 1"
    assert portable("/home/me/study/results-x", repository) == "results-x"
