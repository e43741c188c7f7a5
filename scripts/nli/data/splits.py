"""Split files: their columns, and the identifier of a premise."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from nli.base.atomic import whole_file
from nli.base.errors import StudyError
from nli.base.labels import LABELS
from nli.data import readers
from nli.data.parquet import read_table

SCHEMA = pa.schema(
    [
        ("pair_id", pa.string()),
        ("genre", pa.string()),
        ("premise_id", pa.string()),
        ("premise", pa.string()),
        ("hypothesis", pa.string()),
        ("label", pa.int8()),
    ]
)

MERGED = "nli.merged"  # a key of the file's metadata


def parse_splits(arguments: Sequence[str]) -> dict[str, Path]:
    """Command-line arguments `matched=path` as a mapping; StudyError for anything else."""
    splits = {}
    for argument in arguments:
        name, separator, path = argument.partition("=")
        if not separator:
            raise StudyError(f"--split {argument}: write NAME=FILE, e.g. matched=results/demo/data/matched.parquet")
        splits[name] = Path(path)
    return splits


def premise_id(premise: str) -> str:
    """A premise's identifier: sixteen hexadecimal digits, a hash of its text without surrounding white space.

    Rows of one premise are not independent of each other. The identifier is the same in every source and split.
    """
    return hashlib.sha256(premise.strip().encode()).hexdigest()[:16]


def write_split(frame: pd.DataFrame, path: Path, merged: Mapping[str, str] | None = None) -> None:
    """Write a split as Parquet in SCHEMA, whole or not at all; equal frames give equal bytes.

    Args:
        merged: for a set with two classes, the label that counts as another, such as {"contradiction": "neutral"}.
    """
    table = pa.Table.from_pandas(frame, schema=SCHEMA, preserve_index=False)
    with whole_file(path) as temporary:
        metadata = {MERGED: json.dumps(merged)} if merged else None
        pq.write_table(table.replace_schema_metadata(metadata), temporary, compression="zstd")


def merged_labels(path: Path | str) -> dict[str, str]:
    """The `merged` that a split was written with: which label counts as another; {} for three classes."""
    metadata = pq.read_schema(path).metadata or {}
    return json.loads(metadata.get(MERGED.encode(), b"{}"))


def read_split(path: Path | str) -> pd.DataFrame:
    """Read a split: pair_id, genre, premise_id, premise, hypothesis (str), label (int8, see nli.base.labels).

    Tune may have no rows. Raises StudyError if the file is missing, unreadable or not in SCHEMA.
    """
    try:
        table = read_table(path)
        found = ", ".join(f"{column.name} {column.type}" for column in table.schema)
        frame = table.to_pandas()
    except (OSError, ValueError, pa.ArrowException) as error:
        raise StudyError(
            f"{path}: cannot be read as Parquet ({readers.first_line(error)}); "
            "run scripts/fetch_data.py and scripts/sample_data.py"
        ) from error
    if not table.schema.equals(SCHEMA):
        raise StudyError(f"{path}: not a split of the study ({found}); delete it and rerun")
    if frame.isna().any(axis=None) or not frame["label"].isin(range(len(LABELS))).all():
        raise StudyError(f"{path}: empty cell or unknown label; delete it and rerun")
    return frame
