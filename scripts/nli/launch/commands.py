"""Commands to print: the user's own command with one change, so that it keeps its options."""

import shlex
from collections.abc import Iterable, Sequence

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
