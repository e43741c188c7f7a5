"""Results made by code that has changed since."""

import json
import shutil

import numpy as np
from conftest import ROOT
from unit.report_fixtures import make_results, make_run

from nli.provenance import code_hash
from nli.reporting.results import load_results
from nli.reporting.status import status_lines

ERRORS = "scripts/nli/base/errors.py"


def with_code(folder, key, **code):
    spec = json.loads((folder / "study.json").read_text())["experiments"][key]
    make_run(folder / key / "seed42", key, spec, "demo", 20, np.random.default_rng(0), code=code)


def load_all(folder):
    """The results as scripts/status.py loads them."""
    files = folder / "study.json", ROOT / "report/reported.yaml", folder / "data/description.json"
    return load_results(folder, *files, keep_going=True)


def test_a_result_of_other_code_is_named_with_the_file_and_the_command_that_remakes_it(tmp_path):
    folder = make_results(tmp_path, n=20, only=("roberta/full", "icl/prompt1"))
    now = {ERRORS: code_hash(ROOT / ERRORS)}
    with_code(folder, "roberta/full", training={ERRORS: "0" * 12}, answering=now)
    with_code(folder, "icl/prompt1", training=None, answering={ERRORS: "0" * 12, "scripts/gone.py": "1" * 12})
    lines = status_lines(load_all(folder), ROOT, "results/demo", "snakemake --cores 2 --config seeds=[42]")
    assert lines[0].startswith("2 results in results/demo were made by other code")
    assert lines[1:3] == [
        f"  roberta/full/seed42, training: {ERRORS}",
        f"  icl/prompt1/seed42, answering: {ERRORS}, scripts/gone.py",
    ]
    targets = "results/demo/roberta/full/seed42/history.json results/demo/icl/prompt1/seed42/run.json"
    assert lines[-1] == f"  snakemake --cores 2 --config seeds=[42] --forcerun {targets}"


def test_results_of_this_code_are_said_to_be_so(tmp_path):
    folder = make_results(tmp_path, n=20, only=("roberta/full", "icl/prompt1"))
    lines = status_lines(load_all(folder), ROOT, "results/demo", "snakemake --cores 2 --config seeds=[42]")
    assert len(lines) == 1
    assert lines[0].endswith("all made by the current code.")


def test_a_wrong_file_is_named_with_the_command_that_remakes_it(tmp_path):
    folder = make_results(tmp_path, n=20, only=("roberta/full", "roberta/lora"))
    shutil.copy(folder / "roberta/lora/seed42/metrics.json", folder / "roberta/full/seed42")
    lines = status_lines(load_all(folder), ROOT, "results/demo", "snakemake --cores 2")
    assert lines[0] == "Missing or wrong files in results/demo:"
    assert lines[1].startswith("  roberta/full/seed42/metrics.json: it belongs to roberta/lora, seed 42")
    assert lines[2].startswith("1 runs in results/demo")
    assert lines[-1] == "  snakemake --cores 2 --forcerun results/demo/roberta/full/seed42/metrics.json"
