"""Fine-tune the 4-bit decoder with QLoRA on the experiment's text, with transformers' Trainer or TRL's SFTTrainer.

Writes the adapter, the history of the losses, the record of the training and, if the experiment has a sample pair, the
model's answers to it before and after.
"""

from pathlib import Path

from nli import runtime
from nli.answering.pairs import answer_sample
from nli.base.atomic import whole_folder, write_json
from nli.base.errors import run_main
from nli.jobs.families import FAMILIES
from nli.jobs.outline import add_base_arguments, begin_training, finish_training, read_training_rows, training_parser
from nli.models.decoder import load_decoder, load_tokenizer, prepared_to_answer
from nli.models.export import export_adapter
from nli.models.qlora import closing_losses
from nli.models.training import run_training
from nli.models.training_texts import count_lost_labels, encode_texts, training_dataset

FAMILY = FAMILIES["qlora"]


def main() -> None:
    parser = training_parser(__doc__)
    parser.add_argument("--samples", type=Path, required=True, help="answers before and after training")
    add_base_arguments(parser)
    args = parser.parse_args()

    started = runtime.start(args.seed, args.threads)
    sessions, spec, tokenizer = begin_training(started, args, load_tokenizer, FAMILY.check)
    encoded = encode_texts(read_training_rows(args.train, spec), tokenizer, spec)
    limit = spec["tokenization"]["max_length"]
    lost = count_lost_labels(encoded, limit)
    print(f"{len(encoded.texts)} training texts, {lost} lose their label to max_length {limit}", flush=True)
    dataset = training_dataset(encoded, spec, tokenizer)

    model = load_decoder(args.model, spec["quantization"])
    if spec["sample"]:  # asked in the same way as all pairs
        model = prepared_to_answer(model, spec)
    before = answer_sample(model, tokenizer, spec, args.seed)
    runtime.start(args.seed, args.threads)  # the sample's answer must not change the adapter's initial weights
    model = FAMILY.adapt(model, spec, tokenizer)
    trainer = FAMILY.trainer(model, tokenizer, dataset, spec, args.checkpoints, args.seed)
    history, audit = run_training(trainer, args.checkpoints, sessions)
    closing = closing_losses(model, tokenizer, encoded, spec)
    history["texts"] = {"rows": len(encoded.texts), "lost_labels": lost, "closing": closing}
    after = answer_sample(model, tokenizer, spec, args.seed)

    with whole_folder(args.output_dir) as folder:
        export_adapter(model, folder, args.base, args.revision)
    write_json(
        args.samples,
        {
            "sample": spec["sample"],
            "prompt": before["prompt"],
            "before": before["answer"],
            "after": after["answer"],
        },
    )
    finish_training(args, spec, model, history, audit, sessions)


if __name__ == "__main__":
    run_main(main)
