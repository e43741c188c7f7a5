"""No file that a study reads can run code: neither the study's own sources nor torch's loader would let it."""

import ast
import pickle

import pytest
from conftest import ROOT

MODULES = {"pickle", "cPickle", "dill", "cloudpickle", "marshal", "shelve", "joblib"}
CALLS = {"eval", "exec", "os.system", "os.popen", "yaml.load", "yaml.unsafe_load", "pd.read_pickle"}
OPTIONS = {"trust_remote_code": True, "allow_pickle": True, "shell": True, "weights_only": False}


def runs_code(source: str) -> list[str]:
    """What in a source could run code that a file holds: imports, calls and options."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names if alias.name.split(".")[0] in MODULES]
        elif isinstance(node, ast.ImportFrom):
            found += [node.module] if (node.module or "").split(".")[0] in MODULES else []
        elif isinstance(node, ast.Call):
            found += [name for name in [ast.unparse(node.func)] if name in CALLS]
            given = {word.arg: word.value.value for word in node.keywords if isinstance(word.value, ast.Constant)}
            found += [name for name, value in OPTIONS.items() if name in given and given[name] is value]
    return found


def test_no_source_unpickles_evaluates_or_starts_a_shell():
    sources = [*ROOT.glob("scripts/**/*.py"), *ROOT.glob("containers/*.py")]
    assert len(sources) > 100
    found = {str(path.relative_to(ROOT)): runs_code(path.read_text(encoding="utf-8")) for path in sources}
    assert {path: names for path, names in found.items() if names} == {}
    risky = "import pickle\nfrom joblib import load\neval('1')\nrun(x, shell=True)\nmodel(f, trust_remote_code=True)\n"
    assert runs_code(risky) == ["pickle", "joblib", "eval", "shell", "trust_remote_code"]


class Payload:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (open, (str(self.path), "w"))


def test_pickle_of_a_checkpoint_runs_nothing(tmp_path):
    import torch

    torch.save({"state": Payload(tmp_path / "ran")}, tmp_path / "optimizer.pt")
    with pytest.raises(pickle.UnpicklingError, match="Weights only load failed"):
        torch.load(tmp_path / "optimizer.pt")  # as transformers' Trainer does when it resumes
    assert not (tmp_path / "ran").exists()
