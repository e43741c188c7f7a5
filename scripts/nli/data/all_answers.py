"""answers.parquet: the answers of all runs of a scale in one file, one row per run, example and scorer.

The columns of predictions.parquet, after those that name the run, and whether the answer is right:

=================  ========  ==============================================================
column             type      meaning
=================  ========  ==============================================================
experiment         string    "family/name"
seed               int64
...                          those of `nli.data.predictions`
correct            bool      whether `pred` is `gold`; false for an answer without a label
=================  ========  ==============================================================

The file's metadata have the SHA-256 of each run's predictions.parquet. Rows come by run, in the order of the study.
"""

import json
from collections.abc import Mapping
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from nli.base.atomic import whole_file
from nli.base.errors import StudyError
from nli.base.files import sha256
from nli.data.parquet import read_table
from nli.data.predictions import SCHEMA as PREDICTIONS
from nli.data.predictions import check_predictions, read_predictions
from nli.data.readers import first_line

SCHEMA = pa.schema(
    [pa.field("experiment", pa.string()), pa.field("seed", pa.int64()), *PREDICTIONS, pa.field("correct", pa.bool_())]
)
RUNS = "nli.runs"  # a key of the file's metadata
AGAIN = "delete it and rerun: the answers are collected again, which takes seconds"
Key = tuple[str, int]  # experiment and seed


def write_all_answers(path: Path, runs: Mapping[Key, Path]) -> int:
    """Write the answers of all runs, whole or not at all; returns the number of rows.

    Only one run is in memory at a time. Raises StudyError for the first run whose predictions break their contract.

    Args:
        runs: experiment and seed -> predictions.parquet, in the order of the rows.
    """
    used = {f"{experiment}/seed{seed}": sha256(predictions) for (experiment, seed), predictions in runs.items()}
    schema = SCHEMA.with_metadata({RUNS: json.dumps(used)})
    rows = 0
    with whole_file(path) as temporary, pq.ParquetWriter(temporary, schema, compression="zstd") as writer:
        for (experiment, seed), predictions in runs.items():
            frame = read_predictions(predictions)
            table = pa.Table.from_pandas(with_run(frame, experiment, seed), schema=SCHEMA, preserve_index=False)
            writer.write_table(table.replace_schema_metadata(schema.metadata))
            rows += len(frame)
    return rows


def with_run(frame: pd.DataFrame, experiment: str, seed: int) -> pd.DataFrame:
    """A run's predictions with the columns of SCHEMA."""
    right = (frame["pred"] == frame["gold"]).fillna(False).astype(bool)
    return frame.assign(experiment=experiment, seed=seed, correct=right)[SCHEMA.names]


def read_all_answers(path: Path) -> pd.DataFrame:
    """Read and check answers.parquet; StudyError if it is missing, unreadable or breaks its schema."""
    try:
        table = read_table(path)
    except FileNotFoundError:
        raise StudyError(f"{path}: no such file; rerun to make it") from None
    except (pa.ArrowException, OSError, ValueError) as error:
        raise StudyError(f"{path}: not a readable Parquet file ({first_line(error)}); {AGAIN}") from None
    if not table.schema.equals(SCHEMA):
        raise StudyError(f"{path}: its columns or their types are not those of docs/outputs.md; {AGAIN}")
    frame = table.to_pandas()
    for (experiment, seed), rows in frame.groupby(["experiment", "seed"], sort=False):
        check_predictions(rows[PREDICTIONS.names], f"{path}, {experiment}, seed {seed}")
    wrong = frame["correct"] != (frame["pred"] == frame["gold"]).fillna(False)
    if wrong.any():
        raise StudyError(f"{path}: correct is {frame['correct'][wrong.idxmax()]} in row {wrong.idxmax()}; {AGAIN}")
    return frame
