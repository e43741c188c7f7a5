"""What training rows and worked examples share with the rows that are answered, and which pairs a run answered.

Texts are compared without surrounding white space and regardless of case.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Any

import pandas as pd


def overlaps(splits: Mapping[str, pd.DataFrame], train: pd.DataFrame) -> dict[str, dict[str, int]]:
    """`overlap` of each split with the training rows, except of train and of what models are pretrained on."""
    return {name: overlap(rows, train) for name, rows in splits.items() if name not in ("train", "corpus")}


def overlap(rows: pd.DataFrame, train: pd.DataFrame) -> dict[str, int]:
    """The number of `rows` whose identifier, whose premise and hypothesis, or whose premise is one of `train`'s."""
    known = {name: set(train[name].map(plain)) for name in ("premise", "hypothesis")}
    pairs = set(zip(train["premise"].map(plain), train["hypothesis"].map(plain), strict=True))
    premises, hypotheses = rows["premise"].map(plain), rows["hypothesis"].map(plain)
    return {
        "ids": int(rows["pair_id"].isin(train["pair_id"]).sum()),
        "pairs": sum(pair in pairs for pair in zip(premises, hypotheses, strict=True)),
        "premises": int(premises.isin(known["premise"]).sum()),
    }


def shown_among(examples: Iterable[Mapping[str, str]], rows: pd.DataFrame) -> dict[str, int]:
    """The number of `rows` that are a worked example, and of those whose premise has an example's premise in it.

    The original cut the premises of its examples short, so a part of a premise counts.
    """
    premises, hypotheses = rows["premise"].map(plain), rows["hypothesis"].map(plain)
    pairs = premises.map(lambda _: False)
    shared = pairs.copy()
    for example in examples:
        same = premises.str.contains(plain(example["premise"]), regex=False)
        shared |= same
        pairs |= same & (hypotheses == plain(example["hypothesis"]))
    return {"pairs": int(pairs.sum()), "premises": int(shared.sum())}


def plain(text: str) -> str:
    return text.strip().casefold()


def hashes_of_pairs(predictions: pd.DataFrame) -> dict[str, str]:
    """Split -> SHA-256 of the identifiers of the answered pairs, one a line, in the order of the data."""
    return {
        str(split): hashlib.sha256("\n".join(rows["pair_id"].drop_duplicates()).encode()).hexdigest()
        for split, rows in predictions.groupby("split", sort=False)
    }


def examples_record(examples: list[dict[str, Any]], splits: Mapping[str, pd.DataFrame]) -> dict[str, Any]:
    """A run's worked examples for its run.json: their number, their SHA-256, and for each split `shown_among`."""
    digest = hashlib.sha256(json.dumps(examples, sort_keys=True).encode()).hexdigest()
    among = {name: shown_among(examples, rows) for name, rows in splits.items()}
    return {"examples": {"shown": len(examples), "sha256": digest, "among": among}}
