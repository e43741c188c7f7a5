"""How much faster an encoder's fine-tuning is without padding: a step of 16 pairs of MultiNLI's lengths.

PYTHONPATH=scripts:tests python tests/bench_training.py [REPETITIONS]

Three programs do the same updates on the same pairs, in turn: every pair padded to 128 tokens, as in the original and
in transformers' run_glue, every batch to its longest pair, and real tokens alone (`speed: fast`). DistilRoBERTa's
architecture with random weights, one thread, steps with optimizer and clipping.
"""

import statistics
import sys
import tempfile
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import torch
from bench_rows import Row, compare
from unit.specs import TRAINING

from nli import runtime
from nli.forecast.rehearsal import clock, typical_pairs, word_tokenizer
from nli.models.encoder import make_trainer, tokenize_pairs
from nli.models.weightless import random_encoder, read_architecture

ROOT = Path(__file__).parents[1]
DISTILROBERTA = ROOT / "scripts/nli/hub/architectures/distilbert/distilroberta-base.json"
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


def seconds_per_step(
    padding: str, speed: str, seed: int, architecture: Path = DISTILROBERTA, mixed_precision: str = "none"
) -> float:
    """The time of a step, over STEPS steps after one that warms up; on the GPU if there is one."""
    runtime.start(seed, threads=1)
    tokenizer, rows = word_tokenizer("encoder"), typical_pairs((STEPS + 1) * ROWS, seed)
    model = random_encoder(read_architecture(architecture), "float32", runtime.device())
    dataset = tokenize_pairs(rows, tokenizer, {"max_length": 128, "padding": padding})
    spec = {"training": {**TRAINED, "mixed_precision": mixed_precision}, "speed": speed}
    with tempfile.TemporaryDirectory() as folder:
        trainer = make_trainer(model, tokenizer, dataset, spec, folder, seed)
        trainer.create_optimizer_and_scheduler(STEPS + 1)
        times = []
        for batch in trainer.get_train_dataloader():
            started = clock()
            with trainer.accelerator.autocast():
                trainer.training_step(model, batch, num_items_in_batch=torch.tensor(ROWS))
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            trainer.optimizer.step()
            trainer.optimizer.zero_grad()
            times.append(clock() - started)
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
