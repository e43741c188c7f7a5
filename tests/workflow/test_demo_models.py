"""The shipped tiny models: their files match their cards, and their command makes such models."""

import json

import pytest
from conftest import ROOT
from workflow.conftest import snakemake

from nli.base.files import sha256
from nli.pretraining.card import model_files, read_card

ROLES = ("encoder", "decoder")
LIMIT = 8_000_000  # bytes: everybody who clones the repository downloads them


@pytest.mark.parametrize("role", ROLES)
def test_shipped_files_are_those_of_their_card(role, demo_study):
    folder = ROOT / demo_study.models.model_dump()[role]["name"]
    card = read_card(folder)
    assert card["files"] == {path.name: sha256(path) for path in model_files(folder)}
    assert card["made"]["recipe"] == getattr(demo_study.models, role).recipe.model_dump()
    assert card["made"]["seed"] == demo_study.data.seed
    assert len(card["made"]["commit"]) == 40  # a full commit, without the "+" of local changes


def test_shipped_models_are_small():
    assert sum(path.stat().st_size for path in (ROOT / "models").rglob("*")) <= LIMIT


def test_a_few_steps_of_their_recipe_make_models_with_cards(tmp_path):
    steps = {"encoder": {"steps": 3}, "decoder": {"steps": 4, "plain_steps": 2}}
    few = f"models={json.dumps({role: {'recipe': recipe} for role, recipe in steps.items()})}"
    size = "data={synthetic: {corpus: 900, train: 60, tune: 30, matched: 60, mismatched: 60}}"
    arguments = ["--configfile", "docs/demo_models.yaml", "--config", f"results={tmp_path}", few, size]
    snakemake("demo_models", "--cores", "2", *arguments)
    for role in ROLES:
        folders = ROOT / "models" / role, tmp_path / "demo/models/described" / role
        shipped, made = (read_card(folder) for folder in folders)
        assert made["made"]["recipe"] == shipped["made"]["recipe"] | steps[role]
        assert made["files"] == {path.name: sha256(path) for path in model_files(folders[1])}
        assert made["files"].keys() == shipped["files"].keys()
        of_shipped, of_made = (json.loads((folder / "config.json").read_text()) for folder in folders)
        assert of_shipped | {"vocab_size": None} == of_made | {"vocab_size": None}
