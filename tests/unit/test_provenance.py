"""The record of the code that made a result."""

import subprocess
import sys

from conftest import ROOT

from nli.provenance import changed_code, code_hash


def test_comments_and_layout_change_no_hash_and_code_does(tmp_path):
    path = tmp_path / "a.py"
    hashes = []
    for text in ("x = 1\n", "# a comment\nx  =  1  # why\n", "x = 2\n"):
        path.write_text(text)
        hashes.append(code_hash(path))
    assert hashes[0] == hashes[1] != hashes[2]


def test_changed_and_missing_files_are_named(tmp_path):
    for name in ("same", "changed", "gone"):
        (tmp_path / f"{name}.py").write_text("x = 1\n")
    recorded = {f"{name}.py": code_hash(tmp_path / f"{name}.py") for name in ("same", "changed", "gone")}
    (tmp_path / "changed.py").write_text("x = 2\n")
    (tmp_path / "gone.py").unlink()
    assert changed_code(recorded, tmp_path) == ["changed.py", "gone.py"]


def test_a_job_records_its_script_and_the_modules_that_it_loaded():
    code = "import nli.measure.metrics, nli.provenance; print(*nli.provenance.code_hashes())"
    paths = {"PYTHONPATH": str(ROOT / "scripts"), "PATH": "/usr/bin:/bin"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=paths)
    assert {"scripts/nli/measure/metrics.py", "scripts/nli/provenance.py"} <= set(done.stdout.split())
    assert "scripts/nli/reporting/prose.py" not in done.stdout
