"""The fast paths at true size on a GPU: RoBERTa-large, and Llama 3 8B in NF4, with random weights.

PYTHONPATH=scripts:tests python tests/bench_gpu.py [--repetitions N]

Writes its rows into docs/benchmarks.md. The programs are those of the CPU's benchmarks, and for the encoder `speed:
fast` in bfloat16 besides. MFU is six operations per weight of the layers and real token (with frozen 4-bit weights
four) over the card's dense peak in bfloat16; padding and attention count as no work.
"""

import argparse
import sys
from collections.abc import Callable, Iterator
from functools import partial
from itertools import chain, count
from pathlib import Path
from typing import Any

import bench_qlora
import bench_training
import torch
from bench_rows import HEADER, Row, compare
from pages import replaced
from unit.specs import QLORA_SPEC, QUANTIZATION, dataset_of

from nli.forecast.rehearsal import typical_pairs, word_tokenizer
from nli.models.encoder import tokenize_pairs
from nli.models.weightless import read_architecture, skeleton_decoder, skeleton_encoder

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs/benchmarks.md"
ARCHITECTURES = ROOT / "scripts/nli/hub/architectures"
ROBERTA = ARCHITECTURES / "FacebookAI/roberta-large.json"
LLAMA = ARCHITECTURES / "meta-llama/Meta-Llama-3-8B.json"
NF4 = {**QUANTIZATION, "compute_dtype": "bfloat16"}
PEAKS = {"H100": 989e12, "H200": 989e12, "A100": 312e12, "L40S": 362e12, "RTX 4090": 165e12}  # by their data sheets
PADDED, PACKED, PACKED_BF16 = "padded to 128, float32", "`speed: fast`, float32", "`speed: fast`, bfloat16"
ENCODERS = {
    PADDED: {"padding": "max_length", "speed": "plain"},
    PACKED: {"padding": "longest", "speed": "fast"},
    PACKED_BF16: {"padding": "longest", "speed": "fast", "mixed_precision": "bf16"},
}
TRAINED_OPERATIONS, FROZEN_OPERATIONS = 6, 4  # per weight and token, forward and backward


def work_note(seconds: dict[str, list[float]], name: str, operations: float, tokens: float) -> str:
    """Real tokens per second of a program, and its MFU if the card's peak is known."""
    step = min(seconds[name])
    note = f"{name}: {tokens / step:,.0f} real tokens/s"
    card = torch.cuda.get_device_name() if torch.cuda.is_available() else ""
    peak = next((peak for known, peak in PEAKS.items() if known in card), None)
    return f"{note}, MFU {operations * tokens / step / peak:.0%}" if peak else note


def timed(program: Callable[[], float], name: str, seconds: dict[str, list[float]]) -> float:
    """The program's time, which is also kept for the note."""
    seconds.setdefault(name, []).append(program())
    return seconds[name][-1]


def layer_weights(model: torch.nn.Module) -> int:
    """Weights of the linear layers in the stack, each of which a token meets once."""
    stack = model.base_model
    return sum(m.in_features * m.out_features for m in stack.modules() if isinstance(m, torch.nn.Linear))


def encoder_rows(repetitions: int, architecture: Path = ROBERTA) -> Iterator[Row]:
    """Full fine-tuning, 16 pairs a step."""
    operations = TRAINED_OPERATIONS * layer_weights(skeleton_encoder(read_architecture(architecture)))
    rows = typical_pairs(1000, 0)
    encoded = tokenize_pairs(rows, word_tokenizer("encoder"), {"max_length": 128, "padding": "longest"})
    tokens = bench_training.ROWS * sum(map(len, encoded["input_ids"])) / len(rows)
    seconds: dict[str, list[float]] = {}
    seeds = {name: count() for name in ENCODERS}

    def step(name: str) -> float:
        setting = {**ENCODERS[name], "architecture": architecture, "seed": next(seeds[name])}
        return timed(partial(bench_training.seconds_per_step, **setting), name, seconds)

    def note() -> str:
        return "; ".join(work_note(seconds, name, operations, tokens) for name in (PADDED, PACKED_BF16))

    programs = {name: partial(step, name) for name in ENCODERS}
    pairs = [(PACKED, PADDED), (PACKED_BF16, PADDED)]
    yield from compare(f"a training step of {architecture.stem}, 16 pairs", programs, pairs, repetitions, note)


def qlora_rows(
    repetitions: int, loss_on: str, architecture: Path = LLAMA, quantization: dict[str, Any] = NF4
) -> Iterator[Row]:
    """QLoRA with the loss on the `label` or on `all` of the text, 16 pairs a step."""
    fast, programs = bench_qlora.FAST, bench_qlora.PROGRAMS
    operations = FROZEN_OPERATIONS * layer_weights(skeleton_decoder(read_architecture(architecture), quantization))
    tokenizer = word_tokenizer("decoder", QLORA_SPEC["label_words"].values())
    rows = typical_pairs(1000, 0)
    tokens = bench_qlora.ROWS * sum(map(len, dataset_of(rows, tokenizer, QLORA_SPEC)["input_ids"])) / len(rows)
    losses: dict[str, float] = {}
    seconds: dict[str, list[float]] = {}
    seeds = {name: count() for name in programs}

    def step(name: str) -> float:
        size = (None, losses, architecture, quantization)
        return timed(partial(bench_qlora.seconds_per_step, name, seeds[name], loss_on, *size), name, seconds)

    def note() -> str:
        return f"{work_note(seconds, fast, operations, tokens)}; {bench_qlora.differences(losses)}"

    work = f"a QLoRA step of {architecture.stem}, 16 pairs, loss on {'the label' if loss_on == 'label' else 'the text'}"
    steps = {name: partial(step, name) for name in programs}
    yield from compare(work, steps, [(fast, bench_qlora.PADDED), (fast, bench_qlora.TRL)], repetitions, note)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repetitions", type=int, default=3)
    args = parser.parse_args()
    if not torch.cuda.is_available():
        sys.exit("error: no GPU here; make bench measures the CPU")
    lines = HEADER.copy()
    works = (encoder_rows(args.repetitions), *(qlora_rows(args.repetitions, loss) for loss in ("label", "all")))
    for row in chain.from_iterable(works):
        lines.append(row.markdown())
        print(lines[-1], flush=True)
    lines += ["", f"{torch.cuda.get_device_name()}."]
    PAGE.write_text(replaced(PAGE.read_text(encoding="utf-8"), "gpu", lines), encoding="utf-8")


if __name__ == "__main__":
    main()
