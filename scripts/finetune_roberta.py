"""Fine-tune the encoder with one method, such as full fine-tuning, LoRA or prompt tuning.

Writes the model as a folder that transformers or PEFT loads, the history of the losses and the record of the training.
"""

from pathlib import Path

from nli import runtime
from nli.base.atomic import whole_folder
from nli.base.errors import run_main
from nli.data.sampling import read_sample
from nli.jobs.families import FAMILIES
from nli.jobs.outline import add_base_arguments, begin_training, finish_training, read_training_rows, training_parser
from nli.models.encoder import build_encoder, load_tokenizer
from nli.models.export import export_encoder
from nli.models.training import run_training, save_trained

FAMILY = FAMILIES["roberta"]


def main() -> None:
    parser = training_parser(__doc__)
    parser.add_argument("--validation", type=Path, required=True, help="split evaluated after each epoch")
    add_base_arguments(parser)
    args = parser.parse_args()

    started = runtime.start(args.seed, args.threads)
    sessions, spec, tokenizer = begin_training(started, args, load_tokenizer, FAMILY.check)
    sampled = read_sample(args.validation, spec.get("validation_examples"), spec.get("sample_seed", 0))
    train, validation = (
        FAMILY.dataset(rows, tokenizer, spec) for rows in (read_training_rows(args.train, spec), sampled)
    )

    model = build_encoder(args.model, spec)
    trainer = FAMILY.trainer(model, tokenizer, train, spec, args.checkpoints, args.seed, validation)
    history, audit = run_training(trainer, args.checkpoints, sessions)

    with whole_folder(args.output_dir) as folder:
        save_trained(model, folder)
        export_encoder(model, tokenizer, folder, args.base, args.revision)
    finish_training(args, spec, model, history, audit, sessions)


if __name__ == "__main__":
    run_main(main)
