"""The families' objects: one for each that uses a model, and the same model from every builder."""

import pytest
import torch
from unit.specs import HEAD, QLORA_SPEC, QUANTIZATION, encoder_spec, trainable

from nli.jobs.families import FAMILIES
from nli.models.decoder import load_decoder
from nli.models.encoder import build_encoder
from nli.models.weightless import read_architecture
from nli.study import experiments

META = torch.device("meta")


def test_every_family_that_uses_a_model_has_an_object_and_a_trainer_where_it_trains():
    using_models = {name: made for name, made in experiments.FAMILIES.items() if made.model}
    assert FAMILIES.keys() == using_models.keys()
    for name, made in using_models.items():
        assert (FAMILIES[name].trainer is not None, FAMILIES[name].dataset is not None) == (made.trains, made.trains)


@pytest.mark.parametrize("family", ["qlora", "linear_head"])
def test_decoder_is_counted_with_what_trains_and_alone_where_nothing_does(decoder_folder, family):
    spec = {"qlora": {**QLORA_SPEC, "quantization": QUANTIZATION}, "linear_head": HEAD}[family]
    config = read_architecture(decoder_folder)
    trained = FAMILIES[family].adapt(load_decoder(decoder_folder, QUANTIZATION), spec, None)
    assert trainable(FAMILIES[family].skeleton(config, spec, True)) == trainable(trained)
    alone = FAMILIES[family].skeleton(config, spec, False)
    assert {parameter.device for parameter in alone.parameters()} == {META}
    assert not [name for name, _ in alone.named_parameters() if "lora_" in name or "classifier" in name]


def test_encoder_is_counted_as_its_method_trains_it(encoder_folder):
    spec = encoder_spec("lora")
    skeleton = FAMILIES["roberta"].skeleton(read_architecture(encoder_folder), spec, True)
    assert trainable(skeleton) == trainable(build_encoder(encoder_folder, spec))
