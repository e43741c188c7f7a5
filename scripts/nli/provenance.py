"""What a run's record says of code, data and machine, for every run with or without a neural model: no torch here."""

import resource
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

from nli.files import read_json, sha256

PACKAGES = ("torch", "transformers", "datasets", "peft", "bitsandbytes", "trl", "accelerate", "tokenizers")
PACKAGES += ("scikit-learn",)
GIB = 2**30


def resident_memory() -> float:
    """Peak resident memory of this process, in GiB."""
    scale = 1 if sys.platform == "darwin" else 1024  # ru_maxrss is in bytes there, in KiB elsewhere
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * scale / GIB


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that decide the numbers."""
    found = {"python": ".".join(map(str, sys.version_info[:3]))}
    return {**found, **{name: metadata.version(name) for name in PACKAGES}}


def data_identity(splits: dict[str, Path]) -> dict[str, Any]:
    """Where the rows came from and the hash of each split's file."""
    folder = next(iter(splits.values())).parent
    described = folder / "description.json"
    description = read_json(described) if described.exists() else {}
    return {
        "source": description.get("source"),
        "revision": description.get("revision"),
        "sha256": {name: sha256(path) for name, path in splits.items()},
    }
