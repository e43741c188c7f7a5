"""How much faster label scoring is in one pass per prompt than our plain way, lm-evaluation-harness and `generate`.

PYTHONPATH=scripts:tests python tests/bench_scoring.py [REPETITIONS [FOLDER ...]]

All programs score the same labels after the same prompts with the same model object: `plain` takes a text per word
with several tokens, `fast` a tree per prompt, the harness (if it can be imported) its `HFLM.loglikelihood` at the best
of three batch sizes, and the original one call of `generate` for each pair, which only writes an answer. The decoders
are the demo's, a Llama of SmolLM2-135M's architecture with random weights, and any `from_pretrained` FOLDER, in float32
on one thread.
"""

import importlib.util
import sys
from collections.abc import Callable, Iterator, Sequence
from itertools import product
from pathlib import Path

import numpy as np
import torch
from bench_rows import Row, compare, seconds
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase

from nli import runtime
from nli.answering.label_scoring import label_log_probabilities
from nli.base.labels import LABELS
from nli.forecast.rehearsal import LABEL_WORDS, typical_pairs, word_tokenizer
from nli.models.weightless import read_architecture
from nli.texts import fill

ROOT = Path(__file__).parents[1]
PROMPTS, BATCH, ASKED_ONE_BY_ONE = 16, 16, 4
ASKED = 'Premise: "{premise}"\nHypothesis: "{hypothesis}"\nLabel:'
SHOTS = (0, 3)
WORDS = {
    "labels of several tokens": {words: label for label, words in LABEL_WORDS.items()},
    "labels of one token": {"Yes": "entailment", "Maybe": "neutral", "No": "contradiction"},
}
FAST, PLAIN, HARNESS, GENERATE = "`speed: fast`", "`speed: plain`", "lm-evaluation-harness", "one `generate` per pair"


def decoders(folders: Sequence[Path]) -> dict[str, tuple[PreTrainedModel, PreTrainedTokenizerBase]]:
    demo = ROOT / "models/decoder"
    config = read_architecture(ROOT / "scripts/nli/hub/architectures/HuggingFaceTB/SmolLM2-135M.json")
    random = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    tokenizer = word_tokenizer("decoder", (word for words in WORDS.values() for word in words))
    found = {"a Llama of 135M": (random, tokenizer)}
    for folder in (demo, *folders):
        model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
        found[folder.name if folder != demo else "the demo's decoder"] = (model, AutoTokenizer.from_pretrained(folder))
    return {name: (model.eval(), tokenizer) for name, (model, tokenizer) in found.items()}


def harness(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, asked: list[tuple[str, str]]) -> Callable:
    """`HFLM.loglikelihood` of (prompt, label) at its best batch size, tried once each."""
    from lm_eval.api.instance import Instance
    from lm_eval.models.huggingface import HFLM

    def program(size: int) -> list[float]:
        requests = [Instance("loglikelihood", {}, pair, index) for index, pair in enumerate(asked)]
        scorer = HFLM(pretrained=model, tokenizer=tokenizer, batch_size=size, device="cpu")
        return [value for value, _ in scorer.loglikelihood(requests, disable_tqdm=True)]

    best = min((BATCH, 2 * BATCH, 1), key=lambda size: seconds(lambda: program(size)))
    return lambda: program(best)


@torch.no_grad()
def generate(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, prompts: list[str]) -> None:
    """As the original answered: a call for each prompt, of up to five new tokens."""
    for prompt in prompts:
        inputs = tokenizer(prompt, return_tensors="pt", return_token_type_ids=False)
        model.generate(
            **inputs, max_new_tokens=5, min_new_tokens=5, do_sample=False, pad_token_id=tokenizer.pad_token_id
        )


def scored(
    name: str, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, kind: str, shots: int, repeats: int
) -> Iterator[Row]:
    """The rows of one decoder, one kind of labels and one number of worked examples."""
    words, found = WORDS[kind], {}
    asked = [
        fill(ASKED, pair) for pair in typical_pairs(PROMPTS + shots, 0)[["premise", "hypothesis"]].to_dict("records")
    ]
    examples = "".join(f"{text} {word}\n\n" for text, word in zip(asked[PROMPTS:], words, strict=False))
    prompts = [examples + text for text in asked[:PROMPTS]]
    if max(len(tokenizer(prompt).input_ids) for prompt in prompts) + 16 > model.config.max_position_embeddings:
        return  # the harness would cut the prompts

    def own(speed: str) -> None:
        found[speed] = label_log_probabilities(model, tokenizer, prompts, " ", words, BATCH, speed)

    programs = {
        FAST: lambda: seconds(lambda: own("fast")),
        PLAIN: lambda: seconds(lambda: own("plain")),
        GENERATE: lambda: (
            seconds(lambda: generate(model, tokenizer, prompts[:ASKED_ONE_BY_ONE])) * (PROMPTS / ASKED_ONE_BY_ONE)
        ),
    }
    if importlib.util.find_spec("lm_eval"):
        in_order = sorted(words, key=lambda word: LABELS.index(words[word]))
        program = harness(model, tokenizer, [(prompt, f" {word}") for prompt in prompts for word in in_order])

        def theirs() -> None:
            found["harness"] = np.array(program()).reshape(-1, len(LABELS))

        programs[HARNESS] = lambda: seconds(theirs)

    def differences() -> str:
        gaps = {other: float(np.abs(found[other] - found["fast"]).max()) for other in found if other != "fast"}
        return "log-probabilities differ by " + ", ".join(f"{gap:.0e} ({other})" for other, gap in gaps.items())

    baselines = [(FAST, other) for other in (HARNESS, GENERATE, PLAIN) if other in programs]
    yield from compare(
        f"{len(prompts)} prompts, {shots} shots, {kind}, {name}", programs, baselines, repeats, differences
    )


def rows(repetitions: int, folders: Sequence[Path] = ()) -> Iterator[Row]:
    runtime.start(0, threads=1)
    for name, (model, tokenizer) in decoders(folders).items():
        tokenizer.pad_token = tokenizer.pad_token or tokenizer.eos_token
        for kind, shots in product(WORDS, SHOTS):
            yield from scored(name, model, tokenizer, kind, shots, repetitions)


if __name__ == "__main__":
    for row in rows(int(sys.argv[1]) if len(sys.argv) > 1 else 3, [Path(folder) for folder in sys.argv[2:]]):
        print(row.markdown(), flush=True)
