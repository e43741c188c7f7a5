"""The rooms (subfolders) of scripts/nli: which may import which, and which must never load torch."""

import ast
import os
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

from conftest import ROOT

LIBRARY = ROOT / "scripts/nli"
# Bottom up: each room, and every room that it imports. A new arrow is a decision: add it here, pointing down.
ROOMS = {
    "base": set(),
    "texts": set(),
    "provenance": {"base"},
    "study": {"base", "texts"},
    "machine": set(),
    "hub": {"base", "study"},
    "runtime": {"machine"},
    "data": {"base", "hub", "study"},
    "measure": {"base", "data", "study"},
    "models": {"base", "hub", "machine", "runtime", "study", "texts"},
    "launch": {"base", "data", "hub", "machine", "provenance", "study"},
    "answering": {"base", "data", "machine", "models", "provenance", "texts"},
    "pretraining": {"base"},
    "reporting": {"base", "data", "measure", "provenance", "study", "texts"},
    "jobs": {"answering", "base", "data", "models", "provenance", "runtime"},
    "forecast": {"answering", "base", "data", "jobs", "machine", "models", "reporting", "study"},
}
WITHOUT_TORCH = ("base", "texts", "provenance", "study", "machine", "hub", "data", "measure", "launch", "reporting")
HEAVY = ("torch", "transformers", "peft", "trl", "bitsandbytes", "datasets")


def room_of(path: Path) -> str:
    """The room of a file below scripts/nli; "" for the library's own __init__.py."""
    first = path.relative_to(LIBRARY).parts[0].removesuffix(".py")
    return "" if first == "__init__" else first


def imported(path: Path) -> set[str]:
    """The full names of the modules that a file imports anywhere, even within functions."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: import by the full name"
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def modules_of(rooms) -> list[str]:
    """The names of all modules in some rooms."""
    files = (path for path in sorted(LIBRARY.rglob("*.py")) if room_of(path) in rooms)
    return [".".join(path.relative_to(ROOT / "scripts").with_suffix("").parts) for path in files]


def test_rooms_import_what_is_stated_and_nothing_else():
    arrows = defaultdict(set, {room: set() for room in ROOMS})
    for path in LIBRARY.rglob("*.py"):
        if room_of(path):
            own = {name.split(".")[1] for name in imported(path) if name.startswith("nli.")}
            arrows[room_of(path)] |= own - {room_of(path)}
    assert arrows == ROOMS


def test_no_room_imports_one_above_it():
    order = list(ROOMS)
    upward = [
        (room, other) for room, others in ROOMS.items() for other in others if order.index(other) > order.index(room)
    ]
    assert upward == []


def test_rooms_say_what_is_in_them_and_import_nothing():
    for path in LIBRARY.rglob("__init__.py"):
        tree = ast.parse(path.read_text())
        assert ast.get_docstring(tree), path
        assert len(tree.body) == 1, path


def test_rooms_without_torch_name_no_module_that_needs_it():
    named = {
        (str(path.relative_to(LIBRARY)), name)
        for path in LIBRARY.rglob("*.py")
        if room_of(path) in WITHOUT_TORCH
        for name in imported(path)
        if name.split(".")[0] in HEAVY
    }
    assert named == set()


def test_rooms_without_torch_load_without_it():
    """Indirect imports by other libraries count too."""
    code = (
        f"import importlib, sys\nfor name in {modules_of(WITHOUT_TORCH)}: importlib.import_module(name)\n"
        f"print([name for name in {HEAVY} if name in sys.modules])"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "scripts")}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    assert done.stdout.strip() == "[]", done.stderr
