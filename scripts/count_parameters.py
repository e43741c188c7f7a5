"""Count every experiment's parameters, steps and operations from the configuration alone: no weights, no GPU.

By hand:
    python scripts/count_parameters.py --study study.json --encoder FOLDER_OR_JSON --decoder FOLDER_OR_JSON \
        --reported report/reported.yaml --output parameters.json --table parameters.md
"""

import argparse
from pathlib import Path

import yaml

from nli import runtime  # noqa: F401  (first: it sets the environment that transformers reads)
from nli.base.atomic import write_json, write_text
from nli.base.errors import run_main
from nli.forecast.parameters import count_study, parameters_table
from nli.study.schema import Study


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--study", type=Path, required=True, help="the resolved study (JSON)")
    parser.add_argument("--encoder", type=Path, required=True, help="a model's folder, or its configuration")
    parser.add_argument("--decoder", type=Path, required=True, help="a model's folder, or its configuration")
    parser.add_argument("--reported", type=Path, required=True, help="the original's figures (YAML)")
    parser.add_argument("--output", type=Path, required=True, help="the counts (JSON)")
    parser.add_argument("--table", type=Path, required=True, help="the counts as a table (Markdown)")
    args = parser.parse_args()

    study = Study.model_validate_json(args.study.read_text(encoding="utf-8"))
    architectures = {"encoder": args.encoder, "decoder": args.decoder}
    reported = yaml.safe_load(args.reported.read_text(encoding="utf-8"))
    counts = count_study(study, architectures, reported)
    write_json(args.output, counts)
    write_text(args.table, parameters_table(counts))
    print(args.table)


if __name__ == "__main__":
    run_main(main)
