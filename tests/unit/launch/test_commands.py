"""The commands that messages print."""

import pytest

from nli.launch.commands import with_setting, without_target


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
