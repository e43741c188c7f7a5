"""Let a fine-tuned decoder answer every pair (adapter on the 4-bit base, or merged) and read the labels."""

from pathlib import Path

import pandas as pd

from nli import runtime
from nli.decoder import generate_answers, load_adapter, load_decoder, load_tokenizer
from nli.errors import run_main
from nli.evaluation import answer_rows
from nli.files import read_json
from nli.jobs import answer_splits, prediction_parser
from nli.language_modeling import evaluation_prompts


def main() -> None:
    parser = prediction_parser(__doc__)
    parser.add_argument("--adapter", type=Path, help="folder of the adapter; without it the model answers as it is")
    parser.add_argument("--record", type=Path, required=True, help="record of the training")
    args = parser.parse_args()

    started = runtime.start(args.seed, args.threads)
    spec = read_json(args.spec)
    tokenizer = load_tokenizer(args.model)
    model = load_decoder(args.model, spec["quantization"])
    if args.adapter:
        model = load_adapter(model, args.adapter)
    words = {word: label for label, word in spec["label_words"].items()}

    def answer(rows: pd.DataFrame, split: str) -> list[pd.DataFrame]:
        prompts = evaluation_prompts(rows, spec)
        batch_size = spec["evaluation"]["batch_size"]
        answers = generate_answers(model, tokenizer, prompts, spec["generation"], batch_size, args.seed)
        return [answer_rows(rows, split, answers, words, scorer) for scorer in spec["scorers"]]

    answer_splits(args, spec, model, started, answer, args.record)


if __name__ == "__main__":
    run_main(main)
