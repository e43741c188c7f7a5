"""Train a linear head on one hidden state of the 4-bit decoder, together with a QLoRA adapter."""

from transformers import DataCollatorWithPadding, TrainingArguments

from nli import runtime
from nli.data import read_split
from nli.decoder import load_tokenizer
from nli.errors import run_main
from nli.files import read_json
from nli.jobs import finish_training, training_parser
from nli.linear_head import build_classifier, tokenize_texts
from nli.training import StudyTrainer, run_training, save_trained, training_arguments


def main() -> None:
    args = training_parser(__doc__).parse_args()

    started = runtime.start(args.seed, args.threads)
    spec = read_json(args.spec)
    tokenizer = load_tokenizer(args.model)
    dataset = tokenize_texts(read_split(args.train), tokenizer, spec)

    model = build_classifier(args.model, spec)
    trainer = StudyTrainer(
        model=model,
        args=TrainingArguments(**training_arguments(spec["training"], args.checkpoints, args.seed)),
        train_dataset=dataset,
        data_collator=DataCollatorWithPadding(tokenizer),
    )
    history, audit = run_training(trainer, args.checkpoints)

    save_trained(model, args.output_dir)
    finish_training(args, spec, model, history, audit, started)


if __name__ == "__main__":
    run_main(main)
