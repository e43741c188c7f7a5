"""Fine-tune the encoder by one method: full, LoRA, prompt tuning, top layers or head only.

Writes the tensors that training changed, the history of the losses and the record of the training.
"""

from pathlib import Path

from nli import runtime
from nli.base.errors import run_main
from nli.base.files import read_json
from nli.data.splits import read_split
from nli.jobs.outline import finish_training, training_parser
from nli.models.compatibility import check_encoder
from nli.models.encoder import build_encoder, load_tokenizer, make_trainer, tokenize_pairs
from nli.models.sessions import Sessions
from nli.models.training import run_training, save_trained


def main() -> None:
    parser = training_parser(__doc__)
    parser.add_argument("--validation", type=Path, required=True, help="split evaluated after each epoch")
    args = parser.parse_args()

    sessions = Sessions(runtime.start(args.seed, args.threads))
    spec = read_json(args.spec)
    tokenizer = load_tokenizer(args.model)
    check_encoder(args.model, spec)
    train = tokenize_pairs(read_split(args.train), tokenizer, spec["tokenization"], spec["cloze"])
    validation = tokenize_pairs(read_split(args.validation), tokenizer, spec["tokenization"], spec["cloze"])

    model = build_encoder(args.model, spec)
    trainer = make_trainer(model, tokenizer, train, validation, spec["training"], args.checkpoints, args.seed)
    history, audit = run_training(trainer, args.checkpoints, sessions)

    save_trained(model, args.output_dir)
    finish_training(args, spec, model, history, audit, sessions)


if __name__ == "__main__":
    run_main(main)
