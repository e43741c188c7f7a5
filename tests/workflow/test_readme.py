"""Every command that README prints works as printed: it is run, planned, or the test that runs it is named here."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys

import pytest
import yaml
from conftest import ROOT
from workflow.conftest import SMOKE

README = (ROOT / "README.md").read_text()
PROGRAMS = ("snakemake", "make", "python", "export", "--")

# How each command is covered. RUN: as printed, at the smoke test's sizes, into a folder of the test's own, with the
# further config that stands here. PLANNED: the same command as a dry run (`make -n`). Else: the test that runs it.
RUN, PLANNED = "run", "planned"
ONLY = "only=[baseline, roberta/head_only, icl/prompt1]"
COMMANDS = {
    "make demo": PLANNED,  # runs the first of the snakemake commands
    "make test": PLANNED,
    "make containers": PLANNED,
    "make cluster-demo": PLANNED,
    "make cluster-stop": PLANNED,
    "snakemake --cores 2": (RUN,),
    "snakemake -n": (RUN,),
    "snakemake --cores 2 --config only='[roberta, icl/prompt5]'": (RUN,),
    "snakemake --cores 2 --config rungs=all": (RUN, "only=[roberta/prompt_unfrozen, baseline]"),
    "snakemake --cores 2 --config seeds='[1, 2, 3]'": (RUN, "only=[baseline, icl/prompt1]"),
    "snakemake --cores 2 --config results=results-real data='{source: files, path: DIR}'": (
        "tests/workflow/test_readme.py::test_your_copy_of_multinli_is_read_to_the_report"
    ),
    "export HF_TOKEN=...": "tests/workflow/test_models.py::"
    "test_study_on_the_hubs_models_and_data_runs_to_its_report_and_holds_no_token",
    "snakemake --cores 4 --config scale=paper": PLANNED,
    "snakemake --cores 1 preflight --config scale=paper": (
        "tests/workflow/test_preflight.py::test_by_itself_it_shows_the_lines_and_fails_where_one_is_red"
    ),
    "snakemake --cores 4 parameters --config scale=paper": (RUN,),
    "snakemake --cores 4 rehearse --config scale=paper": (
        "tests/workflow/test_preflight.py::test_rehearsal_starts_where_the_study_does_not"
    ),
    "snakemake --profile profiles/slurm --config scale=paper": (
        "tests/workflow/test_submission.py::test_profile_is_understood_as_either_kind"
    ),
    "python scripts/schedule.py --rehearsal results/paper/rehearsal.json": (
        "tests/workflow/test_readme.py::test_schedule_is_made_of_a_rehearsal"
    ),
    "snakemake --cores 1 --use-singularity": (
        "tests/workflow/test_containers.py::test_images_are_built_only_where_containers_are_in_use"
    ),
    "snakemake --cores 2 metrics --config only='[qlora/attempt1_rate]' "
    "families='{qlora: {evaluation: {splits: [matched, tune]}}}'": (RUN,),
    "--config finished_only=true": (RUN,),
    "--config cache=DIR": PLANNED,
    "--config rungs=all": PLANNED,
    "--no-hooks": PLANNED,
    "--use-singularity": ("tests/workflow/test_containers.py::test_images_are_built_only_where_containers_are_in_use"),
    "--sdm env-modules": PLANNED,
    "--config containers='{study: study.sif, report: docker://registry.example/report:1}'": PLANNED,
    "--config containers='{base: /images/debian-python, torch: cpu}'": PLANNED,
}


def printed_commands() -> list[str]:
    """The commands in README's fenced blocks and in its text, without their comments."""
    blocks = re.findall(r"^```(\w*)\n(.*?)^```", README, flags=re.MULTILINE | re.DOTALL)
    lines = [line for language, block in blocks if not language for line in block.splitlines()]
    lines = [line for line in lines if not is_listing(line)]
    text = re.sub(r"^```.*?^```", "", README, flags=re.MULTILINE | re.DOTALL)
    spans = [span for span in re.findall(r"`([^`]+)`", text) if span.startswith(PROGRAMS)]
    return list(dict.fromkeys(re.sub(r"\s+#.*", "", command).strip() for command in [*lines, *spans]))


def is_listing(line: str) -> bool:
    """Whether a line of a block lists a file or a folder of the repository."""
    return (ROOT / line.split()[0].rstrip(",")).exists()


def words(command: str, *config: str, options: tuple[str, ...] = ()) -> list[str]:
    """A snakemake command as printed, or its options alone, as arguments; `config` joins its own `--config`."""
    arguments = shlex.split(command if command.startswith("snakemake") else f"snakemake --cores 1 {command}")
    if config and "--config" not in arguments:
        arguments.append("--config")
    return [arguments[0], *options, *arguments[1:], *config]


def call(arguments: list[str]) -> str:
    """Run a command in the repository; its output. A failure ends the test with what was printed."""
    environment = {**os.environ, "PATH": f"{os.path.dirname(sys.executable)}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run(
        arguments, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=900
    )
    if done.returncode:
        pytest.fail(f"{shlex.join(arguments)} exited with {done.returncode}:\n{done.stdout[-6000:]}")
    return done.stdout


def covered(how: object) -> list[str]:
    return [command for command, way in COMMANDS.items() if (way if how == PLANNED else way[0]) == how]


@pytest.fixture(scope="module")
def results(smoke, tmp_path_factory):
    """The finished smoke study in a folder of its own, so that most of what the commands need is there."""
    return shutil.copytree(smoke[0], tmp_path_factory.mktemp("readme") / "demo").parent


def test_table_knows_every_command_that_readme_prints_and_no_other():
    assert set(printed_commands()) == set(COMMANDS)


@pytest.mark.parametrize("test", [way for way in COMMANDS.values() if isinstance(way, str) and way != PLANNED])
def test_named_test_exists(test):
    file, name = test.split("::")
    assert f"def {name}(" in (ROOT / file).read_text()


@pytest.mark.parametrize("command", covered(RUN))
def test_command_runs_as_printed(results, command):
    options = (*(() if "scale=paper" in command else ("--configfile", str(SMOKE))), "--nolock")
    call(words(command, f"results={results}", *COMMANDS[command][1:], options=options))
    if "parameters" in command:
        counted = json.loads((results / "paper/parameters.json").read_text())
        assert "roberta/full" in json.dumps(counted)
    elif command != "snakemake -n":
        assert (results / "demo/report.html").exists()


@pytest.mark.parametrize("command", covered(PLANNED))
def test_command_is_planned_as_printed(command, tmp_path):
    if command.startswith("make"):
        assert call([*command.split(), "-n"])
        return
    command = command.replace("DIR", str(tmp_path))
    output = call(words(command, f"results={tmp_path}", options=("--nolock", "-n", "--quiet", "rules")))
    assert re.search(r"total\s+\d+", output)


def test_make_demo_is_the_first_snakemake_command():
    assert re.search(r"^snakemake --cores \d+$", call(["make", "-n", "demo"]), flags=re.MULTILINE)


def test_schedule_is_made_of_a_rehearsal(tmp_path):
    command = next(command for command in COMMANDS if command.startswith("python scripts/schedule.py"))
    (tmp_path / "rehearsal.json").write_text('{"jobs": [{"name": "train", "hours": 2, "needs": []}]}')
    table = call(shlex.split(command.replace("results/paper", str(tmp_path))))
    assert "| 4 | 2.0 h | 2.0 |" in table


def test_your_copy_of_multinli_is_read_to_the_report(rows, tmp_path):
    """MultiNLI's own files and columns. The demo trains on all of train; the baselines choose on tune all the same."""
    names = {
        "multinli_1.0_train": 8,
        "multinli_1.0_dev_matched": 2,
        "multinli_1.0_dev_mismatched": 2,
    }
    folder = tmp_path / "multinli_1.0"
    folder.mkdir()
    labels = ("entailment", "neutral", "contradiction")
    for name, copies in names.items():
        lines = [
            json.dumps(
                {
                    "gold_label": labels[row.label],
                    "sentence1": f"{name} {copy}: {row.premise}",
                    "sentence2": row.hypothesis,
                    "genre": "fiction",
                    "pairID": f"{copy}-{row.pair_id}",
                    "promptID": f"{copy}-{row.pair_id}",
                }
            )
            for copy in range(copies)
            for row in rows.itertuples()
        ]
        (folder / f"{name}.jsonl").write_text("\n".join(lines) + "\n")
    command = next(command for command in COMMANDS if "path: DIR" in command)
    printed = command.replace("results-real", f"{tmp_path}/results-real").replace("DIR", str(folder))
    call(words(printed, ONLY, options=("--configfile", str(SMOKE), "--nolock")))
    made = tmp_path / "results-real/demo"
    assert (made / "report.pdf").read_bytes().startswith(b"%PDF")
    for key in ("baseline/majority", "baseline/hypothesis_only", "roberta/head_only", "icl/prompt1"):
        assert (made / key / "seed42/metrics.json").exists()


def test_config_that_readme_shows_is_planned(tmp_path):
    blocks = re.findall(r"^```yaml\n(.*?)^```", README, flags=re.MULTILINE | re.DOTALL)
    shown = {key: value for block in blocks for key, value in yaml.safe_load(block).items()}
    assert set(shown) == {"experiments", "ladders"}
    (tmp_path / "shown.yaml").write_text(yaml.safe_dump(shown))
    options = ("--nolock", "-n", "--quiet", "rules", "--configfile", str(tmp_path / "shown.yaml"))
    added = ", ".join(shown["experiments"])
    output = call(words("snakemake --cores 2", f"results={tmp_path}", f"only=[{added}]", options=options))
    assert re.search(r"finetune.roberta\s+1\b", output)
