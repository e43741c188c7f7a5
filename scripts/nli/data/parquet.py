"""Parquet files, read whole and checked."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq


def read_table(path: Path | str) -> pa.Table:
    """The table in a file. pyarrow itself does not look whether the bytes of a text are UTF-8.

    Raises:
        OSError, ValueError, pa.ArrowException: no file, no Parquet, or damaged values.
    """
    table = pq.read_table(path)
    table.validate(full=True)
    return table
