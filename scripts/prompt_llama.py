"""Ask the 4-bit decoder about every pair with one prompt and read the labels in its answers."""

import pandas as pd

from nli import runtime
from nli.decoder import generate_answers, load_decoder, load_tokenizer
from nli.errors import run_main
from nli.evaluation import answer_rows
from nli.files import read_json
from nli.jobs import answer_splits, prediction_parser
from nli.prompts import prompt_text


def main() -> None:
    args = prediction_parser(__doc__).parse_args()

    started = runtime.start(args.seed, args.threads)
    spec = read_json(args.spec)
    prompt = spec["prompt"]
    tokenizer = load_tokenizer(args.model)
    model = load_decoder(args.model, spec["quantization"])

    def answer(rows: pd.DataFrame, split: str) -> list[pd.DataFrame]:
        prompts = [prompt_text(prompt, row.premise, row.hypothesis) for row in rows.itertuples()]
        batch_size = spec["evaluation"]["batch_size"]
        answers = generate_answers(model, tokenizer, prompts, spec["generation"], batch_size, args.seed)
        return [answer_rows(rows, split, answers, prompt["answers"], "parsed")]

    answer_splits(args, spec, model, started, answer)


if __name__ == "__main__":
    run_main(main)
