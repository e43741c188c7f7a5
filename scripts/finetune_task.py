"""Train the encoder for one of several tasks on the same pairs, and answer the validation pairs.

Writes what the task adds to the base (and, for an adapter, the files that PEFT loads), the answers and a record.
"""

import argparse
from pathlib import Path
from typing import Any

import pandas as pd
from peft import PeftModel

from nli import runtime
from nli.base.atomic import whole_file, whole_folder, write_json
from nli.base.errors import run_main
from nli.data.splits import read_split
from nli.data.tasks import possible_tasks
from nli.jobs.families import FAMILIES
from nli.jobs.outline import add_base_arguments, begin_training, read_training_rows, training_parser
from nli.jobs.tasks import class_of_each
from nli.models.encoder import build_encoder, load_tokenizer
from nli.models.export import save_adapter
from nli.models.training import TENSORS, run_training, save_trained

FAMILY = FAMILIES["roberta"]


def main() -> None:
    parser = training_parser(__doc__)
    parser.add_argument("--validation", type=Path, required=True, help="split to answer")
    parser.add_argument("--answers", type=Path, required=True, help="answers to it (Parquet)")
    add_base_arguments(parser)
    args = parser.parse_args()

    started = runtime.start(args.seed, args.threads)
    sessions, spec, tokenizer = begin_training(started, args, load_tokenizer, FAMILY.check)
    train = read_training_rows(args.train, spec)
    tasks = possible_tasks(spec["tasks"], train)
    if spec["task"] not in tasks:
        return leave_out(args, spec)
    (classes, codes), outputs = tasks[spec["task"]], max(len(names) for names, _ in tasks.values())
    train, validation = (of_some_class(rows.assign(label=codes(rows))) for rows in (train, read_split(args.validation)))

    model = build_encoder(args.model, spec, outputs)
    dataset = FAMILY.dataset(train, tokenizer, spec)
    trainer = FAMILY.trainer(model, tokenizer, dataset, spec, args.checkpoints, args.seed)
    history, _ = run_training(trainer, args.checkpoints, sessions)
    answers = validation[["pair_id", "premise_id"]].assign(
        gold=[classes[code] for code in validation["label"]],
        pred=class_of_each(model, tokenizer, validation, spec, classes),
    )

    with whole_folder(args.output_dir) as folder:
        save_trained(model, folder)
        if isinstance(model, PeftModel):
            save_adapter(model, folder, args.base, args.revision)
    with whole_file(args.answers) as temporary:
        answers.to_parquet(temporary, index=False)
    write_json(args.history, history)
    record = {"spec": spec, "classes": classes, "outputs": outputs, "seconds": history["train"]["seconds"]}
    record["trained"] = sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)
    write_json(args.record, {**record, "bytes": (args.output_dir / TENSORS).stat().st_size})
    return None


def leave_out(args: argparse.Namespace, spec: dict[str, Any]) -> None:
    """Write the outputs of a task that the training pairs do not pose, so that the study goes on."""
    reason = "all training pairs have the same class"
    print(f"{spec['task']} is left out: {reason}", flush=True)
    args.output_dir.mkdir(parents=True, exist_ok=True)
    pd.DataFrame({name: [] for name in ("pair_id", "premise_id", "gold", "pred")}).to_parquet(args.answers)
    write_json(args.history, {})
    write_json(args.record, {"spec": spec, "left_out": reason})


def of_some_class(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows that have a class of the task."""
    return rows[rows["label"] >= 0].reset_index(drop=True)


if __name__ == "__main__":
    run_main(main)
