"""Rehearse one experiment: a few measured steps at its true size with random weights; needs no weights and no data.

By hand:
    python scripts/rehearse.py --spec rehearse.json --architecture scripts/nli/hub/architectures/OWNER/NAME.json \
        --seed 42 --threads 4 --output rehearsal.json
"""

import argparse
import os
from pathlib import Path

import torch

from nli.base.atomic import write_json
from nli.base.errors import run_main
from nli.base.files import read_json
from nli.machine.gpus import first_visible

NO_GPU = {
    "status": "not measured",
    "reason": "no GPU here; --config rehearsal='{on_cpu: true}' measures what fits in memory on the CPU",
    "device": "CPU",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--spec", type=Path, required=True, help="what to rehearse (JSON)")
    parser.add_argument("--architecture", type=Path, required=True, help="a model's folder, or its configuration")
    parser.add_argument("--output", type=Path, required=True, help="what was measured (JSON)")
    parser.add_argument("--seed", type=int, required=True, help="seed of the weights and texts")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads")
    args = parser.parse_args()

    spec = read_json(args.spec)
    os.environ["CUDA_VISIBLE_DEVICES"] = first_visible(os.environ)  # torch reads it once, at its first CUDA call
    if not torch.cuda.is_available() and not spec["steps"]["on_cpu"]:
        write_json(args.output, NO_GPU)
        return
    from nli import runtime  # takes seconds, which the answer "no GPU" does not need
    from nli.forecast.rehearsal import rehearse_where_it_fits
    from nli.models.weightless import read_architecture

    runtime.start(args.seed, args.threads)
    config = read_architecture(args.architecture)
    write_json(args.output, rehearse_where_it_fits(spec, config, runtime.device(), args.seed))


if __name__ == "__main__":
    run_main(main)
