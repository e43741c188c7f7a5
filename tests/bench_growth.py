"""Time and memory from the pairs' files to the report, for 1,000 to 400,000 pairs.

PYTHONPATH=scripts:tests python tests/bench_growth.py [PAIRS ...]

Half of the pairs are for training, half for the matched validation. The study is the two baselines: their answers,
scores, ladders, tables, figures and the report. Snakemake measures each job.
"""

import csv
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from nli.base.labels import LABELS

ROOT = Path(__file__).parents[1]
SIZES = (1_000, 10_000, 100_000, 400_000)
WORDS = [f"{a}{b}{c}" for a in "bdfgklmnprst" for b in "aeiou" for c in "bdfgklmnprst"]


def write_pairs(folder: Path, pairs: int, rng: np.random.Generator) -> None:
    """MultiNLI's files, with random words: half of the pairs in train, half in the matched validation."""
    for name, count in (("train", pairs // 2), ("validation_matched", pairs // 2), ("validation_mismatched", 100)):
        with (folder / f"{name}.jsonl").open("w", encoding="utf-8") as file:
            for i in range(count):
                label = LABELS[i % len(LABELS)]
                premise, hypothesis = (" ".join(rng.choice(WORDS, size=size)) for size in (20, 10))
                row = {"pairID": f"{name}{i}", "promptID": f"{name}{i // 3}", "genre": f"genre{i % 5}"}
                row |= {"sentence1": premise, "sentence2": hypothesis, "gold_label": label}
                file.write(json.dumps(row) + "\n")


def jobs_of(pairs: int) -> dict[str, tuple[float, float]]:
    """Rule -> (seconds, peak memory in MB), the sum and the maximum over its jobs."""
    with tempfile.TemporaryDirectory() as folder:
        data, results = Path(folder) / "data", Path(folder) / "results"
        data.mkdir()
        write_pairs(data, pairs, np.random.default_rng(pairs))
        settings = [
            f"results={results}",
            "only=[baseline]",
            "machine={fork_server: false}",
            f"data={{source: files, path: {data}, train_fraction: 1.0, tune_examples: {pairs // 20}}}",
        ]
        options = ["--cores", "1", "--quiet", "all", "--nolock", "--config", *settings]
        done = subprocess.run(
            [sys.executable, "-m", "snakemake", *options], cwd=ROOT, capture_output=True, text=True, check=False
        )
        if done.returncode != 0:
            sys.exit(done.stdout[-3000:] + done.stderr[-3000:])
        found: dict[str, tuple[float, float]] = {}
        for path in (results / "demo/benchmarks").rglob("*.tsv"):
            rule = path.relative_to(results / "demo/benchmarks").parts[0].removesuffix(".tsv")
            measured = next(csv.DictReader(path.open(), delimiter="\t"))
            seconds, memory = found.get(rule, (0.0, 0.0))
            found[rule] = seconds + float(measured["s"]), max(memory, float(measured["max_rss"]))
    return found


def lines(sizes: tuple[int, ...] = SIZES) -> Iterator[str]:
    """A Markdown table: for each size the seconds and the peak memory of each rule."""
    measured = {size: jobs_of(size) for size in sizes}
    rules = list(measured[sizes[-1]])
    yield f"| pairs | {' | '.join(rules)} |"
    yield f"|---:|{'---:|' * len(rules)}"
    for size, jobs in measured.items():
        cells = (f"{jobs[rule][0]:.1f} s, {jobs[rule][1]:,.0f} MB" for rule in rules)
        yield f"| {size:,} | {' | '.join(cells)} |"


if __name__ == "__main__":
    print("\n".join(lines(tuple(int(size) for size in sys.argv[1:]) or SIZES)))
