"""MultiNLI in one format, from any of three sources.

Each source (`load_files`, `load_hub`, `load_synthetic`) returns a `RawData`, which `save_raw` writes to disk and
`load_raw` reads. `nli.data.sampling` draws the study's splits from it.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any

import pandas as pd

from nli.base.atomic import write_json
from nli.base.errors import StudyError
from nli.base.files import read_json, require_file, sha256
from nli.base.labels import LABELS
from nli.data import readers, synthetic
from nli.data.splits import SCHEMA, premise_id, read_split, write_split
from nli.hub.cache import fetch
from nli.hub.errors import Repository

# The possible names of each column in the files we read; the first three columns are required.
COLUMN_NAMES = {
    "premise": ("premise", "sentence1"),
    "hypothesis": ("hypothesis", "sentence2"),
    "label": ("label", "gold_label"),
    "pair_id": ("pair_id", "pairID"),
    "genre": ("genre",),
}
REQUIRED = ("premise", "hypothesis", "label")

UNLABELLED = -1
LABEL_IDS = {
    **{spelling: i for i, name in enumerate(LABELS) for spelling in (name, i, str(i))},
    **dict.fromkeys(("-", -1, "-1"), UNLABELLED),
}


@dataclass(frozen=True)
class RawData:
    """A source's labelled rows by split, and where they come from; `sha256` maps file names to hashes."""

    source: str
    frames: dict[str, pd.DataFrame] = field(default_factory=dict)
    revision: str | None = None
    dropped: dict[str, int] = field(default_factory=dict)
    sha256: dict[str, str] = field(default_factory=dict)


def input_files(folder: Path | str) -> list[Path]:
    """The source files in a folder, found by name only; StudyError if one is missing."""
    return list(readers.input_files(folder).values())


def load_files(folder: Path | str) -> RawData:
    """Read a folder of MultiNLI files (names and formats: `nli.data.readers`)."""
    paths = readers.input_files(folder)
    raw = RawData("files", sha256={path.name: sha256(path) for path in paths.values()})
    for split, path in paths.items():
        raw.frames[split], raw.dropped[split] = normalise(readers.read_rows(path), split, path, readers.row_unit(path))
    return raw


def load_hub(name: str, revision: str, cache: Path, rows: dict[str, int] | None = None) -> RawData:
    """Fetch a data set's files from the hub at a pinned commit into the cache and read them, without running code.

    Keeps published rows with an empty sentence: dropping them would change the counts that everyone reports.

    Args:
        rows: split -> number of labelled rows that it must have, else StudyError.
    """
    repository = Repository("dataset", name, revision, "data")

    def choose(names: Iterable[str]) -> list[str]:
        return [file for files in readers.choose_splits(names, str(repository)).values() for file in files]

    snapshot = fetch(repository, cache, choose)
    raw = RawData(f"hub {name}", revision=revision)
    raw.sha256.update({file: snapshot.files[file]["sha256"] for file in sorted(snapshot.files)})
    for split, files in readers.choose_splits(snapshot.files, str(repository)).items():
        read = chain.from_iterable(readers.read_rows(snapshot.folder / file) for file in files)
        numbered = enumerate((row for _, row in read), start=1)
        raw.frames[split], raw.dropped[split] = normalise(numbered, split, f"{name} {split}", "row", published=True)
    check_rows(raw, rows or {}, str(repository))
    return raw


def load_set(name: str, source: dict[str, Any], cache: Path) -> RawData:
    """The rows of an evaluation set from a file on this machine or in a data set on the hub.

    A label that means two of ours (HANS's non-entailment) becomes the first of them.

    Args:
        source: the fields of `nli.study.sources.SetRows`.
    """
    if source["path"]:
        path = Path(source["path"]).expanduser()
        require_file(path, f"correct config.yaml: data.sets.{name}.source.path")
        raw, where = RawData("files", sha256={path.name: sha256(path)}), str(path)
    else:
        repository = Repository("dataset", source["name"], source["revision"], f"data.sets.{name}.source")
        snapshot = fetch(repository, cache, lambda names: choose_file(source["file"], names, repository))
        path, where = snapshot.folder / source["file"], f"{source['name']} {source['file']}"
        digest = {source["file"]: snapshot.files[source["file"]]["sha256"]}
        raw = RawData(f"hub {source['name']}", revision=source["revision"], sha256=digest)
    labels = LABEL_IDS | own_labels(source["labels"])
    columns = {own: (spelling,) for own, spelling in source["columns"].items()}
    raw.frames[name], raw.dropped[name] = normalise(
        readers.read_rows(path), name, where, readers.row_unit(path), columns=columns, labels=labels
    )
    check_rows(raw, {name: source["rows"]} if source["rows"] else {}, where, f"data.sets.{name}.source.rows")
    check_known(raw.frames[name], source.get("known") or {}, where, f"data.sets.{name}.source")
    return raw


def check_known(frame: pd.DataFrame, known: Mapping[str, str], where: str, key: str) -> None:
    """Raise StudyError unless the pairs whose label is known, {pair_id: label}, have it: the labels' order is wrong."""
    read = dict(zip(frame["pair_id"], frame["label"], strict=True))
    for pair, label in known.items():
        if pair not in read:
            raise StudyError(f"{where}: it has no labelled pair {pair!r}; correct config.yaml: {key}.known")
        if read[pair] != LABELS.index(label):
            raise StudyError(
                f"{where}: pair {pair!r} is known to be {label}, but its label is read as {LABELS[read[pair]]}; "
                f"correct config.yaml: {key}.labels"
            )


def own_labels(stated: Mapping[str, str | list[str]]) -> dict[Any, int]:
    """Spelling -> index of our label, from a set's config; a spelling that is a number is also mapped as a number."""
    ids = {key: LABELS.index(value if isinstance(value, str) else value[0]) for key, value in stated.items()}
    return ids | {int(key): label for key, label in ids.items() if key.removeprefix("-").isdecimal()}


def choose_file(file: str, names: Iterable[str], repository: Repository) -> list[str]:
    """The set's one file in a listing; StudyError if it is missing."""
    names = sorted(names)
    if file not in names:
        raise StudyError(
            f"{repository} has no file {file} (it has {', '.join(names[:8])}); "
            f"correct config.yaml: {repository.key}.file"
        )
    return [file]


def check_rows(raw: RawData, rows: dict[str, int], where: str, key: str = "data.rows") -> None:
    """Raise StudyError unless each split in `rows` has that many labelled rows."""
    for split, expected in rows.items():
        found = len(raw.frames[split])
        if found != expected:
            raise StudyError(
                f"{where}: {split} has {found:,} labelled rows, {key} says {expected:,}: "
                f"correct {key}, or the file or revision"
            )


def load_synthetic(sizes: dict[str, int], seed: int) -> RawData:
    """Synthetic data; `sizes` gives the numbers of rows of train, tune, matched, mismatched and corpus."""
    frames = synthetic.generate(**{f"n_{split}": n for split, n in sizes.items()}, seed=seed)
    raw_names = {"matched": "validation_matched", "mismatched": "validation_mismatched"}
    return RawData(
        "synthetic",
        frames={raw_names.get(split, split): frame for split, frame in frames.items()},
        dropped=dict.fromkeys(readers.STEMS, 0),
    )


def normalise(
    rows: readers.Rows,
    split: str,
    source: Path | str,
    unit: str,
    published: bool = False,
    columns: Mapping[str, tuple[str, ...]] | None = None,
    labels: Mapping[Any, int] = LABEL_IDS,
) -> tuple[pd.DataFrame, int]:
    """The labelled rows in SCHEMA, and the number of unlabelled rows, which are dropped.

    Text is not changed, white space included. A row without an identifier is named by its split and its position in
    the file, from 0. Raises StudyError, naming the `source` and the line or row (`unit`), for a missing column, an
    unknown label, an empty text, an empty or repeated identifier, two columns of one meaning that disagree, or no
    labelled row at all.

    Args:
        published: keep rows with an empty text, and training rows with another's identifier, as everyone counts them.
        columns: possible names of each column in this source, instead of COLUMN_NAMES.
        labels: spelling -> index of a label.
    """
    names = {**COLUMN_NAMES, **(columns or {})}
    found: dict[str, list[str]] = {}
    keys: Any = ()
    places = None if published and split == "train" else {}  # pair id -> its line or row
    values: dict[str, list] = {name: [] for name in SCHEMA.names}
    place = -1
    for place, (number, row) in enumerate(rows):
        if row.keys() != keys:
            keys, found = row.keys(), _find_columns(row, source, names, found)
        where = (source, unit, number)
        label = _agreed({name: _label_id(row.get(name), where, labels) for name in found["label"]}, where)
        if label == UNLABELLED:
            continue
        pair_id, genre, premise, hypothesis = (
            _agreed({column: row.get(column) for column in found[name]}, where)
            for name in ("pair_id", "genre", "premise", "hypothesis")
        )
        values["pair_id"].append(_name(f"{split}-{place}" if pair_id is None else pair_id, places, where))
        values["genre"].append("" if genre is None else _whole(str(genre), "genre", where))
        values["premise"].append(_text(premise, found["premise"][0], where, published))
        values["premise_id"].append(premise_id(values["premise"][-1]))
        values["hypothesis"].append(_text(hypothesis, found["hypothesis"][0], where, published))
        values["label"].append(label)
    kept, dropped = len(values["label"]), place + 1 - len(values["label"])
    if not kept:
        raise StudyError(
            f"{source}: the split {split} is empty ({dropped} unlabelled rows, none labelled); "
            "give a file with labelled rows"
        )
    return pd.DataFrame(values).astype({"label": "int8"}), dropped


def _find_columns(
    row: dict[str, Any], source: Path | str, names: Mapping[str, tuple[str, ...]], before: Mapping[str, list[str]]
) -> dict[str, list[str]]:
    """The row's names for each of our columns; those of the row `before` it where it has none."""
    found = {
        name: [spelling for spelling in spellings if spelling in row] or before.get(name, [])
        for name, spellings in names.items()
    }
    missing = [" or ".join(names[name]) for name in REQUIRED if not found[name]]
    if missing:
        columns = ", ".join(readers.shown(str(name)) for name in row)
        raise StudyError(f"{source}: no column {', no column '.join(missing)}; rename or add it (found {columns})")
    return found


def _label_id(value: Any, where: tuple, labels: Mapping[Any, int]) -> int:
    known = isinstance(value, str | int | float) and not isinstance(value, bool)
    label = labels.get(value.strip() if isinstance(value, str) else value) if known else None
    if label is None:
        own = [spelling for spelling in labels if spelling not in LABEL_IDS]
        raise StudyError(
            f"{_place(where)}: unknown label {value!r}; use {', '.join([*own, *LABELS])} or 0, 1, 2 "
            "(- or -1 for unlabelled)"
        )
    return label


def _agreed(values: dict[str, Any], where: tuple) -> Any:
    """The value of the columns of one meaning, None without any; StudyError if they disagree."""
    given = list(values.values())
    if any(value != given[0] for value in given[1:]):
        raise StudyError(f"{_place(where)}: {' and '.join(values)} disagree; keep the right one")
    return given[0] if given else None


def _name(pair_id: Any, places: dict[str, int] | None, where: tuple) -> str:
    """A row's identifier, entered into `places` (None: none are compared); StudyError if empty or another row's."""
    name = _whole(str(pair_id), "pair_id", where)
    if not name.strip():
        raise StudyError(f"{_place(where)}: the pair_id is empty; fill it in, or remove the column")
    if places is not None and (first := places.setdefault(name, where[2])) != where[2]:
        raise StudyError(
            f"{_place(where)}: the pair_id {name!r} is that of {where[1]} {first}; give each row its own, "
            "or remove the column"
        )
    return name


def _text(text: Any, column: str, where: tuple, published: bool) -> str:
    if not isinstance(text, str) or not (published or text.strip()):
        raise StudyError(f"{_place(where)}: no text in {column} ({text!r}); fill it in or remove the row")
    return _whole(text, column, where)


def _whole(text: str, column: str, where: tuple) -> str:
    """`text`, if it can be written as UTF-8."""
    if not text.isascii() and any("\ud800" <= character <= "\udfff" for character in text):
        raise StudyError(f"{_place(where)}: half a surrogate pair in {column}; correct the text")
    return text


def _place(where: tuple) -> str:
    source, unit, number = where
    return f"{source}: {unit} {number}"


def save_raw(raw: RawData, folder: Path) -> None:
    """Write each split as Parquet, then source.json with the source and the names of the splits.

    A source without files is recorded by the hashes of the files written here.
    """
    for split, frame in raw.frames.items():
        write_split(frame, folder / f"{split}.parquet")
    written = [folder / f"{split}.parquet" for split in raw.frames]
    record = {
        "source": raw.source,
        "revision": raw.revision,
        "sha256": raw.sha256 or {path.name: sha256(path) for path in written},
        "dropped": raw.dropped,
        "splits": list(raw.frames),
    }
    write_json(folder / "source.json", record)


def load_raw(folder: Path) -> RawData:
    """Read what `save_raw` wrote: the splits that source.json names, and no other file in the folder."""
    record = read_json(folder / "source.json")
    frames = {split: read_split(folder / f"{split}.parquet") for split in record.pop("splits")}
    return RawData(frames=frames, **record)
