"""The outline that the training and the prediction scripts share: arguments, start and outputs."""

import argparse
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
from torch import nn
from transformers import PreTrainedTokenizerBase

from nli import runtime
from nli.answering.rows import as_merged
from nli.base.atomic import write_json
from nli.base.files import read_json
from nli.data.run_files import read_training, write_answers, write_training
from nli.data.sampling import draw_rows, read_sample, rows_to_train_on
from nli.data.splits import merged_labels, parse_splits, read_split
from nli.jobs.records import run_record, training_record
from nli.models.sessions import Sessions
from nli.models.training import GradientAudit


def training_parser(description: str) -> argparse.ArgumentParser:
    """The arguments of every script that trains."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--spec", type=Path, required=True, help="resolved experiment (JSON)")
    parser.add_argument("--model", type=Path, required=True, help="folder of the base model")
    parser.add_argument("--train", type=Path, required=True, help="training split")
    parser.add_argument("--checkpoints", type=Path, required=True, help="folder to resume from")
    parser.add_argument("--output-dir", type=Path, required=True, help="folder for the trained tensors")
    parser.add_argument("--history", type=Path, required=True, help="losses by step and epoch (JSON)")
    parser.add_argument("--record", type=Path, required=True, help="record of the training (JSON)")
    runtime.add_common_arguments(parser)
    return parser


def add_base_arguments(parser: argparse.ArgumentParser) -> None:
    """What a trained model calls the base model that it was made from."""
    parser.add_argument(
        "--base", required=True, help="name of the base model on the hub, or its folder from that of the run"
    )
    parser.add_argument("--revision", help="its commit on the hub")


def prediction_parser(description: str) -> argparse.ArgumentParser:
    """The arguments of every script that answers the validation splits."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--spec", type=Path, required=True, help="resolved experiment (JSON)")
    parser.add_argument("--model", type=Path, required=True, help="folder of the base model")
    parser.add_argument("--split", action="append", required=True, metavar="NAME=FILE", help="split to answer")
    parser.add_argument("--predictions", type=Path, required=True, help="answers, one row per example and scorer")
    parser.add_argument("--run", type=Path, required=True, help="the complete record of the run (JSON)")
    runtime.add_common_arguments(parser)
    return parser


def begin_training(
    started: float,
    args: argparse.Namespace,
    load_tokenizer: Callable[[Path], PreTrainedTokenizerBase],
    check: Callable[[Path, PreTrainedTokenizerBase, dict[str, Any]], None],
) -> tuple[Sessions, dict[str, Any], PreTrainedTokenizerBase]:
    """Read a training's spec and tokenizer, and check them before any weights or rows are read.

    Args:
        started: what `runtime.start` returned; a script imports `nli.runtime` before torch and calls it itself.

    Returns:
        the job's record of its time and memory, the spec and the tokenizer.
    """
    spec, tokenizer = read_json(args.spec), load_tokenizer(args.model)
    check(args.model, tokenizer, spec)
    return Sessions(started), spec, tokenizer


def read_training_rows(path: Path, spec: dict[str, Any]) -> pd.DataFrame:
    """The rows to train on: all of the split, or the experiment's sample, which contains every smaller one."""
    rows = read_split(path)
    wanted = rows_to_train_on(len(rows), spec["training"].get("examples"))
    return draw_rows(rows, wanted, spec.get("sample_seed", 0), "trained")


def finish_training(
    args: argparse.Namespace,
    spec: dict[str, Any],
    model: nn.Module,
    history: dict[str, Any],
    audit: GradientAudit,
    sessions: Sessions,
) -> None:
    """Write history and record, then delete the checkpoints, since the trained tensors are now in `output_dir`."""
    write_json(args.history, history)
    base = {"name": args.base, "revision": args.revision} if "base" in args else None
    record = {**training_record(model, history, audit, sessions, spec), "base": base}
    samples = [args.samples] if "samples" in args else []
    write_training(args.record, record, args.seed, [args.history, *samples])
    shutil.rmtree(args.checkpoints, ignore_errors=True)


def rows_to_answer(args: argparse.Namespace, spec: dict[str, Any]) -> dict[str, pd.DataFrame]:
    """The rows of every split that a prediction job answers, by name."""
    examples, seed = spec["evaluation"]["examples"], spec["sample_seed"]
    return {split: read_sample(path, examples, seed) for split, path in parse_splits(args.split).items()}


def answer_splits(
    args: argparse.Namespace,
    spec: dict[str, Any],
    model: nn.Module,
    started: float,
    answer: Callable[[pd.DataFrame, str], list[pd.DataFrame]],
    record: Path | None = None,
    details: dict[str, Any] | None = None,
) -> None:
    """Answer every split and write predictions.parquet and run.json.

    Args:
        answer: (rows, split's name) -> prediction frames, one per scorer.
        record: the training job's record, if there was one.
        details: further entries of run.json.
    """
    training = read_training(record, spec, args.seed) if record else None
    splits = parse_splits(args.split)
    evaluation_started = time.perf_counter()
    frames = []
    for split, rows in rows_to_answer(args, spec).items():
        merged = merged_labels(splits[split])
        frames += [as_merged(frame, merged) for frame in answer(rows, split)]
        print(f"{split}: {len(rows)} pairs answered", flush=True)
    seconds = time.perf_counter() - evaluation_started
    run = run_record(spec, args.seed, model, started, seconds, splits, args.model, training)
    write_answers(args.predictions, args.run, pd.concat(frames), {**run, **(details or {})}, spec)
