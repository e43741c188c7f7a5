"""Fine-tune the encoder with one method, such as full fine-tuning, LoRA or prompt tuning.

Writes the tensors that training changed, the history of the losses and the record of the training.
"""

from pathlib import Path

from nli import runtime
from nli.base.errors import run_main
from nli.base.files import read_json
from nli.data.splits import read_split
from nli.jobs.families import FAMILIES
from nli.jobs.outline import finish_training, training_parser
from nli.models.encoder import build_encoder, load_tokenizer
from nli.models.sessions import Sessions
from nli.models.training import run_training, save_trained

FAMILY = FAMILIES["roberta"]


def main() -> None:
    parser = training_parser(__doc__)
    parser.add_argument("--validation", type=Path, required=True, help="split evaluated after each epoch")
    args = parser.parse_args()

    sessions = Sessions(runtime.start(args.seed, args.threads))
    spec = read_json(args.spec)
    tokenizer = load_tokenizer(args.model)
    FAMILY.check(args.model, tokenizer, spec)
    train, validation = (FAMILY.dataset(read_split(path), tokenizer, spec) for path in (args.train, args.validation))

    model = build_encoder(args.model, spec)
    trainer = FAMILY.trainer(model, tokenizer, train, spec, args.checkpoints, args.seed, validation)
    history, audit = run_training(trainer, args.checkpoints, sessions)

    save_trained(model, args.output_dir)
    finish_training(args, spec, model, history, audit, sessions)


if __name__ == "__main__":
    run_main(main)
