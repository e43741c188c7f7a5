"""Which files belong to a base model, and the folder in which every job finds them.

`{results}/{scale}/models/{source}/{role}/` has a base model's configuration, tokenizer and weights as safetensors (or
links to them), and source.json, which records where they come from. Pickles and code are never used.
"""

import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from nli.base.atomic import write_json
from nli.base.errors import StudyError
from nli.base.files import hashed_files, read_json, source_record

CONFIGURATION = "config.json"
WEIGHTS = re.compile(r"model(-\d{5}-of-\d{5})?\.safetensors")  # save_pretrained's names; others are duplicates
INDEX = "model.safetensors.index.json"
PICKLES = re.compile(r".+\.(bin|pt|pth|ckpt|h5|msgpack)")
TOKENIZERS = re.compile(r"tokenizer\.json|vocab\.(json|txt)|.+\.(model|spm)|tokenizer_config\.json")
TEXTS = (".json", ".txt", ".model", ".spm", "chat_template.jinja")


def shipped_architecture(name: str) -> str:
    """Path, from the repository's root, at which the configuration of a model on the hub would ship with the code."""
    return f"scripts/nli/hub/architectures/{name}.json"


def require_shipped(name: str) -> None:
    """Raise StudyError unless the configuration of the model `name` ships with the code."""
    folder = Path(__file__).parent / "architectures"
    if not (folder / f"{name}.json").is_file():
        known = sorted(str(path.relative_to(folder).with_suffix("")) for path in folder.rglob("*.json"))
        raise StudyError(
            f"no configuration of {name} ships with the code, only of {', '.join(known)}; "
            f"put its config.json at {shipped_architecture(name)}"
        )


def choose_files(names: Iterable[str], where: str) -> list[str]:
    """The model's files in a listing, small ones first; files in subfolders are ignored.

    Args:
        names: the files of a repository or a folder, relative to it.
        where: its name in messages, such as "org/name at 0123abc".

    Raises:
        StudyError: no configuration, no tokenizer, or no safetensors.
    """
    names = [name for name in names if "/" not in name]
    weights = sorted(name for name in names if WEIGHTS.fullmatch(name))
    if CONFIGURATION not in names:
        raise StudyError(f"{where} has no {CONFIGURATION}; give a model saved with transformers' save_pretrained")
    if not weights:
        pickles = [name for name in names if PICKLES.fullmatch(name)]
        found = f"only {', '.join(sorted(pickles)[:3])}, and a pickle can run code" if pickles else "no weights at all"
        raise StudyError(
            f"{where} has no safetensors files ({found}); "
            "use a revision that has them, or save the model with save_pretrained(FOLDER) and use source: path"
        )
    if not any(TOKENIZERS.fullmatch(name) for name in names):
        raise StudyError(f"{where} has no tokenizer (tokenizer.json or a vocabulary); save the model's next to it")
    return [*sorted(name for name in names if name.endswith(TEXTS)), *weights]


def check_shards(folder: Path, names: Iterable[str], where: str) -> None:
    """Raise StudyError if the index of the weights names a file that is not in `names`."""
    if INDEX in names:
        needed = read_json(folder / INDEX).get("weight_map", {}).values()
        missing = sorted(set(needed) - set(names))
        if missing:
            raise StudyError(f"{where}: {INDEX} names {', '.join(missing[:3])}, which is missing; complete the model")


def user_files(folder: str) -> list[Path]:
    """The model's files in a user's folder, listed without hashing, as a workflow's inputs.

    Raises:
        StudyError: no such folder, or a part of the model is missing.
    """
    path = Path(folder).expanduser()
    if not path.is_dir():
        raise StudyError(f"{folder}: no such folder; give the folder of a model, or use source: hub for one on the hub")
    names = choose_files((file.name for file in path.iterdir() if file.is_file()), folder)
    check_shards(path, names, folder)
    return [path / name for name in names]


def link_user_model(folder: str, output: Path) -> None:
    """Hash a user's model, once, and fill `output` with links to its files and source.json."""
    files = {path.name: path for path in user_files(folder)}
    fill_folder(output, files, source_record(Path(folder).expanduser().resolve().name, None, hashed_files(files)))


def fill_folder(output: Path, files: Mapping[str, Path], source: Mapping[str, Any]) -> None:
    """Make `output` a folder of links to `files` (name -> file) and, last, source.json.

    The files themselves are not moved, so Snakemake deletes only links when a job is killed. Existing links are
    replaced.

    Raises:
        StudyError: the folder has a file, not a link, with one of these names.
    """
    output.mkdir(parents=True, exist_ok=True)
    for entry in output.iterdir():
        if entry.is_symlink() or entry.name == "source.json":
            entry.unlink()
        elif entry.name in files:
            raise StudyError(f"{output}: already has its own {entry.name}; give an empty folder")
    for name, file in files.items():
        (output / name).symlink_to(link_target(file, output))
    write_json(output / "source.json", source)


def link_target(file: Path, folder: Path) -> Path:
    """The target of a link in `folder` to `file`: a relative path if both are below the working directory.

    The study's whole folder can then be moved, or mounted elsewhere in a container.
    """
    here, file = Path.cwd(), file.absolute()
    folder = folder.resolve()
    if file.is_relative_to(here) and folder.is_relative_to(here):
        return Path(os.path.relpath(file, folder))
    return file


def broken_links(folder: Path) -> list[str]:
    """The names of links whose files are gone, because the cache or the user's folder was moved."""
    if not folder.is_dir():
        return []
    return sorted(entry.name for entry in folder.iterdir() if entry.is_symlink() and not entry.exists())
