"""Every experiment of the paper scale trains and answers with its own settings, on tiny models of its architectures.

What a CPU cannot do (a GPU's 16-bit floats) is replaced, and the batches are small; all else is as in config.yaml: the
recomputed activations, the 8-bit optimizer, the methods, losses and texts.
"""

import copy

import pytest
import torch
import yaml
from conftest import ROOT

from nli import runtime
from nli.forecast.rehearsal import rehearse_where_it_fits
from nli.models.weightless import read_architecture
from nli.study.resolve import load_study
from nli.study.specs import rehearsal_spec

CONFIG = yaml.safe_load((ROOT / "config.yaml").read_text())
STUDY = load_study({**CONFIG, "scale": "paper", "rungs": "all"})
EXPERIMENTS = [key for key, experiment in STUDY.experiments.items() if experiment.model]


def on_a_cpu(spec):
    """A rehearsal spec with small batches and 32-bit floats."""
    spec = copy.deepcopy(spec)
    spec["steps"] = {"measured": 1, "warmup": 1, "answering_batches": 1, "on_cpu": True}
    spec["predict"]["evaluation"]["batch_size"] = 4
    for part in filter(None, (spec["train"], spec["predict"])):
        part.get("quantization", {}).update(compute_dtype="float32")
        training = part.get("training", {})
        training.update(mixed_precision="none", batch_size=2)
        training["gradient_accumulation"] = min(training.get("gradient_accumulation", 1), 2)
    return spec


def architecture(role):
    """The demo model's architecture, with RoBERTa-large's 24 layers for the encoder, since an experiment names some,
    and Llama 3's 8,192 positions for the decoder.
    """
    config = read_architecture(ROOT / "models" / role / "config.json")
    if role == "encoder":
        config.num_hidden_layers = 24
    else:
        config.max_position_embeddings = 8192  # Llama 3's; sixteen examples need more than the demo's 512
    return config


@pytest.mark.parametrize("key", EXPERIMENTS)
def test_experiment_trains_and_answers_with_its_own_settings(key):
    runtime.start(0, threads=1)
    spec = on_a_cpu(rehearsal_spec(STUDY, key))
    config = architecture(STUDY.experiments[key].model)
    result = rehearse_where_it_fits(spec, config, torch.device("cpu"), seed=0)
    assert result["status"] == "measured", result["reason"]
    assert (result["training"] is None) == (spec["train"] is None)
    assert result["answering"]["examples_per_second"] > 0
