"""Load every task's adapter into one encoder and switch between them: how long it takes, and that the base stays.

Each task's adapter is loaded by its name. Under every one the encoder answers some validation pairs again.
"""

import argparse
from pathlib import Path

import pandas as pd
from peft import PeftModel

from nli import runtime
from nli.base.atomic import write_json
from nli.base.errors import StudyError, run_main
from nli.base.files import read_json
from nli.data.splits import read_split
from nli.jobs.tasks import class_of_each
from nli.models.encoder import load_encoder, load_tokenizer
from nli.models.switching import bytes_of, digest, load_adapters, time_of_switching

PAIRS = 256  # validation pairs that are answered again


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", type=Path, required=True, help="folder of the base model")
    parser.add_argument("--tasks", type=Path, required=True, help="folder with a folder for each task")
    parser.add_argument("--task", action="append", required=True, help="a task, by the name of its folder")
    parser.add_argument("--validation", type=Path, required=True, help="the split that the tasks answered")
    parser.add_argument("--output", type=Path, required=True, help="what was measured (JSON)")
    runtime.add_common_arguments(parser)
    args = parser.parse_args()

    runtime.start(args.seed, args.threads)
    every = {task: read_json(args.tasks / task / "record.json") for task in args.task}
    records = {task: record for task, record in every.items() if "left_out" not in record}
    first = next(iter(records.values()))
    base = load_encoder(args.model, first["spec"]["dtype"], outputs=first["outputs"])
    before, size = digest(base), bytes_of(base)
    model = load_adapters(base, {task: args.tasks / task / "model" for task in records}).to(runtime.device())
    agreement = {task: answered_again(model, args, task, record) for task, record in records.items()}
    seconds = time_of_switching(model, list(records))
    if digest(model) != before:
        raise StudyError(f"{args.model}: switching between {', '.join(records)} changed the base's weights")
    write_json(args.output, {"seconds": seconds, "agreement": agreement, "base_sha256": before, "base_bytes": size})


def answered_again(model: PeftModel, args: argparse.Namespace, task: str, record: dict) -> float:
    """The share of the first pairs that the adapter answers as after its training."""
    model.set_adapter(task)
    answers = pd.read_parquet(args.tasks / task / "answers.parquet").head(PAIRS)
    rows = read_split(args.validation).set_index("pair_id").loc[answers["pair_id"]].reset_index()
    again = class_of_each(model, load_tokenizer(args.model), rows, record["spec"], record["classes"])
    return float((answers["pred"] == again).mean())


if __name__ == "__main__":
    run_main(main)
