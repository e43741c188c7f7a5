"""Starts every job: offline, seeded, on one GPU, with the threads that Snakemake assigns.

Import this before torch and transformers, which read the environment when they are imported.
"""

import os

from nli.machine.gpus import first_visible


def set_environment() -> None:
    """Set what the libraries read, at their import or later."""
    os.environ.setdefault("HF_HUB_OFFLINE", "1")  # only the fetch rules may use the network
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")  # Snakemake assigns the threads
    # With a C++ compiler bitsandbytes compiles some CPU kernels: the same bytes, but slower (tests/bench_jobs.py).
    os.environ.setdefault("TORCHDYNAMO_DISABLE", "1")
    os.environ["CUDA_VISIBLE_DEVICES"] = first_visible(os.environ)


set_environment()

import argparse
import time

import torch
from transformers import set_seed


def add_common_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of every script that uses a model."""
    parser.add_argument("--seed", type=int, required=True, help="seed of the run")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads")


def start(seed: int, threads: int) -> float:
    """Seed every generator and set the number of CPU threads; return the wall clock's start, in seconds."""
    torch.set_num_threads(threads)
    set_seed(seed)
    return time.perf_counter()


def device() -> torch.device:
    """The first CUDA device if there is one, else the CPU."""
    return torch.device("cuda", 0) if torch.cuda.is_available() else torch.device("cpu")
