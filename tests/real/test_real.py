"""The study with real pretrained weights on real pairs: one fine-tuning of the encoder, one prompt of the decoder."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT
from workflow.conftest import snakemake

DATA = Path(os.environ.get("MULTINLI", ROOT.parent / "shared/data/multinli")).resolve()


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """The models' folder: that of `make test-real`, or a new one."""
    folder = ROOT / "real"
    if not (folder / "gemma/config.json").exists():
        folder = tmp_path_factory.mktemp("real")
    subprocess.run([sys.executable, ROOT / "tests/real/fetch_models.py", folder], check=True)
    return folder


@pytest.mark.skipif(not DATA.is_dir(), reason="no real MultiNLI rows next to the repository")
def test_real_models_train_and_answer_on_real_pairs(models, tmp_path):
    runs = [tmp_path / f"small_cpu/{key}/seed42" for key in ("roberta/full", "icl/prompt1")]
    snakemake(
        *(str(run / "metrics.json") for run in runs),
        *("--cores", "2", "--configfile", str(ROOT / "tests/real/real.yaml"), "--config", f"results={tmp_path}"),
        f"models={{encoder: {{name: {models / 'minilm'}}}, decoder: {{name: {models / 'gemma'}}}}}",
        f"data={{source: files, path: {DATA}, train_examples: 160, evaluation_examples: 24}}",
        "families={roberta: {training: {learning_rate: 3.0e-4}}}",
    )
    encoder, prompt = (json.loads((run / "metrics.json").read_text())["results"]["matched"] for run in runs)
    record = json.loads((runs[0] / "run.json").read_text())
    assert record["parameters"]["total"] == 22_713_216 + 3 * 384 + 3  # MiniLM with its pooler, and a head of three
    assert len(record["parameters"]["gradient_tensors"]) == len(record["parameters"]["trainable_tensors"])
    assert encoder["classifier"]["parsed"] == 24
    assert prompt["label_logp"]["parsed"] == 24
