"""How much faster QLoRA trains on real tokens, with logits only where the loss counts: a step of 16 pairs.

PYTHONPATH=scripts:tests python tests/bench_qlora.py [REPETITIONS]

Three programs do the same updates on the same pairs, in turn: the original's way (every text padded to its 128 tokens,
all logits), TRL's SFTTrainer with its own loss (every batch padded to its longest text), and `speed: fast`. The loss is
on the label alone or, with a vocabulary of Llama 3's size, on the whole text. The model is a Llama of SmolLM2-135M's
size with random weights in NF4 and LoRA on its linear layers. One thread; steps with optimizer and clipping.
"""

import statistics
import sys
import tempfile
from collections.abc import Iterator
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import torch
from bench_rows import Row, compare
from unit.specs import QLORA_SPEC, QUANTIZATION, dataset_of

from nli import runtime
from nli.forecast.rehearsal import clock, typical_pairs, word_tokenizer
from nli.models.decoder import add_adapter
from nli.models.qlora import make_trainer
from nli.models.weightless import random_decoder, read_architecture

ROOT = Path(__file__).parents[1]
SMOLLM2 = ROOT / "scripts/nli/hub/architectures/HuggingFaceTB/SmolLM2-135M.json"
STEPS, ROWS = 2, 16
PADDED, TRL, FAST = "padded to 128, all logits", "TRL's SFTTrainer", "`speed: fast`"
PROGRAMS = {
    PADDED: {"tokenization": {"max_length": 128, "padding": "max_length"}, "speed": "plain"},
    TRL: {"trainer": "trl", "tokenization": {"max_length": 128, "padding": "longest"}, "speed": "plain"},
    FAST: {"tokenization": {"max_length": 128, "padding": "longest"}, "speed": "fast"},
}
WORKS = {  # what is in the loss, and the size of the vocabulary
    "loss on the label": ("label", None),
    "loss on the text, a vocabulary of 128,256": ("all", 128_256),
}


def seconds_per_step(
    name: str,
    seeds: Iterator[int],
    loss_on: str,
    vocabulary: int | None,
    losses: dict[str, float],
    architecture: Path = SMOLLM2,
    quantization: dict[str, Any] = QUANTIZATION,
) -> float:
    """The time of a step, over STEPS steps after one that warms up; on the GPU if there is one.

    Args:
        name: of PROGRAMS.
        seeds: each call takes the next.
        vocabulary: replaces the model's own size; None keeps it.
        losses: gets the last loss under `name`.
    """
    seed = next(seeds)
    runtime.start(seed, threads=1)
    training = {**QLORA_SPEC["training"], "batch_size": ROWS, "group_by_length": False, "accumulation": "tokens"}
    spec = {**QLORA_SPEC, "loss_on": loss_on, "training": training, **PROGRAMS[name]}
    tokenizer = word_tokenizer("decoder", QLORA_SPEC["label_words"].values())
    rows = typical_pairs((STEPS + 1) * ROWS, seed)
    config = read_architecture(architecture)
    config.vocab_size = vocabulary or config.vocab_size
    torch.manual_seed(seed)
    model = add_adapter(random_decoder(config, quantization, runtime.device()), spec)
    with tempfile.TemporaryDirectory() as folder:
        trainer = make_trainer(model, tokenizer, dataset_of(rows, tokenizer, spec), spec, Path(folder), seed)
        trainer.create_optimizer_and_scheduler(STEPS + 1)
        trainer.current_gradient_accumulation_steps = 1
        times = []
        for batch in trainer.get_train_dataloader():
            counted = (batch["labels"][:, 1:] != -100).sum()
            started = clock()
            loss = trainer.training_step(model, batch, num_items_in_batch=counted)
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            trainer.optimizer.step()
            trainer.optimizer.zero_grad()
            times.append(clock() - started)
            losses[name] = float(loss)
    return statistics.mean(times[1:])


def differences(losses: dict[str, float]) -> str:
    gaps = (f"{abs(loss - losses[FAST]):.0e} ({name})" for name, loss in losses.items() if name != FAST)
    return "losses differ by " + ", ".join(gaps)


def rows(repetitions: int) -> Iterator[Row]:
    pairs = [(FAST, PADDED), (FAST, TRL), (TRL, PADDED)]
    for work, settings in WORKS.items():
        losses: dict[str, float] = {}
        programs = {name: partial(seconds_per_step, name, count(), *settings, losses) for name in PROGRAMS}
        note = partial(differences, losses)
        yield from compare(f"a QLoRA step of a 135M Llama, 16 pairs, {work}", programs, pairs, repetitions, note)


if __name__ == "__main__":
    for row in rows(int(sys.argv[1]) if len(sys.argv) > 1 else 3):
        print(row.markdown())
