"""How much faster an encoder's fine-tuning is without padding: a step of 16 pairs of MultiNLI's lengths.

PYTHONPATH=scripts:tests python tests/bench_training.py [REPETITIONS]

Three programs do the same updates on the same pairs, in turn: every pair padded to 128 tokens, as in the original and
in transformers' run_glue, every batch to its longest pair, and real tokens alone (`speed: fast`). DistilRoBERTa's
architecture with random weights, one thread, steps with optimizer and clipping.
"""

import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import torch
from bench_rows import Row, compare
from transformers import AutoModelForSequenceClassification
from unit.specs import TRAINING

from nli import runtime
from nli.forecast.rehearsal import typical_pairs, word_tokenizer
from nli.models.encoder import make_trainer, tokenize_pairs
from nli.models.weightless import read_architecture

ROOT = Path(__file__).parents[1]
STEPS, ROWS = 6, 16
PADDED, LONGEST, PACKED = "padded to 128", "padded to the longest", "real tokens alone"
PROGRAMS = {PADDED: ("max_length", "plain"), LONGEST: ("longest", "plain"), PACKED: ("longest", "fast")}
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
        times = []
        for batch in trainer.get_train_dataloader():
            started = time.perf_counter()
            trainer.training_step(model, batch, num_items_in_batch=torch.tensor(ROWS))
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            trainer.optimizer.step()
            trainer.optimizer.zero_grad()
            times.append(time.perf_counter() - started)
    return statistics.mean(times[1:])


def rows(repetitions: int) -> Iterator[Row]:
    seeds = {name: count() for name in PROGRAMS}
    programs = {
        name: lambda name=name, setting=setting: seconds_per_step(*setting, seed=next(seeds[name]))
        for name, setting in PROGRAMS.items()
    }
    pairs = [(PACKED, PADDED), (PACKED, LONGEST), (LONGEST, PADDED)]
    yield from compare("a training step of DistilRoBERTa, 16 pairs", programs, pairs, repetitions)


if __name__ == "__main__":
    for row in rows(int(sys.argv[1]) if len(sys.argv) > 1 else 3):
        print(row.markdown())
