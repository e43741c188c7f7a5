"""How far the confidence of an experiment's answers can be relied upon, by way of scoring."""

from typing import Any

import pandas as pd

from nli.measure.answers import Answers, frames_of
from nli.measure.metrics import calibration_bins, calibration_error


def measure_reliability(left: Answers, split: str = "matched") -> dict[str, Any]:
    """Scorer -> calibration error and bins over all seeds, for the scorers that have label probabilities."""
    scorers = dict.fromkeys(scorer for frame in left.frames.values() for scorer in frame["scorer"])
    found = {}
    for scorer in scorers:
        frames = frames_of(left, split, scorer)
        if frames and (bins := calibration_bins(rows := pd.concat(frames.values()))):
            found[scorer] = {"error": calibration_error(rows), "bins": bins}
    return found
