"""Train a linear head on one hidden state of the 4-bit decoder, together with a QLoRA adapter."""

from nli import runtime
from nli.base.atomic import whole_folder
from nli.base.errors import run_main
from nli.jobs.families import FAMILIES
from nli.jobs.outline import begin_training, finish_training, read_training_rows, training_parser
from nli.models.decoder import load_tokenizer
from nli.models.linear_head import build_classifier
from nli.models.training import run_training, save_trained

FAMILY = FAMILIES["linear_head"]


def main() -> None:
    args = training_parser(__doc__).parse_args()

    started = runtime.start(args.seed, args.threads)
    sessions, spec, tokenizer = begin_training(started, args, load_tokenizer, FAMILY.check)
    dataset = FAMILY.dataset(read_training_rows(args.train, spec), tokenizer, spec)

    model = build_classifier(args.model, spec)
    trainer = FAMILY.trainer(model, tokenizer, dataset, spec, args.checkpoints, args.seed)
    history, audit = run_training(trainer, args.checkpoints, sessions)

    with whole_folder(args.output_dir) as folder:
        save_trained(model, folder)
    finish_training(args, spec, model, history, audit, sessions)


if __name__ == "__main__":
    run_main(main)
