"""Fine-tune the encoder by one method: full, LoRA, prompt tuning, top layers or head only.

Writes the tensors that training changed, the history of the losses and the record of the run.
"""

import argparse
import shutil
from pathlib import Path

from nli import runtime
from nli.atomic import write_json
from nli.data import read_split
from nli.encoder import accuracy, build_encoder, load_tokenizer, pair_collator, tokenize_pairs
from nli.errors import run_main
from nli.files import read_json
from nli.records import training_record
from nli.training import StudyTrainer, run_training, save_trained, training_arguments
from transformers import TrainingArguments


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--spec", type=Path, required=True, help="resolved experiment (JSON)")
    parser.add_argument("--model", type=Path, required=True, help="folder of the base encoder")
    parser.add_argument("--train", type=Path, required=True, help="training split")
    parser.add_argument("--validation", type=Path, required=True, help="split evaluated after each epoch")
    parser.add_argument("--checkpoints", type=Path, required=True, help="folder to resume from")
    parser.add_argument("--output-dir", type=Path, required=True, help="folder for the trained tensors")
    parser.add_argument("--history", type=Path, required=True)
    parser.add_argument("--record", type=Path, required=True)
    runtime.add_common_arguments(parser)
    args = parser.parse_args()

    started = runtime.start(args.seed, args.threads)
    spec = read_json(args.spec)
    tokenizer = load_tokenizer(args.model)
    train = tokenize_pairs(read_split(args.train), tokenizer, spec["tokenization"])
    validation = tokenize_pairs(read_split(args.validation), tokenizer, spec["tokenization"])

    model = build_encoder(args.model, spec)
    trainer = StudyTrainer(
        model=model,
        args=TrainingArguments(
            **training_arguments(spec["training"], args.checkpoints, args.seed),
            eval_strategy="epoch",
            per_device_eval_batch_size=max(spec["training"]["batch_size"], 16),
        ),
        train_dataset=train,
        eval_dataset=validation,
        data_collator=pair_collator(tokenizer),
        compute_metrics=accuracy,
    )
    history, audit = run_training(trainer, args.checkpoints)

    save_trained(model, args.output_dir)
    write_json(args.history, history)
    write_json(args.record, training_record(model, history, audit, started, spec))
    shutil.rmtree(args.checkpoints, ignore_errors=True)


if __name__ == "__main__":
    run_main(main)
