"""Reads the several tasks on one encoder from a scale's results folder."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from nli.measure.clustered import codes_of, estimate


def read_tasks(folder: Path, plan: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Every arrangement of the several tasks, in the config's order; [] if the study has none.

    Returns:
        experiment; tasks, {task: n, accuracy, interval, chance (of the best constant answer), bytes, trained}, {} for
        one that has not run, or the reason why it is `left_out`; switching, the content of switching.json, or None.
    """
    stated = plan.get("tasks") or {"experiments": [], "tasks": {}}
    found = []
    for key in stated["experiments"]:
        where = folder / "tasks" / key.partition("/")[2]
        switching = where / "switching.json"
        found.append(
            {
                "experiment": key,
                "tasks": {task: read_task(where / task) for task in stated["tasks"]},
                "switching": json.loads(switching.read_text()) if switching.exists() else None,
            }
        )
    return found


def read_task(folder: Path) -> dict[str, Any]:
    """The accuracy of a task and what it stores; {} if it has not run."""
    if not (folder / "record.json").exists():
        return {}
    record, answers = json.loads((folder / "record.json").read_text()), pd.read_parquet(folder / "answers.parquet")
    if "left_out" in record:
        return {"left_out": record["left_out"]}
    right = (answers["pred"] == answers["gold"]).to_numpy(dtype=bool)[None]
    found = estimate(right, codes_of(answers["premise_id"]))
    return {
        "n": found["n"],
        "accuracy": found["value"],
        "interval": found["clustered_interval"],
        "chance": float(answers["gold"].value_counts(normalize=True).max()),
        "classes": len(record["classes"]),
        **{key: record[key] for key in ("bytes", "trained", "seconds")},
    }
