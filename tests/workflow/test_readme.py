"""Every command that README and docs/ print works as printed.

Each is run or planned here, or the test that runs it is named.
"""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from conftest import ROOT
from workflow.conftest import SMOKE

GENERATED = "configuration.md"  # a table of keys, without commands
PAGES = [ROOT / "README.md", *(page for page in sorted((ROOT / "docs").glob("*.md")) if page.name != GENERATED)]
PROGRAMS = ("snakemake", "make", "python", "export", "--")

# How each command is covered. RUN: as printed, at the smoke test's sizes, into a separate folder, with the
# further config given here. PLANNED: the same command as a dry run (`make -n`). Else: the test that runs it.
# `mine.yaml` is the last YAML block above the command on its page.
RUN, PLANNED = "run", "planned"
ONLY = "only=[baseline, roberta/head_only, icl/prompt1]"
COMMANDS = {
    "make demo": PLANNED,  # runs the first of the snakemake commands
    "make test": PLANNED,
    "snakemake --cores 4 --config scale=small": PLANNED,
    "make test-system": PLANNED,
    "make schema": PLANNED,
    "make demo-models": "tests/workflow/test_demo_models.py::test_a_few_steps_of_their_recipe_make_models_with_cards",
    "make containers": PLANNED,
    "make status": PLANNED,
    "make status SCALE=paper": PLANNED,
    "make compare A=results/demo B=results-real/demo": PLANNED,
    "make bench": PLANNED,
    "make bench-gpu": PLANNED,
    "make screenshots": PLANNED,
    "make test-real": PLANNED,
    "make publish": PLANNED,
    "make chaos": PLANNED,
    "make lock": PLANNED,
    "make lock UPGRADE=1": PLANNED,
    "make audit": PLANNED,
    "python containers/install_locked.py --torch cuda containers/study.lock": (
        "tests/unit/launch/test_locks.py::test_each_build_of_torch_brings_what_it_requires"
    ),
    "NLI_UNVERIFIED=torch,numpy make demo": (
        "tests/unit/launch/test_locks.py::test_sites_own_build_of_torch_is_refused_until_it_is_named"
    ),
    "make cluster-demo": PLANNED,
    "make cluster-stop": PLANNED,
    "snakemake --cores 2": (RUN,),
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
    "python tests/bench_claims.py docs/demo_models.md": (
        "tests/workflow/test_readme.py::test_bench_of_claims_takes_its_arguments"
    ),
    "snakemake --cores 1 --use-singularity": (
        "tests/workflow/test_containers.py::test_images_are_built_only_where_containers_are_in_use"
    ),
    "snakemake --cores 2 metrics --config only='[qlora/attempt1_rate]' "
    "families='{qlora: {evaluation: {splits: [matched, tune]}}}'": (RUN,),
    "snakemake --cores 2 --configfile mine.yaml --config only='[icl/plain, roberta/lora_rank32]'": (RUN,),
    "snakemake --cores 2 --configfile mine.yaml --config only='[icl/plain, icl/plain_shot]'": (RUN,),
    "snakemake --cores 2 --configfile mine.yaml --config only='[roberta/lora, roberta/lora_rank32]'": (RUN,),
    "snakemake --cores 2 --configfile mine.yaml --config only='[roberta/lora, icl/prompt1]'": (RUN,),
    "snakemake --cores 2 --configfile mine.yaml --config only='[tokens]'": (RUN,),
    "snakemake --cores 2 --configfile mine.yaml --config only='[roberta/lora, roberta/lora_rate, roberta/lora_slow]'": (
        RUN,
    ),
    "snakemake --cores 2 --configfile mine.yaml --config only='[tasks]'": (RUN,),
    "snakemake --cores 2 --configfile mine.yaml --config only='[roberta/head_only]'": PLANNED,
    "snakemake --cores 2 --configfile mine.yaml --config only='[baseline, roberta/head_only]'": PLANNED,
    "snakemake --cores 2 --configfile mine.yaml --config only='[roberta]'": PLANNED,
    "snakemake --cores 2 --configfile mine.yaml --config only='[icl/prompt1]'": PLANNED,
    "snakemake --cores 1 --config finished_only=true": (RUN,),
    "snakemake --cores 1 status": (RUN,),
    "snakemake --cores 1 --report results/demo/workflow.html": (
        "tests/workflow/test_study.py::test_snakemakes_own_report_has_the_files_by_category_with_their_captions"
    ),
    "--configfile mine.yaml": PLANNED,
    "--config rehearsal='{on_cpu: true}'": PLANNED,
    "--config cache=DIR": PLANNED,
    "--config rungs=all": PLANNED,
    "--config only='[pairs]'": PLANNED,
    "--no-hooks": PLANNED,
    "--unlock": "tests/workflow/test_locks.py::test_run_of_another_machine_is_named_and_forgotten_only_on_demand",
    "--use-singularity": ("tests/workflow/test_containers.py::test_images_are_built_only_where_containers_are_in_use"),
    "--sdm env-modules": PLANNED,
    "--config containers='{study: study.sif, report: docker://registry.example/report:1}'": PLANNED,
    "--config containers='{base: /images/debian-python, torch: cpu}'": PLANNED,
}


def printed_commands(page: Path) -> dict[str, str | None]:
    """The commands in a page's fenced blocks and text, without their comments -> the last YAML block above each."""
    commands, block = {}, None
    for found in re.finditer(r"^ *```(\w*)\n(.*?)^ *```|`([^`]+)`", page.read_text(), flags=re.MULTILINE | re.DOTALL):
        language, content, span = found.groups()
        lines = []
        if span and span.startswith(PROGRAMS):
            lines = [" ".join(span.split())]
        elif language == "":
            lines = content.splitlines()
        elif language == "yaml":
            block = content
        for line in lines:
            commands.setdefault(re.sub(r"\s+#.*", "", line).strip(), block)
    return commands


PRINTED = {command: block for page in reversed(PAGES) for command, block in printed_commands(page).items()}


def words(command: str, *config: str, options: tuple[str, ...] = (), files: tuple[Path, ...] = ()) -> list[str]:
    """A snakemake command as printed, or its options alone, as arguments; `config` joins its own `--config`.

    `files` are its config files: they replace `mine.yaml`, or come first.
    """
    arguments = shlex.split(command if command.startswith("snakemake") else f"snakemake --cores 1 {command}")
    if "mine.yaml" in arguments:
        place = arguments.index("mine.yaml")
        arguments[place : place + 1] = map(str, files)
    elif files:
        options = (*options, "--configfile", *map(str, files))
    if config and "--config" not in arguments:
        arguments.append("--config")
    return [arguments[0], *options, *arguments[1:], *config]


def call(arguments: list[str]) -> str:
    """Run a command in the repository; returns its output. A failure ends the test and shows the output."""
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
    """The finished smoke study in a separate folder, so that most of what the commands need exists."""
    return shutil.copytree(smoke[0], tmp_path_factory.mktemp("readme") / "demo").parent


def mine(command: str, folder: Path) -> tuple[Path, ...]:
    """The config file that a command names `mine.yaml`, written into `folder`; none for a command without one."""
    if "mine.yaml" not in command:
        return ()
    return (write_shown(PRINTED[command] or "{}", folder),)


def write_shown(block: str, folder: Path) -> Path:
    """A YAML block as a file, with a model's folder for FOLDER and a folder of sentence pairs for DIR."""
    for name in ("train", "validation_matched", "validation_mismatched"):
        rows = [{"premise": f"{name} {i}.", "hypothesis": "It is.", "label": i % 3} for i in range(9)]
        (folder / f"{name}.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    (folder / "heuristics_evaluation_set.txt").write_text("gold_label\tsentence1\tsentence2\theuristic\n")
    path = folder / "mine.yaml"
    shown = {"FOLDER": "models/encoder", "DIR": str(folder), "COMMIT": "c0" * 20}
    for word, value in shown.items():
        block = block.replace(word, value)
    path.write_text(block)
    return path


def test_table_knows_every_command_that_the_pages_print_and_no_other():
    assert set(PRINTED) == set(COMMANDS)


@pytest.mark.parametrize("test", [way for way in COMMANDS.values() if isinstance(way, str) and way != PLANNED])
def test_named_test_exists(test):
    file, name = test.split("::")
    assert f"def {name}(" in (ROOT / file).read_text()


@pytest.mark.parametrize("command", covered(RUN))
def test_command_runs_as_printed(results, command, tmp_path):
    files = () if "scale=paper" in command else (SMOKE, *mine(command, tmp_path))
    call(words(command, f"results={results}", *COMMANDS[command][1:], options=("--nolock",), files=files))
    if "parameters" in command:
        counted = json.loads((results / "paper/parameters.json").read_text())
        assert "roberta/full" in json.dumps(counted)
    else:
        assert (results / "demo/report.html").exists()


@pytest.mark.parametrize("command", covered(PLANNED))
def test_command_is_planned_as_printed(command, tmp_path):
    if command.startswith("make"):
        assert call([*command.split(), "-n"])
        return
    files = mine(command, tmp_path)
    command = command.replace("DIR", str(tmp_path))
    options = ("--nolock", "-n", "--quiet", "rules")
    output = call(words(command, f"results={tmp_path}/results", options=options, files=files))
    assert re.search(r"total\s+\d+", output)


def test_make_demo_is_the_first_snakemake_command():
    assert re.search(r"^snakemake --cores \d+$", call(["make", "-n", "demo"]), flags=re.MULTILINE)


def test_schedule_is_made_of_a_rehearsal(tmp_path):
    command = next(command for command in COMMANDS if command.startswith("python scripts/schedule.py"))
    (tmp_path / "rehearsal.json").write_text('{"jobs": [{"name": "train", "hours": 2, "needs": []}]}')
    table = call(shlex.split(command.replace("results/paper", str(tmp_path))))
    assert "| 4 | 2.0 h | 2.0 |" in table


def test_bench_of_claims_takes_its_arguments():
    assert "--runs" in call(["python", "tests/bench_claims.py", "--help"])


def test_your_copy_of_multinli_is_read_to_the_report(rows, tmp_path):
    """MultiNLI's own files and columns. The demo trains on all of train, but the baselines still choose on tune."""
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


def yaml_blocks() -> list[str]:
    return [
        block
        for page in PAGES
        for block in re.findall(r"^```yaml\n(.*?)^```", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    ]


@pytest.mark.parametrize("block", yaml_blocks())
def test_config_that_a_page_shows_is_planned(block, tmp_path):
    shown = yaml.safe_load(block)
    files = (write_shown(block, tmp_path),)
    only = f"only=[{', '.join(shown.get('experiments', ['roberta/full']))}]"
    options = ("--nolock", "-n", "--quiet", "rules")
    output = call(words("snakemake --cores 2", f"results={tmp_path}/results", only, options=options, files=files))
    seeds = shown.get("seeds", [None])
    experiments = shown.get("experiments", {"roberta/full": {}})
    jobs = sum(len((changes or {}).get("seeds", seeds)) for changes in experiments.values())
    assert re.search(rf"^ *score +{3 if shown.get('scale') == 'paper' else jobs}\b", output, flags=re.MULTILINE)
