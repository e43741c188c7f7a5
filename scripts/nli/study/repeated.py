"""Finds what a YAML reader takes without a word, or not at all.

A key that is stated twice: PyYAML silently keeps the last one, and so loses half of a study. An alias within its own
anchor: Snakemake merges such a section without end.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path

import yaml

from nli.base.errors import StudyError


def refuse_repeated_keys(paths: Iterable[str | Path]) -> None:
    """Raise StudyError if a config file states a key twice; it names every such key and its two lines.

    Also for an alias within its own anchor, and for sections that are nested too deep to be read.
    """
    found = []
    for path in paths:
        try:
            repeated = repeated_keys(Path(path).read_text(encoding="utf-8"))
        except OSError as error:
            raise StudyError(f"{path}: {error.strerror}; give a file that you may read") from None
        except UnicodeDecodeError as error:
            raise StudyError(f"{path}: not UTF-8 ({error.reason} at byte {error.start}); save it as UTF-8") from None
        except RecursionError:
            raise StudyError(
                f"{path}: nested too deep, or an alias (*name) stands within its own anchor (&name); write it out"
            ) from None
        found += [
            f"{path}: {key} is stated twice, in lines {first} and {second}; the second would replace the first"
            for key, first, second in repeated
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
    return list(_repeated(root, (), {})) if root else []


def _repeated(node: yaml.Node, path: tuple[str, ...], done: dict[int, bool]) -> Iterator[tuple[str, int, int]]:
    """What a node repeats; one that aliases point to is visited once. RecursionError if it is within itself."""
    if id(node) in done:
        if not done[id(node)]:
            raise RecursionError
        return
    done[id(node)] = False
    if isinstance(node, yaml.SequenceNode):
        for item in node.value:
            yield from _repeated(item, path, done)
    seen: dict[str, int] = {}
    for key, value in node.value if isinstance(node, yaml.MappingNode) else ():
        name, line = str(key.value), key.start_mark.line + 1
        if name in seen:
            yield ".".join((*path, name)), seen[name], line
        seen.setdefault(name, line)
        yield from _repeated(value, (*path, name), done)
    done[id(node)] = True
