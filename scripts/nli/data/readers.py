"""Reads a folder of MultiNLI files: finds the file of each split, and yields its numbered rows.

Every format becomes the same stream of `(number, row)`, where `row` maps the file's column names to
values, so that a message can name the wrong line. Files are streamed, not loaded.
"""

import csv
import gzip
import io
import json
import re
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from nli.base.errors import StudyError
from nli.base.files import require_file

Rows = Iterator[tuple[int, dict[str, Any]]]

HUB_ENDINGS = (".parquet", ".jsonl", ".csv", ".tsv")  # the first ending with a file for every split is read

# A split's file names without their endings: plain, GLUE's, the MultiNLI archive's, the hub's.
STEMS = {
    "train": ("train", "multinli_1.0_train", "train-00000-of-00001"),
    "validation_matched": (
        "validation_matched",
        "dev_matched",
        "multinli_1.0_dev_matched",
        "validation_matched-00000-of-00001",
    ),
    "validation_mismatched": (
        "validation_mismatched",
        "dev_mismatched",
        "multinli_1.0_dev_mismatched",
        "validation_mismatched-00000-of-00001",
    ),
}


def input_files(folder: Path | str) -> dict[str, Path]:
    """The file of each split, found by name; StudyError if there is none or more than one."""
    folder = Path(folder).expanduser()
    try:
        if not folder.is_dir():
            raise StudyError(f"{folder}: no such folder; give the folder with MultiNLI's files")
        found = {split: _find_split(folder, split) for split in STEMS}
    except OSError as error:
        raise StudyError(f"{folder}: {error.strerror}; give a folder that you may read") from None
    for path in found.values():
        require_file(path, "give a file that you may read")
    return found


def _find_split(folder: Path, split: str) -> Path:
    endings = [ending + gz for ending in READERS for gz in ("", ".gz")]
    names = [stem + ending for stem in STEMS[split] for ending in endings]
    found = [folder / name for name in names if (folder / name).is_file()]
    if not found:
        raise StudyError(
            f"{folder}: no file for the split {split}; expected one of {', '.join(STEMS[split])} "
            f"ending in {', '.join(READERS)}, plain or .gz"
        )
    if len(found) > 1:
        raise StudyError(
            f"{folder}: several files for the split {split}: {', '.join(path.name for path in found)}; keep one"
        )
    return found[0]


def choose_splits(names: Iterable[str], where: str) -> dict[str, list[str]]:
    """The files of each split in a listing of the hub, in order: one or several, in one folder and one format.

    Args:
        names: a repository's files, such as data/train-00000-of-00001.parquet.
        where: name of the listing in messages.

    Raises:
        StudyError: no folder, or more than one, has a file for every split.
    """
    names = sorted(names)
    for ending in HUB_ENDINGS:
        folders: dict[str, dict[str, list[str]]] = {}
        for name in names:
            folder, _, file = name.rpartition("/")
            stem = re.fullmatch(rf"(.+?)(-\d{{5}}-of-\d{{5}})?{re.escape(ending)}(\.gz)?", file)
            split = stem and next((split for split, stems in STEMS.items() if stem[1] in stems), None)
            if split:
                folders.setdefault(folder, {}).setdefault(split, []).append(name)
        whole = {folder: splits for folder, splits in folders.items() if splits.keys() == STEMS.keys()}
        if len(whole) > 1:
            raise StudyError(f"{where}: several folders with MultiNLI's splits ({', '.join(whole)}); name another")
        if whole:
            (splits,) = whole.values()
            return {split: splits[split] for split in STEMS}
    raise StudyError(
        f"{where}: no folder with the splits {', '.join(STEMS)} ({', '.join(HUB_ENDINGS)}); "
        "name a data set with MultiNLI's splits"
    )


def row_unit(path: Path) -> str:
    """What `read_rows` counts, from 1: the lines of a text file, or the rows of a Parquet file."""
    return "row" if _format(path) == ".parquet" else "line"


def read_rows(path: Path) -> Rows:
    """Yield `(number, row)` of a file; StudyError, with the line if known, if the file is broken."""
    if _format(path) not in FORMATS:
        raise StudyError(f"{path}: unknown format; give a file that ends in {', '.join(FORMATS)}, plain or .gz")
    opener = gzip.open if path.suffix == ".gz" else open
    try:
        with opener(path, "rb") as stream:
            yield from FORMATS[_format(path)](stream)
    except (ValueError, OSError, EOFError, zlib.error) as error:
        raise StudyError(f"{path}: {first_line(error)}; fix or replace the file") from error


def first_line(error: BaseException) -> str:
    """The first line of an error's message, or its type if it has none."""
    return next(iter(str(error).splitlines()), type(error).__name__)


def shown(name: str) -> str:
    """A column's name for a message of one line."""
    return name if name.isprintable() else repr(name)


def arrow_rows(table: pa.Table | pq.ParquetFile) -> Rows:
    """Yield `(number, row)` of an Arrow table or an open Parquet file, from 1, batch by batch."""
    in_batches = table.to_batches if isinstance(table, pa.Table) else table.iter_batches
    yield from enumerate((row for batch in in_batches(10_000) for row in batch.to_pylist()), start=1)


def _format(path: Path) -> str:
    return (path.with_suffix("") if path.suffix == ".gz" else path).suffix


def _lines(stream: BinaryIO) -> Iterator[tuple[int, str]]:
    """Numbered lines, split only at line feeds, because texts may contain other separators."""
    for number, line in enumerate(stream, start=1):
        try:
            yield number, line.decode().rstrip("\r\n").removeprefix("\ufeff")
        except UnicodeDecodeError as error:
            raise ValueError(f"line {number}: not UTF-8 ({error.reason})") from error


def _read_jsonl(stream: BinaryIO) -> Rows:
    for number, line in _lines(stream):
        if not line.strip():
            continue
        try:
            row = json.loads(line, object_pairs_hook=_each_key_once)
        except json.JSONDecodeError as error:
            reason = f"{error.msg} at column {error.colno}"
            raise ValueError(f"line {number}: broken JSON ({reason})") from error
        except ValueError as error:
            raise ValueError(f"line {number}: {error}") from error
        except RecursionError:
            raise ValueError(f"line {number}: JSON nested too deep") from None
        if not isinstance(row, dict):
            raise ValueError(f"line {number}: not a JSON object")
        yield number, row


def _each_key_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object; ValueError if it states a key twice, of which Python would keep the last."""
    row = dict(pairs)
    if len(row) < len(pairs):
        raise ValueError(f"{_repeated([key for key, _ in pairs])!r} is stated twice")
    return row


def _repeated(names: list[str]) -> str | None:
    """The first name that is in the list twice."""
    return next((name for i, name in enumerate(names) if name in names[:i]), None)


def _read_tsv(stream: BinaryIO) -> Rows:
    """Rows of GLUE's TSV: tabs separate fields, newlines end rows, and quotation marks are text."""
    return _under_header((number, line.split("\t")) for number, line in _lines(stream))


def _read_csv(stream: BinaryIO) -> Rows:
    return _under_header(_csv_fields(stream))


def _csv_fields(stream: BinaryIO) -> Iterator[tuple[int, list[str]]]:
    text = io.TextIOWrapper(stream, encoding="utf-8-sig", newline="")
    reader = csv.reader(text, strict=True)
    try:
        for fields in reader:
            yield reader.line_num, fields
    except csv.Error as error:
        raise ValueError(f"line {reader.line_num}: broken CSV ({error})") from error


def _under_header(lines: Iterator[tuple[int, list[str]]]) -> Rows:
    first, header = next(lines, (0, []))
    if (name := _repeated(header)) is not None:
        raise ValueError(f"line {first}: the header has {name!r} twice")
    for number, fields in lines:
        if fields in ([], [""]):
            continue
        if len(fields) != len(header):
            raise ValueError(f"line {number}: {len(fields)} fields, but {len(header)} in the header")
        yield number, dict(zip(header, fields, strict=True))


def _read_parquet(stream: BinaryIO) -> Rows:
    try:
        file = pq.ParquetFile(stream)
        if (name := _repeated(file.schema_arrow.names)) is not None:
            raise ValueError(f"it has the column {name!r} twice")
        yield from arrow_rows(file)
    except pa.ArrowException as error:
        raise ValueError(f"not a readable Parquet file ({error})") from error


READERS = {".jsonl": _read_jsonl, ".tsv": _read_tsv, ".csv": _read_csv, ".parquet": _read_parquet}
FORMATS = {**READERS, ".txt": _read_tsv}  # HANS's format; in MultiNLI's archive .txt files repeat the .jsonl files
