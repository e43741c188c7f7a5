"""A results folder for the report's tests: realistic random files of every experiment.

By hand: PYTHONPATH=scripts python tests/unit/report_fixtures.py FOLDER [--scale paper]
"""

import argparse
import io
import json
import math
import runpy
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pandas as pd
import yaml

from nli.base.atomic import write_json
from nli.base.files import content_hash, read_json, sha256
from nli.base.labels import LABELS
from nli.data.leakage import hashes_of_pairs
from nli.data.run_files import write_answers, write_metrics
from nli.data.splits import SCHEMA as SPLIT
from nli.data.splits import write_split
from nli.measure.draws import score_draws
from nli.measure.metrics import score_predictions
from nli.reporting.results import Results, load_results, measure_results
from nli.study.resolve import load_study
from nli.study.schema import Study
from nli.study.specs import prediction_spec, training_spec

ROOT = Path(__file__).parents[2]

# How often each experiment is right, and how often its answer cannot be read.
SKILL = {
    "baseline/majority": 0.0,
    "baseline/hypothesis_only": 0.1,
    "roberta/full": 0.84,
    "roberta/lora": 0.79,
    "roberta/prompt_tuning": 0.0,
    "roberta/prompt_tuning_repaired": 0.55,
    "roberta/top_layers": 0.7,
    "roberta/head_only": 0.45,
    "qlora/attempt1": 0.5,
    "qlora/attempt1_label_loss": 0.76,
    "qlora/attempt2": 0.38,
    "qlora/attempt2_merged": 0.35,
    "qlora/attempt3": 0.52,
    "linear_head/first_token": 0.0,
    "linear_head/last_token": 0.66,
}
CLASSIFIERS = ("baseline", "roberta", "linear_head")
UNPARSED = {"icl": 0.3, "qlora": 0.06}
GENRES = ("quantifiers", "hypernyms", "negation", "numbers", "places")
LAYERS = {
    "word_embeddings": 204800,
    "token_type_embeddings": 128,
    "position_embeddings": 20736,
    "embedding_layer_norm": 256,
    "encoder": 793088,
    "classifier_dense": 16512,
    "classifier_out_proj": 387,
}


def make_results(
    folder: Path,
    scale: str = "demo",
    n: int = 240,
    seed: int = 0,
    rungs: str = "core",
    only: Sequence[str] = (),
    overrides: Mapping[str, Any] | None = None,
) -> Path:
    """Write study.json, the data and every run directory, or those of `only`; returns `folder`.

    Args:
        overrides: what changes in the config.
    """
    rng = np.random.default_rng(seed)
    config = yaml.safe_load((ROOT / "config.yaml").read_text())
    resolved = load_study({**config, "scale": scale, "rungs": rungs, "only": list(only)}, overrides)
    study, selected = resolved.model_dump(mode="json"), {experiment.key for experiment in resolved.selected()}
    write_json(folder / "study.json", study)
    write_json(folder / "data" / "description.json", describe(rng))
    for split in ("matched", "mismatched", "tune"):
        write_split(draw_split(split, n), folder / "data" / f"{split}.parquet")
    for key, spec in study["experiments"].items():
        if key not in selected:
            continue
        for run_seed in spec["seeds"] or study["seeds"]:
            make_run(folder / key / f"seed{run_seed}", key, spec, scale, n, rng)
    measure(folder)
    return folder


def measure(folder: Path) -> Path:
    """Write report/ladders.json like the workflow; returns its path."""
    output = folder / "report" / "ladders.json"
    files = folder / "study.json", ROOT / "report/reported.yaml", folder / "data" / "description.json"
    write_json(output, measure_results(folder, load_results(folder, *files)))
    return output


def load(folder: Path) -> Results:
    """Results with their ladders, if `measure` has made them."""
    ladders = folder / "report/ladders.json"
    return load_results(
        folder,
        folder / "study.json",
        ROOT / "report/reported.yaml",
        folder / "data/description.json",
        ladders if ladders.exists() else None,
    )


def make_run(directory: Path, key: str, spec: dict, scale: str, n: int, rng, **changes) -> None:
    """Write the files of one run of the study in study.json, and the spec of its prediction job.

    Args:
        changes: keys of run.json.
    """
    folder, (family, name), seed = directory.parents[2], key.split("/"), int(directory.name.removeprefix("seed"))
    study = Study.model_validate(read_json(folder / "study.json"))
    asked = prediction_spec(study, key)
    write_json(folder / "specs" / key / "predict.json", asked)
    frame = draw_predictions(key, spec, n, rng)
    record = {"family": family, "name": name, "seed": seed, **describe_run(family, spec, scale)}
    record["spec"] = {**training_spec(study, key), **asked}
    record["data"]["sha256"] = {name: sha256(folder / f"data/{name}.parquet") for name in spec["evaluation"]["splits"]}
    record |= changes
    record["trained"] = write_training_files(directory, family, spec, rng)
    predictions = directory / "predictions.parquet"
    write_answers(predictions, directory / "run.json", frame, record, asked)
    scores = {"results": score_predictions(frame), "by_draw": score_draws(frame, spec.get("draws", 1), seed)}
    scores["pairs"] = hashes_of_pairs(frame)
    write_metrics(directory / "metrics.json", predictions, scores, record, asked)


def write_training_files(directory: Path, family: str, spec: dict, rng) -> dict[str, str]:
    """Write history.json and samples.json where the run trains; returns their SHA-256 by name."""
    if family not in ("baseline", "icl") and not spec.get("adapter"):
        write_json(directory / "history.json", draw_history(family, rng))
    if spec.get("sample"):
        sample = {"premise": "Some dogs ran.", "hypothesis": "No dog ran.", "label": "Contradiction"}
        prompt = "[INST] NLI Task: [Premise]: Some dogs ran. [Hypothesis]: No dog ran. [/INST]"
        after = " Contradiction Entailment Contradiction Contradiction Neutral Contradiction"
        answers = {"before": f" {prompt} | *dogs* `ran` ```", "after": after}
        write_json(directory / "samples.json", {"sample": sample, "prompt": prompt, **answers})
    return {name: sha256(directory / name) for name in ("history.json", "samples.json") if (directory / name).exists()}


def make_answers(folder: Path, frame: pd.DataFrame, seed: int = 42, **changes) -> None:
    """Write one run into `folder`, flat, with the splits that it answered and its spec: what scripts/score.py reads."""
    splits = list(dict.fromkeys(frame["split"]))
    spec = {
        "family": "icl",
        "name": "prompt1",
        "scale": "demo",
        "sample_seed": 1,
        "scorers": list(frame["scorer"].unique()),
    }
    spec |= {"evaluation": {"splits": splits, "examples": None}, **changes}
    for split in splits:
        rows = frame[frame["split"] == split].drop_duplicates("pair_id")
        labels = rows["gold"].map(LABELS.index).astype("int8")
        write_split(rows.assign(premise="A.", hypothesis="B.", label=labels)[SPLIT.names], folder / f"{split}.parquet")
    write_json(folder / "predict.json", spec)
    record = {"family": spec["family"], "name": spec["name"], "seed": seed, **describe_run("icl", spec, "demo")}
    record["data"]["sha256"] = {split: sha256(folder / f"{split}.parquet") for split in splits}
    write_answers(folder / "predictions.parquet", folder / "run.json", frame, record, spec)


def score_answers(folder: Path, seed: int = 42) -> subprocess.CompletedProcess:
    """`run_script` of score.py on what `make_answers` has written; it writes metrics.json and README.md."""
    names = {"spec": "predict.json", "predictions": "predictions.parquet", "run": "run.json"}
    names |= {"output": "metrics.json", "card": "README.md"}
    options = [part for key, name in names.items() for part in (f"--{key}", str(folder / name))]
    splits = read_json(folder / "predict.json")["evaluation"]["splits"]
    options += [f"--split={split}={folder / f'{split}.parquet'}" for split in splits]
    return run_script("score.py", "--seed", seed, *options)


def run_script(name: str, *arguments) -> subprocess.CompletedProcess:
    """Run one of scripts/ in this process, which need not import the libraries again."""
    output, errors = io.StringIO(), io.StringIO()
    command = [str(ROOT / "scripts" / name), *map(str, arguments)]
    with mock.patch.object(sys, "argv", command), redirect_stdout(output), redirect_stderr(errors):
        try:
            runpy.run_path(command[0], run_name="__main__")
            code = 0
        except SystemExit as end:
            code = end.code
    return subprocess.CompletedProcess(command, code, output.getvalue(), errors.getvalue())


def run_report_script(name: str, folder: Path) -> subprocess.CompletedProcess:
    """`run_script` of make_ladders.py, make_tables.py or make_figures.py on a results folder, into its report/."""
    options = ["--results", folder, "--study", folder / "study.json", "--data", folder / "data/description.json"]
    options += ["--reported", ROOT / "report/reported.yaml"]
    ladders = folder / "report/ladders.json"
    if name == "make_ladders.py":
        return run_script(name, *options, "--output", ladders, "--summary", folder / "summary.json")
    return run_script(
        name, *options, "--ladders", ladders, "--output-dir", folder / "report" / name.removesuffix(".py")
    )


def rewrite(path: Path, **changes) -> None:
    """Change keys of a run.json or metrics.json as if the study had written them."""
    content = {**read_json(path), **changes}
    content.pop("content_sha256")
    write_json(path, {**content, "content_sha256": content_hash(content)})


def draw_predictions(key: str, spec: dict, n: int, rng) -> pd.DataFrame:
    """Rows of every split and scorer of an experiment."""
    family = key.split("/")[0]
    scorers = spec.get("scorers") or ["classifier"]
    frames = []
    for split in spec["evaluation"]["splits"]:
        for scorer in scorers:
            skill = SKILL.get(key, 0.2) - (0.15 if scorer == "first_label" else 0)
            frames.append(draw_rows(split, scorer, family, skill, n, rng))
    return pd.concat(frames, ignore_index=True)


def draw_split(split: str, n: int) -> pd.DataFrame:
    """The rows of an evaluation set; a smaller one has the first of them."""
    rng = np.random.default_rng(len(split))
    return pd.DataFrame(
        {
            "pair_id": [f"{split}-{i}" for i in range(n)],
            "premise_id": [f"premise-{i // 3}" for i in range(n)],
            "premise": [f"Premise {i // 3}." for i in range(n)],
            "hypothesis": [f"Hypothesis {i}." for i in range(n)],
            "label": rng.choice(len(LABELS), n, p=[0.35, 0.32, 0.33]).astype("int8"),
            "genre": rng.choice(GENRES, n),
        }
    )


def draw_rows(split: str, scorer: str, family: str, skill: float, n: int, rng) -> pd.DataFrame:
    rows = draw_split(split, n)
    gold = np.array(LABELS)[rows["label"]]
    guess = rng.choice(LABELS, n) if skill else np.full(n, LABELS[0])
    pred = np.where(rng.random(n) < skill, gold, guess).astype(object)
    pred[rng.random(n) < UNPARSED.get(family, 0)] = None
    frame = pd.DataFrame(
        {
            "split": split,
            "scorer": scorer,
            **{column: rows[column] for column in ("pair_id", "genre", "premise_id")},
            "gold": gold,
            "pred": pred,
            "answer": None if family in CLASSIFIERS else "Maybe",
        }
    )
    confidence = rng.uniform(0.4, 0.95, n)
    for label in LABELS:
        share = np.where(pred == label, confidence, (1 - confidence) / 2)
        known = family in CLASSIFIERS
        frame[f"logp_{label}"] = np.log(share) if known else math.nan
    return frame


def describe_run(family: str, spec: dict, scale: str) -> dict:
    """run.json without its identity and the hashes of its data."""
    total = sum(LAYERS.values()) if family == "roberta" else 1_204_864
    trainable = {"full": total, "lora": 16_384 + 16_899, "prompt_tuning": 204_800}
    train = trainable.get(spec.get("method"), 33_000) if family != "icl" else 0
    return {
        "scale": scale,
        "spec": spec,
        "parameters": {
            "total": total,
            "trainable": train,
            "frozen": total - train,
            "as_reported": {"total": total + 204_800, "trainable": train, "frozen": total},
            "layers": [
                {"name": layer, "parameters": size, "trainable": size * (spec.get("method") == "full")}
                for layer, size in LAYERS.items()
            ]
            if family == "roberta"
            else [],
            "trainable_tensors": ["classifier.dense.weight"],
            "gradient_tensors": ["classifier.dense.weight"],
            "audited_steps": 5,
        },
        "finished": "2026-11-28T10:02:03+00:00",
        "seconds": {"wall": 41.2, "train": None if family == "icl" else 31.5, "evaluation": 6.1},
        "sessions": None if family == "icl" else 1,
        "energy_kwh": {"train": None},
        "throughput": {"examples_per_second": 571.2, "tokens_per_second": 10234.0}
        if family != "icl"
        else {"examples_per_second": None, "tokens_per_second": None},
        "peak_memory_gib": {"process": 1.21, "device": None},
        "device": "cpu",
        "dtype": "float32",
        "versions": {"python": "3.11.2", "torch": "2.13.0", "transformers": "5.23.0"},
        "data": {"source": "synthetic", "revision": None},
        "model": None if family == "baseline" else {"id": "made/encoder", "revision": None, "sha256": "cd" * 32},
        "code": {"training": None, "answering": {}},
        "git_commit": "0123456789abcdef0123456789abcdef01234567",
    }


def draw_history(family: str, rng) -> dict:
    steps = [
        {
            "step": 10 * i,
            "epoch": i / 30,
            "loss": 0.4 + 0.7 * math.exp(-i / 20) + 0.05 * float(rng.random()),
            "learning_rate": 5e-4 * (1 - i / 91),
            "grad_norm": 1.0,
        }
        for i in range(1, 91)
    ]
    epochs = [
        {
            "epoch": float(e),
            "training_loss": 0.9 - 0.2 * e,
            "validation_loss": 0.8 - 0.1 * e,
            "accuracy": 0.6 + 0.08 * e,
        }
        for e in (1, 2, 3)
    ]
    train = {
        "loss": 0.612,
        "seconds": 31.5,
        "samples_per_second": 571.2,
        "steps_per_second": 35.7,
        "total_flops": 9.87e12,
        "epoch": 3.0,
        "steps": 900,
    }
    return {"steps": steps, "epochs": epochs if family == "roberta" else [], "train": train}


def describe(rng) -> dict:
    """description.json."""
    sizes = {"train": 6000, "tune": 1000, "matched": 1500, "mismatched": 1500}
    words = {"mean": 10.41, "median": 10.0, "p95": 17.0, "max": 24}
    splits = {}
    for split, n in sizes.items():
        counts = rng.multinomial(n, [1 / 3] * 3)
        genres = rng.multinomial(n, [1 / len(GENRES)] * len(GENRES))
        splits[split] = {
            "n": n,
            "premises": n // 3,
            "labels": {label: int(count) for label, count in zip(LABELS, counts, strict=True)},
            "premise_words": words,
            "hypothesis_words": {**words, "mean": 6.2},
            "genres": {genre: int(count) for genre, count in zip(GENRES, genres, strict=True)},
        }
    return {
        "source": "synthetic",
        "revision": None,
        "sha256": {"train.parquet": "ab" * 32},
        "dropped": {"train": 0, "matched": 3},
        "warnings": ["2 validation pairs are also in train"],
        "overlap": {name: {"ids": 0, "pairs": i, "premises": 3 * i} for i, name in enumerate(sizes) if i},
        "splits": splits,
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--scale", default="demo")
    arguments = parser.parse_args()
    print(json.dumps(str(make_results(arguments.folder, arguments.scale))))
