"""Finds keys that a YAML file states twice. PyYAML silently keeps the last one, and so loses half of a study."""

from collections.abc import Iterable, Iterator
from pathlib import Path

import yaml

from nli.base.errors import StudyError


def refuse_repeated_keys(paths: Iterable[str | Path]) -> None:
    """Raise StudyError if a config file states a key twice; it names every such key and its two lines."""
    found = [
        f"{path}: {key} is stated twice, in lines {first} and {second}; the second would replace the first"
        for path in paths
        for key, first, second in repeated_keys(Path(path).read_text(encoding="utf-8"))
    ]
    if found:
        raise StudyError(
            "\n".join(
                [*found, "Put additions in a file of your own, which is merged: snakemake --configfile mine.yaml"]
            )
        )


def repeated_keys(text: str) -> list[tuple[str, int, int]]:
    """(key with its sections, first line, second line) of every key that a mapping in `text` repeats."""
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.YAMLError:  # Snakemake reports the syntax error
        return []
    return list(_repeated(root, ())) if root else []


def _repeated(node: yaml.Node, path: tuple[str, ...]) -> Iterator[tuple[str, int, int]]:
    if isinstance(node, yaml.SequenceNode):
        for item in node.value:
            yield from _repeated(item, path)
    if not isinstance(node, yaml.MappingNode):
        return
    seen: dict[str, int] = {}
    for key, value in node.value:
        name, line = str(key.value), key.start_mark.line + 1
        if name in seen:
            yield ".".join((*path, name)), seen[name], line
        seen.setdefault(name, line)
        yield from _repeated(value, (*path, name))
