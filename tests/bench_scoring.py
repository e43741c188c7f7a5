"""Print how much faster label scoring is in one pass per prompt, over alternating runs on the same prompts.

PYTHONPATH=scripts python tests/bench_scoring.py [REPETITIONS [FOLDER ...]]

`plain` takes a text per word with several tokens, `fast` a tree per prompt. The decoders are the demo's, a Llama of
SmolLM2-135M's architecture with random weights, and any `from_pretrained` FOLDER, in float32 on one thread.
"""

import statistics
import sys
import time
from pathlib import Path

import numpy as np
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase

from nli import runtime
from nli.answering.label_scoring import label_log_probabilities
from nli.forecast.rehearsal import typical_pairs
from nli.models.weightless import read_architecture
from nli.texts import fill

ROOT = Path(__file__).parents[1]
PROMPTS, BATCH = 32, 16
TEXT = 'Example:\nPremise: "He left."\nHypothesis: "He is here."\nLabel: Contradiction\n\nNow, classify:\n'
ASKED = TEXT + 'Premise: "{premise}"\nHypothesis: "{hypothesis}"\nLabel:'
WORDS = {
    "labels of several tokens": {"Entailment": "entailment", "Neutral": "neutral", "Contradiction": "contradiction"},
    "labels of one token": {"Yes": "entailment", "Maybe": "neutral", "No": "contradiction"},
}


def decoders(folders: list[Path]) -> dict[str, tuple[PreTrainedModel, PreTrainedTokenizerBase]]:
    demo = ROOT / "models/decoder"
    config = read_architecture(ROOT / "scripts/nli/hub/architectures/HuggingFaceTB/SmolLM2-135M.json")
    random = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    found = {"SmolLM2-135M, random": (random, AutoTokenizer.from_pretrained(demo))}
    for folder in (demo, *folders):
        model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
        found[folder.name if folder != demo else "the demo's"] = (model, AutoTokenizer.from_pretrained(folder))
    return {name: (model.eval(), tokenizer) for name, (model, tokenizer) in found.items()}


def main() -> None:
    repetitions = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    runtime.start(0, threads=1)
    pairs = typical_pairs(PROMPTS, 0)
    prompts = [fill(ASKED, row) for row in pairs[["premise", "hypothesis"]].to_dict("records")]
    for name, (model, tokenizer) in decoders([Path(folder) for folder in sys.argv[2:]]).items():
        tokenizer.pad_token = tokenizer.pad_token or tokenizer.eos_token
        for kind, words in WORDS.items():
            ratios, gap = [], 0.0
            for _ in range(repetitions):
                times, scores = [], []
                for speed in ("plain", "fast"):
                    started = time.perf_counter()
                    scores.append(label_log_probabilities(model, tokenizer, prompts, " ", words, BATCH, speed))
                    times.append(time.perf_counter() - started)
                ratios.append(times[0] / times[1])
                gap = max(gap, float(np.abs(scores[0] - scores[1]).max()))
            spread = f"{min(ratios):.2f} to {max(ratios):.2f}"
            print(f"{name}, {kind}: {statistics.median(ratios):.2f} times as fast ({spread}); they differ by {gap:.0e}")


if __name__ == "__main__":
    main()
