"""Checks that predictions answer the pairs that the study's data and spec say, each once and with its gold label."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from nli.base.errors import StudyError
from nli.base.labels import LABELS
from nli.data.run_files import ANSWER_AGAIN
from nli.data.sampling import read_sample
from nli.study.experiments import FAMILIES


def check_answered(frame: pd.DataFrame, path: Path, spec: Mapping[str, Any], splits: Mapping[str, Path]) -> None:
    """Raise StudyError with the first difference between predictions and what their job was to answer.

    Args:
        frame: the content of `path`.
        spec: the prediction job's.
        splits: name -> file of rows.
    """
    scorers = spec.get("scorers") or [FAMILIES[spec["family"]].scorer]
    wanted = {(split, scorer) for split in splits for scorer in scorers}
    found = dict(list(frame.groupby(["split", "scorer"], sort=False)))
    for split, scorer in sorted(wanted ^ set(found)):
        what = "missing" if (split, scorer) in wanted else "not in the spec"
        raise StudyError(f"{path}: the answers on {split} by {scorer} are {what}; {ANSWER_AGAIN}")
    for split, file in splits.items():
        rows = read_sample(file, spec["evaluation"]["examples"], spec["sample_seed"])
        for scorer in scorers:
            if problem := difference(found[split, scorer], rows):
                raise StudyError(f"{path}: {split} by {scorer}: {problem} {file}; {ANSWER_AGAIN}")


def difference(answered: pd.DataFrame, rows: pd.DataFrame) -> str:
    """How the answered pairs differ from the rows to answer, before the name of the rows' file; "" if they do not."""
    foreign = answered.loc[~answered["pair_id"].isin(rows["pair_id"]), "pair_id"]
    if len(foreign):
        return f"{len(foreign)} of {len(answered)} pairs, such as {foreign.iloc[0]!r}, are not among those to answer in"
    if len(answered) != len(rows):
        return f"{len(answered)} of the {len(rows)} pairs to answer in"
    expected = rows.assign(gold=np.array(LABELS, dtype=object)[rows["label"]])
    for column in ("pair_id", "gold", "premise_id", "genre"):
        differs = answered[column].to_numpy(dtype=object) != expected[column].to_numpy(dtype=object)
        if differs.any():
            row = int(differs.argmax())
            had, has = answered[column].iloc[row], expected[column].iloc[row]
            return f"{column} of pair {answered['pair_id'].iloc[row]!r} is {had!r}, not {has!r} as in"
    return ""
