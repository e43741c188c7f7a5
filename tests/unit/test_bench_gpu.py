"""The GPU's benchmark does its work at any size, so a tiny one shows on a CPU that it runs."""

import json
import math
import re
import sys

import pytest
import torch
from bench_gpu import encoder_rows, main, qlora_rows
from conftest import ROOT
from unit.specs import QUANTIZATION

ROBERTA = ROOT / "scripts/nli/hub/architectures/FacebookAI/roberta-large.json"
LLAMA = ROOT / "scripts/nli/hub/architectures/meta-llama/Meta-Llama-3-8B.json"
SMALL = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "vocab_size": 300,
    "num_key_value_heads": 1,
}


@pytest.fixture
def small(tmp_path):
    """The file of an architecture at a tiny size."""

    def make(path):
        values = json.loads(path.read_text())
        values |= {key: value for key, value in SMALL.items() if key in values}
        file = tmp_path / path.name
        file.write_text(json.dumps(values))
        return file

    return make


def test_encoder_is_measured_in_float32_and_bfloat16(small):
    rows = list(encoder_rows(1, small(ROBERTA)))
    assert [row.program for row in rows] == ["`speed: fast`, float32", "`speed: fast`, bfloat16"]
    assert all(math.isfinite(row.ratios[0]) and row.ratios[0] > 0 for row in rows)
    assert "real tokens/s" in rows[0].note


@pytest.mark.parametrize("loss_on", ["label", "all"])
def test_qlora_is_measured_against_both_and_the_losses_agree(small, loss_on):
    rows = list(qlora_rows(1, loss_on, small(LLAMA), QUANTIZATION))
    assert [row.baseline for row in rows] == ["padded to 128, all logits", "TRL's SFTTrainer"]
    differences = re.findall(r"(\S+) \(", rows[0].note.partition("losses differ by ")[2])
    assert len(differences) == 2
    assert max(map(float, differences)) < 1e-3


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_without_a_gpu_it_says_so_in_one_line(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["bench_gpu.py"])
    with pytest.raises(SystemExit, match="no GPU here; make bench measures the CPU"):
        main()
