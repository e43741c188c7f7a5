"""Train a linear head on one hidden state of the 4-bit decoder, together with a QLoRA adapter."""

import argparse
import shutil
from pathlib import Path

from nli import runtime
from nli.atomic import write_json
from nli.data import read_split
from nli.decoder import load_tokenizer
from nli.errors import run_main
from nli.files import read_json
from nli.linear_head import build_classifier, text_collator, tokenize_texts
from nli.records import training_record
from nli.training import StudyTrainer, run_training, save_trained, training_arguments
from transformers import TrainingArguments


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--spec", type=Path, required=True, help="resolved experiment (JSON)")
    parser.add_argument("--model", type=Path, required=True, help="folder of the base decoder")
    parser.add_argument("--train", type=Path, required=True, help="training split")
    parser.add_argument("--checkpoints", type=Path, required=True, help="folder to resume from")
    parser.add_argument("--output-dir", type=Path, required=True, help="folder for adapter and head")
    parser.add_argument("--history", type=Path, required=True)
    parser.add_argument("--record", type=Path, required=True)
    runtime.add_common_arguments(parser)
    args = parser.parse_args()

    started = runtime.start(args.seed, args.threads)
    spec = read_json(args.spec)
    tokenizer = load_tokenizer(args.model)
    dataset = tokenize_texts(read_split(args.train), tokenizer, spec)

    model = build_classifier(args.model, spec)
    trainer = StudyTrainer(
        model=model,
        args=TrainingArguments(**training_arguments(spec["training"], args.checkpoints, args.seed)),
        train_dataset=dataset,
        data_collator=text_collator(tokenizer),
    )
    history, audit = run_training(trainer, args.checkpoints)

    save_trained(model, args.output_dir)
    write_json(args.history, history)
    write_json(args.record, training_record(model, history, audit, started, spec))
    shutil.rmtree(args.checkpoints, ignore_errors=True)


if __name__ == "__main__":
    run_main(main)
