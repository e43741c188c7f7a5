"""Commands to print: the user's own command with one change, so that it keeps its options, or what it configures."""

import json
import shlex
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

CONFIG = ("--config", "-C")


def with_setting(arguments: Sequence[str], setting: str) -> str:
    """Snakemake's command with one more `key=value` under `--config`, which Snakemake accepts only once.

    Args:
        arguments: Snakemake's arguments, without the program's name.
    """
    options: list[str] = []
    for argument in arguments:
        option, equals, value = argument.partition("=")
        options += [option, value] if equals and option in CONFIG else [argument]
    place = next((i + 1 for i, option in enumerate(options) if option in CONFIG), None)
    if place is None:
        return shlex.join(["snakemake", *options, "--config", setting])
    return shlex.join(["snakemake", *options[:place], setting, *options[place:]])


def without_target(arguments: Iterable[str], target: str) -> str:
    """Snakemake's command for the whole study instead of one target."""
    return shlex.join(["snakemake", *(argument for argument in arguments if argument != target)])


def command_for(target: str, files: Sequence[Path], config: Mapping[str, Any], folder: Path) -> str:
    """Snakemake's command for one target of a study, to print in a report: it names no folder of this machine.

    Args:
        target: a path in the repository, or one that `portable` has made so.
        files: the config files of `--configfile`.
        config: the settings of `--config`.
        folder: the repository; of a path outside of it, only the last part is printed.
    """
    options = ["--configfile", *(portable(str(file), folder) for file in files)] if files else []
    if config:
        options += ["--config", *(f"{key}={as_setting(value, folder)}" for key, value in config.items())]
    # The target comes first: `--configfile` and `--config` take every argument up to the next option.
    return shlex.join(["snakemake", target, "--cores", "1", *options])


def as_setting(value: Any, folder: Path) -> str:
    """A value as `--config` takes it."""
    value = portable(value, folder)
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def portable(value: Any, folder: Path) -> Any:
    """A setting in which paths inside `folder` are relative to it, and others are their last part."""
    if isinstance(value, Mapping):
        return {key: portable(each, folder) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [portable(each, folder) for each in value]
    if not isinstance(value, str) or not Path(value).is_absolute():
        return value
    path = Path(value)
    return str(path.relative_to(folder)) if path.is_relative_to(folder) else path.name
