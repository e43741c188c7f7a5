"""Checks of a config's bare values, before anything reads their meaning: YAML can make them endless or invisible."""

from collections.abc import Iterator, Mapping
from typing import Any

from nli.base.errors import StudyError
from nli.study.types import CONTROL

FILE = "config.yaml"
DEEPEST = 30  # sections and lists within each other
MOST = 200_000  # values, with every alias written out


def expect_mapping(value: Any, where: str) -> Mapping[str, Any]:
    """`value` if it is a section; raises StudyError with the key otherwise."""
    if not isinstance(value, Mapping):
        raise StudyError(f"{FILE}: {where}: takes a section (key: value lines), got {value!r}")
    return value


def refuse_loops(config: Any) -> None:
    """Raise StudyError if aliases make `config` endless or huge, or if it is nested too deep to be read."""
    measured: dict[int, tuple[int, int]] = {}  # container -> values in it, levels below it

    def measure(value: Any, above: tuple[int, ...]) -> tuple[int, int]:
        if not isinstance(value, Mapping | list | tuple):
            return 1, 0
        if id(value) in above:
            raise StudyError(f"{FILE}: an alias (*name) stands within its own anchor (&name); write it out")
        if len(above) == DEEPEST:
            raise StudyError(f"{FILE}: sections are nested more than {DEEPEST} deep; remove some")
        if id(value) not in measured:
            inside = [measure(item, (*above, id(value))) for item in items(value)]
            measured[id(value)] = 1 + sum(n for n, _ in inside), 1 + max((depth for _, depth in inside), default=0)
        n, depth = measured[id(value)]
        if n > MOST:
            raise StudyError(f"{FILE}: aliases (*name) expand to more than {MOST:,} values; write out what is needed")
        if len(above) + depth > DEEPEST:
            raise StudyError(f"{FILE}: sections are nested more than {DEEPEST} deep; remove some")
        return n, depth

    measure(config, ())


def items(value: Any) -> list[Any]:
    """The values of a section or a list."""
    return list(value.values() if isinstance(value, Mapping) else value)


def refuse_control_characters(config: Any) -> None:
    """Raise StudyError, with the key, for a text that holds a character which no file or report can show."""
    for key, text in texts(config, ()):
        if found := CONTROL.search(text):
            raise StudyError(f"{FILE}: {'.'.join(key)!r}: takes no control characters, got {found[0]!r}; remove it")


def texts(value: Any, key: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], str]]:
    """Every text in `value`, keys included, with the keys that lead to it."""
    if isinstance(value, str):
        yield key, value
    elif isinstance(value, Mapping):
        for name, item in value.items():
            yield key, str(name)
            yield from texts(item, (*key, str(name)))
    elif isinstance(value, list | tuple):
        for i, item in enumerate(value):
            yield from texts(item, (*key, str(i)))
