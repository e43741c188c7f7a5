"""Fine-tune the encoder by one method: full, LoRA, prompt tuning, top layers or head only.

Writes the tensors that training changed, the history of the losses and the record of the training.
"""

from pathlib import Path

from transformers import DataCollatorWithPadding, TrainingArguments

from nli import runtime
from nli.data import read_split
from nli.encoder import accuracy, build_encoder, load_tokenizer, tokenize_pairs
from nli.errors import run_main
from nli.files import read_json
from nli.jobs import finish_training, training_parser
from nli.training import StudyTrainer, run_training, save_trained, training_arguments


def main() -> None:
    parser = training_parser(__doc__)
    parser.add_argument("--validation", type=Path, required=True, help="split evaluated after each epoch")
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
            per_device_eval_batch_size=spec["training"]["eval_batch_size"],
        ),
        train_dataset=train,
        eval_dataset=validation,
        data_collator=DataCollatorWithPadding(tokenizer),
        compute_metrics=accuracy,
    )
    history, audit = run_training(trainer, args.checkpoints)

    save_trained(model, args.output_dir)
    finish_training(args, spec, model, history, audit, started)


if __name__ == "__main__":
    run_main(main)
