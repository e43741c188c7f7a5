"""The model card of a tiny model: recipe, data, commit, hashes, and its scores before fine-tuning."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
import yaml
from transformers import AutoModelForCausalLM, AutoModelForMaskedLM, AutoTokenizer

from nli.base.files import sha256
from nli.pretraining.loop import pad
from nli.pretraining.texts import LAYOUTS, QUESTIONS, fill_layout, words_for
from nli.pretraining.tokenizers import CONNECTIVES, CUES, HYPOTHESES, PREMISES

CARD = "README.md"
BATCH = 128
DESCRIPTIONS = {
    "encoder": (
        "A tiny RoBERTa, pretrained on masked words and on the connective between two sentences "
        "(therefore, perhaps, otherwise)."
    ),
    "decoder": "A tiny Llama, pretrained on pairs of sentences with a verdict, in many layouts and under many names.",
}


@torch.no_grad()
def encoder_scores(folder: Path, rows: pd.DataFrame) -> dict[str, float]:
    """Shares of `rows` whose masked connective is predicted as the most probable of the three."""
    tokenizer, model = AutoTokenizer.from_pretrained(folder), AutoModelForMaskedLM.from_pretrained(folder).eval()
    words = tokenizer.convert_tokens_to_ids(["Ġ" + word for word in CONNECTIVES])
    seconds = [tokenizer.mask_token + hypothesis for hypothesis in rows["hypothesis"]]
    right = []
    for start in range(0, len(rows), BATCH):
        part = slice(start, start + BATCH)
        batch = tokenizer(rows["premise"].tolist()[part], seconds[part], padding=True, return_tensors="pt")
        masked = batch["input_ids"] == tokenizer.mask_token_id
        chosen = model(**batch).logits[masked][:, words].argmax(dim=1).numpy()
        right.append(chosen == rows["label"].to_numpy()[part])
    return {"masked connective": float(np.concatenate(right).mean())}


@torch.no_grad()
def decoder_scores(folder: Path, rows: pd.DataFrame) -> dict[str, float]:
    """Shares of `rows` whose label word is the most probable of its three, in each layout of the pretraining."""
    tokenizer, model = AutoTokenizer.from_pretrained(folder), AutoModelForCausalLM.from_pretrained(folder).eval()
    scores = {}
    for layout in LAYOUTS:
        names = PREMISES[0], HYPOTHESES[0], CUES[0]
        words = words_for(names, quiz=layout == "question")
        ids = [tokenizer(" " + word, add_special_tokens=False)["input_ids"][0] for word in words]
        pairs = zip(rows["premise"], rows["hypothesis"], strict=True)
        encoded = tokenizer([fill_layout(layout, pair, names, words, QUESTIONS[0]) for pair in pairs])["input_ids"]
        right = []
        for start in range(0, len(rows), BATCH):
            part = encoded[start : start + BATCH]
            last = torch.tensor([len(text) - 1 for text in part])
            logits = model(pad(part, 0)).logits[torch.arange(len(part)), last][:, ids]
            right.append(logits.argmax(dim=1).numpy() == rows["label"].to_numpy()[start : start + BATCH])
        scores[f"the label in the layout '{layout}'"] = float(np.concatenate(right).mean())
    return scores


SCORES = {"encoder": encoder_scores, "decoder": decoder_scores}


def write_card(
    folder: Path, role: str, spec: Mapping[str, Any], splits: Mapping[str, pd.DataFrame], seed: int, commit: str | None
) -> None:
    """Write README.md of the model in `folder`, with the hash of every file in its front matter.

    Args:
        spec: the model's source, with its recipe.
        splits: name -> pairs that it has never read, to score it on.
        seed: seed of the data and of the pretraining.
        commit: commit of the code that made the model.
    """
    scores = {name: SCORES[role](folder, rows) for name, rows in splits.items()}
    front = {
        "license": "mit",
        "language": "en",
        "library_name": "transformers",
        "made": {"commit": commit, "seed": seed, "recipe": dict(spec["recipe"])},
        "files": {path.name: sha256(path) for path in model_files(folder)},
    }
    header = ["score, %", *splits]
    lines = [f"| {' | '.join(header)} |", "|---" * len(header) + "|"]
    lines += [
        f"| {score} | {' | '.join(f'{100 * scores[name][score]:.1f}' for name in splits)} |"
        for score in next(iter(scores.values()))
    ]
    text = [
        "---",
        yaml.safe_dump(front, sort_keys=False).rstrip(),
        "---",
        f"# The demo's {role}",
        "",
        DESCRIPTIONS[role],
        "It replaces the study's large model in the demo and is useless for anything else: it has only read synthetic",
        "pairs from the study's own generator (`scripts/nli/data/synthetic.py`), and none of the pairs of train, tune",
        f"and validation that seed {seed} draws. Recipe, seed, commit and the hash of every file are above.",
        "`make demo-models` makes it from scratch; on another processor the weights differ in rounding.",
        "",
        "Scores without fine-tuning, on validation pairs that it has never read:",
        "",
        *lines,
        "",
    ]
    (folder / CARD).write_text("\n".join(text), encoding="utf-8")


def model_files(folder: Path) -> list[Path]:
    """The files of a model's folder whose hashes are in its card."""
    files = [path for path in folder.iterdir() if path.is_file() and not path.name.startswith(".")]
    return sorted(path for path in files if path.name not in (CARD, "source.json"))


def read_card(folder: Path) -> dict[str, Any]:
    """The front matter of a model's card."""
    parts = (folder / CARD).read_text(encoding="utf-8").split("---\n")
    return yaml.safe_load(parts[1])
