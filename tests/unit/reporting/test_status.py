"""Results made by code that has changed since."""

import json

import numpy as np
from conftest import ROOT
from unit.report_fixtures import load, make_results, make_run, measure

from nli.provenance import code_hash
from nli.reporting.status import status_lines

ERRORS = "scripts/nli/base/errors.py"


def with_code(folder, key, **code):
    spec = json.loads((folder / "study.json").read_text())["experiments"][key]
    make_run(folder / key / "seed42", key, spec, "demo", 20, np.random.default_rng(0), code=code)


def test_a_result_of_other_code_is_named_with_the_file_and_the_command_that_remakes_it(tmp_path):
    folder = make_results(tmp_path, n=20)
    measure(folder)
    now = {ERRORS: code_hash(ROOT / ERRORS)}
    with_code(folder, "roberta/full", training={ERRORS: "0" * 12}, answering=now)
    with_code(folder, "icl/prompt1", training=None, answering={ERRORS: "0" * 12, "scripts/gone.py": "1" * 12})
    lines = status_lines(load(folder), ROOT, "results/demo", "snakemake --cores 2 --config seeds=[42]")
    assert lines[0].startswith("2 results in results/demo were made by other code")
    assert lines[1:3] == [
        f"  roberta/full/seed42, training: {ERRORS}",
        f"  icl/prompt1/seed42, answering: {ERRORS}, scripts/gone.py",
    ]
    targets = "results/demo/roberta/full/seed42/history.json results/demo/icl/prompt1/seed42/run.json"
    assert lines[-1] == f"  snakemake --cores 2 --config seeds=[42] --forcerun {targets}"


def test_results_of_this_code_are_said_to_be_so(tmp_path):
    folder = make_results(tmp_path, n=20)
    measure(folder)
    lines = status_lines(load(folder), ROOT, "results/demo", "snakemake --cores 2 --config seeds=[42]")
    assert len(lines) == 1
    assert lines[0].endswith("all made by the current code.")
