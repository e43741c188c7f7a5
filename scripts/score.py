r"""Score one run: predictions.parquet -> metrics.json, and the run's card.

First checks that both files are of this run, and that it answered the study's pairs. By hand, at the demo scale:
    R=results/demo; python scripts/score.py --spec $R/specs/icl/prompt1/predict.json --seed 42 \
        --split matched=$R/data/matched.parquet \
        --predictions $R/icl/prompt1/seed42/predictions.parquet --run $R/icl/prompt1/seed42/run.json \
        --output $R/icl/prompt1/seed42/metrics.json --card $R/icl/prompt1/seed42/README.md
"""

import argparse
from pathlib import Path

from nli.base.atomic import write_text
from nli.base.errors import run_main
from nli.base.files import read_json
from nli.data.answered import check_answered
from nli.data.leakage import hashes_of_pairs
from nli.data.predictions import read_predictions
from nli.data.run_files import check_made_from, check_predictions_file, identity_of, read_run, write_metrics
from nli.data.splits import parse_splits
from nli.measure.draws import score_draws
from nli.measure.metrics import score_predictions
from nli.reporting.card import run_card


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--spec", type=Path, required=True, help="spec of the run's prediction job (JSON)")
    parser.add_argument("--seed", type=int, required=True, help="seed of the run")
    parser.add_argument("--split", action="append", required=True, metavar="NAME=FILE", help="split that it answered")
    parser.add_argument("--predictions", type=Path, required=True, help="predictions.parquet of the run")
    parser.add_argument("--run", type=Path, required=True, help="run.json of the run")
    parser.add_argument("--output", type=Path, required=True, help="metrics.json to write")
    parser.add_argument("--card", type=Path, required=True, help="card of the run and its model to write")
    parser.add_argument("--licence", help="the base model's, as the hub writes it")
    arguments = parser.parse_args()

    spec, splits = read_json(arguments.spec), parse_splits(arguments.split)
    run = read_run(arguments.run, identity_of({**spec, "seed": arguments.seed}))
    check_made_from(arguments.run, run, spec, splits)
    check_predictions_file(arguments.predictions, run)
    predictions = read_predictions(arguments.predictions)
    check_answered(predictions, arguments.predictions, spec, splits)

    results = score_predictions(predictions)
    draws = score_draws(predictions, spec.get("draws", 1), arguments.seed)
    scores = {"results": results, "by_draw": draws, "pairs": hashes_of_pairs(predictions)}
    write_metrics(arguments.output, arguments.predictions, scores, run, spec)
    write_text(arguments.card, run_card(run, results, arguments.licence))


if __name__ == "__main__":
    run_main(main)
