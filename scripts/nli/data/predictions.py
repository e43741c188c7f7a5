"""predictions.parquet: the only contract between the experiments and the code that measures them.

One row per example and scorer, in the order of the data:

=================  ========  ==============================================================
column             type      meaning
=================  ========  ==============================================================
split              string    the evaluation set: "matched", "mismatched", ...
scorer             string    how an answer was turned into a label: "classifier", "parsed", ...
pair_id            string    the example, unique within its split and scorer
genre              string    "" if the source has none
premise_id         string    the premise's hash: rows that share it are not independent
gold               string    the right label
pred               string    the predicted label; null: the answer contains no readable label.
                             On a set with two classes: the label that it counts as (`as_merged`)
answer             string    the raw text a language model wrote; null for classifiers
logp_entailment    double    log-probability of the label; null if it was not computed
logp_neutral       double
logp_contradiction double
=================  ========  ==============================================================

The file's metadata names the run that the rows belong to (`named_run`).
"""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from nli.base.atomic import whole_file
from nli.base.errors import StudyError
from nli.base.labels import LABELS
from nli.data.parquet import read_table
from nli.data.readers import first_line, shown

LOGP_COLUMNS = tuple(f"logp_{label}" for label in LABELS)
SCHEMA = pa.schema(
    [
        pa.field("split", pa.string()),
        pa.field("scorer", pa.string()),
        pa.field("pair_id", pa.string()),
        pa.field("genre", pa.string()),
        pa.field("premise_id", pa.string()),
        pa.field("gold", pa.string()),
        pa.field("pred", pa.string()),
        pa.field("answer", pa.string()),
        *(pa.field(name, pa.float64()) for name in LOGP_COLUMNS),
    ]
)
COLUMNS = tuple(SCHEMA.names)
RUN = "nli.run"  # a key of the file's metadata


def write_predictions(frame: pd.DataFrame, path: Path | str, run: Mapping[str, Any] | None = None) -> None:
    """Check `frame` and write it as Parquet; the same rows of the same run give the same bytes.

    Columns may come in any order and with any string or float type. Raises StudyError if the
    frame breaks the contract, and then writes nothing.

    Args:
        run: what the rows belong to (`nli.data.run_files`); nothing in it may differ between two equal runs.
    """
    _check_columns(frame, path)
    frame = frame[list(COLUMNS)]
    try:
        table = pa.Table.from_pandas(frame, schema=SCHEMA, preserve_index=False)
    except (pa.ArrowException, ValueError, OverflowError) as error:
        raise StudyError(f"predictions for {path}: a column has the wrong type: {first_line(error)}") from error
    # pandas' metadata contains library versions, so equal rows would give different files.
    table = table.replace_schema_metadata({RUN: json.dumps(run)} if run else None)
    check_predictions(table.to_pandas(), path)
    with whole_file(path) as temporary:
        pq.write_table(table, temporary, compression="zstd")


def read_predictions(path: Path | str) -> pd.DataFrame:
    """Read and check a predictions file; columns in the contract's order, missing values as NaN."""
    table = _parquet(read_table, path)
    names = tuple(_parquet(lambda _: table.column_names, path))
    if names != COLUMNS:
        raise StudyError(
            f"predictions {path}: columns are {', '.join(map(shown, names))}; "
            f"expected {', '.join(COLUMNS)}; make the file again with write_predictions"
        )
    try:
        table = table.cast(SCHEMA)
    except (pa.ArrowException, ValueError) as error:
        raise StudyError(f"predictions {path}: a column has the wrong type: {first_line(error)}") from error
    frame = _parquet(lambda _: table.to_pandas(), path)
    check_predictions(frame, path)
    return frame


def named_run(path: Path | str) -> dict[str, Any] | None:
    """The run that the rows belong to, from the file's metadata; None in a file of an earlier version."""

    def metadata(path: Path | str) -> Any:
        text = (pq.read_schema(path).metadata or {}).get(RUN.encode())
        return json.loads(text) if text else None

    return _parquet(metadata, path)


def _parquet(read: Callable[[Path | str], Any], path: Path | str) -> Any:
    """What `read` finds in the file; StudyError if it is missing or unreadable."""
    try:
        return read(path)
    except FileNotFoundError as error:
        raise StudyError(f"predictions {path}: no such file; rerun to make it") from error
    except (pa.ArrowException, OSError, ValueError) as error:
        raise StudyError(
            f"predictions {path}: not a readable Parquet file ({first_line(error)}); delete it and rerun"
        ) from error


def check_predictions(frame: pd.DataFrame, path: Path | str) -> None:
    """Raise StudyError with the first offending row if the values break the contract."""
    _check_columns(frame, path)
    if frame.empty:
        raise StudyError(f"predictions {path}: no rows; the experiment answered no example")
    no_set = frame["split"].isna() | frame["split"].isin(["", "train"])
    _refuse(frame, no_set, "split", "the name of an evaluation set", path)
    _refuse(frame, frame["scorer"].isna() | (frame["scorer"] == ""), "scorer", "a name", path)
    _refuse(frame, frame["pair_id"].isna() | (frame["pair_id"] == ""), "pair_id", "an id", path)
    _refuse(frame, frame["genre"].isna(), "genre", 'a name, or "" for none', path)
    _refuse(frame, frame["premise_id"].isna() | (frame["premise_id"] == ""), "premise_id", "a hash", path)
    _refuse(frame, ~frame["gold"].isin(LABELS), "gold", f"one of {', '.join(LABELS)}", path)
    unknown = frame["pred"].notna() & ~frame["pred"].isin(LABELS)
    _refuse(frame, unknown, "pred", f"null or one of {', '.join(LABELS)}", path)
    _check_log_probabilities(frame, path)
    twice = frame.duplicated(["split", "scorer", "pair_id"])
    _refuse(frame, twice, "pair_id", "unique within its split and scorer", path)


def _check_log_probabilities(frame: pd.DataFrame, path: Path | str) -> None:
    """Refuse rows with one or two of the three log-probabilities, infinite ones, or ones above 0 (up to rounding)."""
    values = frame[list(LOGP_COLUMNS)].to_numpy(dtype=float, na_value=np.nan)
    known = (~np.isnan(values)).sum(axis=1)
    partial = pd.Series((known > 0) & (known < len(LABELS)), index=frame.index)
    _refuse(frame, partial, LOGP_COLUMNS[0], "given for all three labels or for none", path)
    absurd = pd.Series(((values > 1e-6) | np.isinf(values)).any(axis=1), index=frame.index)
    _refuse(frame, absurd, LOGP_COLUMNS[0], "finite and at most 0, like the other two", path)


def _check_columns(frame: pd.DataFrame, path: Path | str) -> None:
    missing = [name for name in COLUMNS if name not in frame.columns]
    extra = [shown(str(name)) for name in frame.columns if name not in COLUMNS]
    if missing or extra:
        raise StudyError(
            f"predictions for {path}: missing columns: {', '.join(missing) or 'none'}; "
            f"unknown columns: {', '.join(extra) or 'none'}; the contract is {', '.join(COLUMNS)}"
        )


def _refuse(frame: pd.DataFrame, wrong: pd.Series, column: str, wanted: str, path: Path | str) -> None:
    """Raise StudyError for the first row where `wrong` holds."""
    positions = np.flatnonzero(wrong.to_numpy(dtype=bool))
    if len(positions):
        first = int(positions[0])
        value = frame[column].iloc[first]
        raise StudyError(
            f"predictions {path}: {column} is {value!r} in row {first} "
            f"({len(positions)} such rows); it must be {wanted}"
        )
