"""Print how much faster an encoder's fine-tuning is without padding: one step of 16 pairs of MultiNLI's lengths.

PYTHONPATH=scripts:tests python tests/bench_training.py [REPETITIONS]

Three programs do the same updates on the same pairs, in turn: every pair padded to 128 tokens as in the original, every
batch to its longest pair, and real tokens alone (`speed: fast`). DistilRoBERTa's architecture
with random weights, one thread.
"""

import statistics
import sys
import tempfile
import time
from pathlib import Path

import torch
from transformers import AutoModelForSequenceClassification
from unit.specs import TRAINING

from nli import runtime
from nli.forecast.rehearsal import typical_pairs, word_tokenizer
from nli.models.encoder import make_trainer, tokenize_pairs
from nli.models.weightless import read_architecture

ROOT = Path(__file__).parents[1]
STEPS, ROWS = 6, 16
PROGRAMS = {
    "padded to 128": ("max_length", "plain"),
    "padded to the longest": ("longest", "plain"),
    "packed": ("longest", "fast"),
}
TRAINED = {
    **TRAINING,
    "batch_size": ROWS,
    "eval_batch_size": ROWS,
    "epochs": 1.0,
    "logging_steps": 100,
    "checkpoint_steps": 1000,
}


def seconds_per_step(padding: str, speed: str, seed: int) -> float:
    """The time of a step, over STEPS steps after one that warms up."""
    runtime.start(seed, threads=1)
    tokenizer, rows = word_tokenizer("encoder"), typical_pairs((STEPS + 1) * ROWS, seed)
    config = read_architecture(ROOT / "scripts/nli/hub/architectures/distilbert/distilroberta-base.json")
    config.num_labels = 3
    model = AutoModelForSequenceClassification.from_config(config)
    dataset = tokenize_pairs(rows, tokenizer, {"max_length": 128, "padding": padding})
    with tempfile.TemporaryDirectory() as folder:
        trainer = make_trainer(model, tokenizer, dataset, {"training": TRAINED, "speed": speed}, folder, seed)
        trainer.create_optimizer_and_scheduler(STEPS + 1)
        batches, times = iter(trainer.get_train_dataloader()), []
        for batch in batches:
            started = time.perf_counter()
            trainer.training_step(model, batch, num_items_in_batch=torch.tensor(ROWS))
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            trainer.optimizer.step()
            trainer.optimizer.zero_grad()
            times.append(time.perf_counter() - started)
    return statistics.mean(times[1:])


def main() -> None:
    repetitions = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    taken: dict[str, list[float]] = {name: [] for name in PROGRAMS}
    for seed in range(repetitions):
        for name, (padding, speed) in PROGRAMS.items():
            taken[name].append(seconds_per_step(padding, speed, seed))
    for name, times in taken.items():
        ratios = [first / own for first, own in zip(taken["padded to 128"], times, strict=True)]
        spread = f"{min(ratios):.2f} to {max(ratios):.2f}"
        print(f"{name:22} {statistics.median(ratios):5.2f} times as fast ({spread}), {statistics.median(times):.2f} s")


if __name__ == "__main__":
    main()
