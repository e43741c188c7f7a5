"""Predict the study's wall time, GPU-hours and energy from the rehearsals of its experiments.

By hand:
    python scripts/tabulate_rehearsal.py --study study.json --rehearsals DIR --output rehearsal.json \
        --table rehearsal.md
"""

import argparse
from pathlib import Path

from nli.base.atomic import write_json, write_text
from nli.base.errors import run_main
from nli.base.files import read_json
from nli.forecast.costs import predict_costs, rehearsal_table
from nli.study.schema import Study


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--study", type=Path, required=True, help="the resolved study (JSON)")
    parser.add_argument("--rehearsals", type=Path, required=True, help="folder of {family}/{name}.json")
    parser.add_argument("--output", type=Path, required=True, help="measurements, predictions and jobs (JSON)")
    parser.add_argument("--table", type=Path, required=True, help="the same as a table (Markdown)")
    args = parser.parse_args()

    study = Study.model_validate_json(args.study.read_text(encoding="utf-8"))
    rehearsals = {e.key: read_json(args.rehearsals / f"{e.key}.json") for e in study.using_models()}
    costs = predict_costs(study, rehearsals)
    write_json(args.output, costs)
    table = rehearsal_table(costs)
    write_text(args.table, table)
    print(table)


if __name__ == "__main__":
    run_main(main)
