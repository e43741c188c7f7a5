"""The record of the code that made a result."""

import subprocess
import sys

from conftest import ROOT

from nli.provenance import changed_code, code_hash, imported_files


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


def test_code_of_a_script_is_what_it_imports_and_not_what_its_process_has_loaded():
    script = ROOT / "scripts/score.py"
    files = {str(path.relative_to(ROOT)) for path in imported_files(script)}
    assert {"scripts/score.py", "scripts/nli/measure/metrics.py", "scripts/nli/base/labels.py"} <= files
    assert not {name for name in files if name.startswith(("scripts/nli/models/", "scripts/nli/launch/"))}
    # as in the fork server, which has imported more
    code = (
        "import sys, types, nli.reporting.prose, nli.provenance as p\n"
        f"sys.modules['__main__'] = types.SimpleNamespace(__file__={str(script)!r})\n"
        "print(*p.code_hashes())"
    )
    paths = {"PYTHONPATH": str(ROOT / "scripts"), "PATH": "/usr/bin:/bin"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=paths)
    assert set(done.stdout.split()) == files
