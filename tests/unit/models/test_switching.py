"""Several adapters on one encoder: each by its name, and the base as it was."""

import pytest
import torch
from unit.specs import batch, encoder_spec

from nli.models.encoder import build_encoder, load_encoder
from nli.models.switching import base_tensors, bytes_of, digest, load_adapters, time_of_switching

OUTPUTS = 5


@pytest.fixture
def folders(encoder_folder, tmp_path):
    """Two adapters whose heads and updates differ, saved like the study's."""
    found = {}
    for seed, name in enumerate(("nli", "genre")):
        torch.manual_seed(seed)
        model = build_encoder(encoder_folder, encoder_spec("lora"), OUTPUTS)
        with torch.no_grad():
            for tensor in (tensor for key, tensor in model.named_parameters() if "lora_B" in key):
                tensor.normal_()
        model.save_pretrained(tmp_path / name)
        found[name] = (tmp_path / name, model.eval())
    return found


def test_each_adapter_answers_as_the_model_it_was_trained_in_and_the_base_stays(encoder_folder, folders, rows):
    torch.manual_seed(9)
    base = load_encoder(encoder_folder, "float32", outputs=OUTPUTS)
    before, size = digest(base), bytes_of(base)
    model = load_adapters(base, {name: folder for name, (folder, _) in folders.items()}).eval()
    inputs = batch(encoder_folder, rows)
    inputs.pop("labels")
    outputs = {}
    for name in ("genre", "nli", "genre"):
        model.set_adapter(name)
        with torch.no_grad():
            outputs[name] = model(**inputs).logits
            assert torch.equal(outputs[name], folders[name][1](**inputs).logits)
    assert outputs["nli"].shape == (6, OUTPUTS)
    assert not torch.allclose(outputs["nli"], outputs["genre"])
    assert time_of_switching(model, ["nli", "genre"]) > 0
    assert (digest(model), bytes_of(model)) == (before, size)


def test_a_changed_byte_of_the_base_changes_its_digest(encoder_folder, folders):
    base = load_encoder(encoder_folder, "float32", outputs=OUTPUTS)
    names, before = set(base_tensors(base)), digest(base)
    model = load_adapters(base, {"nli": folders["nli"][0]})
    assert set(base_tensors(model)) == names
    with torch.no_grad():
        next(tensor for name, tensor in model.named_parameters() if "query.base_layer.weight" in name)[0, 0] += 1e-3
    assert digest(model) != before
