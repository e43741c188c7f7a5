"""The length of a training, from the configuration alone: optimizer steps, epochs, tokens, floating-point operations.

The arithmetic is that of transformers' Trainer, batch by batch, on one device; a test compares the two.
"""

import math
from typing import Any

from nli.data.sampling import fraction_of, rows_to_train_on, tune_rows
from nli.study.sources import Data


def training_examples(data: Data) -> int | None:
    """The number of training examples; None for `files`, whose rows are unknown until they are read.

    If train takes all that tune leaves, it has a few rows fewer: the other rows of tune's last premise.
    """
    pool = {
        "hub": data.rows.train if data.rows else None,
        "synthetic": data.synthetic.train if data.synthetic else None,
    }.get(data.source)
    if pool is None:
        return None
    tune = (
        0 if data.source == "synthetic" else tune_rows(pool, data.tune_examples)
    )  # the generator makes a separate tune split
    drawn = min(fraction_of(pool, data.train_fraction), pool - tune)
    return drawn if data.train_examples is None else min(drawn, data.train_examples)


def training_budget(training: dict[str, Any], examples: int) -> dict[str, float | int]:
    """The length of a training.

    Args:
        training: a spec's `training` section.
        examples: rows of the training set, of which the training may sample some.

    Returns:
        steps (of the optimizer), batches, epoch (at the end), examples (seen, with repeats).
    """
    examples = rows_to_train_on(examples, training.get("examples"))
    size, accumulation = training["batch_size"], training["gradient_accumulation"]
    batches_per_epoch = math.ceil(examples / size)
    steps_per_epoch = math.ceil(batches_per_epoch / accumulation)
    steps = training["max_steps"] or math.ceil(training["epochs"] * steps_per_epoch)
    whole_epochs, rest = divmod(steps, steps_per_epoch)
    batches = whole_epochs * batches_per_epoch + min(rest * accumulation, batches_per_epoch)
    short = batches // batches_per_epoch * (batches_per_epoch * size - examples)  # the last batch of each whole epoch
    return {
        "steps": steps,
        "batches": batches,
        "epoch": batches / batches_per_epoch,
        "examples": batches * size - short,
    }


def padded_tokens(tokenization: dict[str, Any], examples: int) -> int | None:
    """Tokens that go through the model, padding included; None if it depends on each batch's longest text."""
    return examples * tokenization["max_length"] if tokenization["padding"] == "max_length" else None


def total_flops(tokens: int | None, parameters: int | None) -> float | None:
    """Floating-point operations of a training as Trainer counts them: 6 x tokens x parameters outside embeddings.

    Kaplan et al. 2020 (arXiv 2001.08361); 4-bit weights count unpacked, frozen weights like the others.
    """
    return None if tokens is None or parameters is None else 6.0 * tokens * parameters
