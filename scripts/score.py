r"""Score one run: predictions.parquet -> metrics.json, and the run's card.

By hand, with a run directory in $RUN:
    python scripts/score.py --predictions $RUN/predictions.parquet --run $RUN/run.json \
        --output $RUN/metrics.json --card $RUN/README.md
"""

import argparse
import json
from pathlib import Path

from nli.base.atomic import write_json, write_text
from nli.base.errors import StudyError, run_main
from nli.data.predictions import read_predictions
from nli.measure.draws import score_draws
from nli.measure.metrics import score_predictions
from nli.reporting.card import run_card


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--predictions", type=Path, required=True, help="predictions.parquet of a run")
    parser.add_argument("--run", type=Path, required=True, help="run.json of the same run")
    parser.add_argument("--output", type=Path, required=True, help="metrics.json to write")
    parser.add_argument("--card", type=Path, required=True, help="card of the run and its model to write")
    parser.add_argument("--licence", help="the base model's, as the hub writes it")
    arguments = parser.parse_args()

    try:
        run = json.loads(arguments.run.read_text(encoding="utf-8"))
        identity = {key: run[key] for key in ("family", "name", "seed")}
    except (OSError, ValueError, KeyError) as error:
        raise StudyError(f"{arguments.run}: cannot read family, name and seed of the run ({error})") from error
    predictions = read_predictions(arguments.predictions)
    draws = score_draws(predictions, run.get("spec", {}).get("draws", 1), run["seed"])
    results = score_predictions(predictions)
    write_json(arguments.output, {**identity, "results": results, "by_draw": draws})
    write_text(arguments.card, run_card(run, results, arguments.licence))


if __name__ == "__main__":
    run_main(main)
