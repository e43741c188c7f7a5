"""A model whose files lack its weights is refused before loading; one whose weights have other names is not."""

import json
import shutil

import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, AutoModelForMaskedLM, AutoModelForSequenceClassification
from unit.specs import QUANTIZATION

from nli.base.errors import StudyError
from nli.models.base_weights import check_weights
from nli.models.decoder import load_decoder
from nli.models.encoder import load_encoder
from nli.models.linear_head import build_classifier
from nli.models.merging import load_unquantized

FILE = "model.safetensors"


@pytest.fixture
def changed(tmp_path):
    """`changed(folder, change)`: a copy of a model's folder with its tensors (name -> tensor) changed by `change`."""

    def copy(folder, change, **settings):
        shutil.copytree(folder, tmp_path / "model", dirs_exist_ok=True)
        save_file(change(load_file(folder / FILE)), tmp_path / "model" / FILE, metadata={"format": "pt"})
        config = json.loads((folder / "config.json").read_text())
        (tmp_path / "model/config.json").write_text(json.dumps({**config, **settings}))
        return tmp_path / "model"

    return copy


def unrelated(tensors):
    return {"unrelated": torch.zeros(2)}


def without(*parts):
    return lambda tensors: {name: t for name, t in tensors.items() if not any(part in name for part in parts)}


def renamed(*pairs):
    def rename(tensors):
        names = {}
        for name in tensors:
            new = name
            for old, other in pairs:
                new = new.replace(old, other)
            names[name] = new
        assert names != dict(zip(tensors, tensors, strict=True))
        return {names[name]: tensor for name, tensor in tensors.items()}

    return rename


def test_encoder_without_its_weights_names_the_key_the_count_and_the_first_tensors(encoder_folder, changed):
    folder = changed(encoder_folder, unrelated)
    # 5 tensors of the embeddings and 16 in each of 2 layers; the head's 4 should be new
    message = (
        rf"^models\.encoder\.name: {folder}: the weights lack 37 tensors of RobertaForSequenceClassification: "
        r"roberta\.embeddings\.LayerNorm\.bias, roberta\.embeddings\.LayerNorm\.weight, "
        r"roberta\.embeddings\.position_embeddings\.weight, \.\.\.; they would be random\. Give a folder"
    )
    with pytest.raises(StudyError, match=message):
        check_weights(folder, AutoModelForSequenceClassification, "encoder")
    with pytest.raises(StudyError, match=message):
        load_encoder(folder, "float32")


def test_decoder_without_its_weights_is_refused_however_it_is_loaded(decoder_folder, changed):
    folder = changed(decoder_folder, unrelated)
    # embeddings, last norm, language-model head, and 9 tensors in each of 2 layers
    message = rf"^models\.decoder\.name: {folder}: the weights lack 21 tensors of LlamaForCausalLM: lm_head\.weight, "
    with pytest.raises(StudyError, match=message):
        check_weights(folder, AutoModelForCausalLM, "decoder")
    with pytest.raises(StudyError, match=message):
        load_decoder(folder, QUANTIZATION)
    with pytest.raises(StudyError, match=message):
        load_unquantized(folder, QUANTIZATION)
    with pytest.raises(StudyError, match=r"lack 20 tensors of LlamaForSequenceClassification: model\.embed_tokens"):
        build_classifier(folder, {"head": "library", "quantization": QUANTIZATION})


def test_fewer_layers_than_the_configuration_has_are_named(encoder_folder, decoder_folder, changed):
    folder = changed(encoder_folder, lambda tensors: tensors, num_hidden_layers=4)
    with pytest.raises(StudyError, match=r"lack 32 tensors of .*: roberta\.encoder\.layer\.2\.attention"):
        check_weights(folder, AutoModelForSequenceClassification, "encoder")
    folder = changed(decoder_folder, lambda tensors: tensors, num_hidden_layers=4)
    with pytest.raises(StudyError, match=r"lack 18 tensors of LlamaForCausalLM: model\.layers\.2\.input_layernorm"):
        check_weights(folder, AutoModelForCausalLM, "decoder")


def test_embedding_that_only_the_language_model_head_holds_does_not_reach_a_classifier(encoder_folder, changed):
    """Tied weights may be in the files under the head's name, but a classifier has no such head to take them from."""
    folder = changed(encoder_folder, renamed(("roberta.embeddings.word_embeddings.", "lm_head.decoder.")))
    check_weights(folder, AutoModelForMaskedLM, "encoder")
    with pytest.raises(StudyError, match=r"lack 1 tensor of .*: roberta\.embeddings\.word_embeddings\.weight; they"):
        check_weights(folder, AutoModelForSequenceClassification, "encoder")


def test_output_embedding_may_be_missing_only_where_it_is_the_input_embedding(decoder_folder, changed):
    folder = changed(decoder_folder, without("lm_head"))
    with pytest.raises(StudyError, match=r"lack 1 tensor of LlamaForCausalLM: lm_head\.weight; "):
        check_weights(folder, AutoModelForCausalLM, "decoder")
    folder = changed(decoder_folder, without("lm_head"), tie_word_embeddings=True)
    check_weights(folder, AutoModelForCausalLM, "decoder")
    folder = changed(decoder_folder, without("embed_tokens"), tie_word_embeddings=True)
    check_weights(folder, AutoModelForCausalLM, "decoder")
    assert (
        load_unquantized(folder, QUANTIZATION)
        .get_input_embeddings()
        .weight.equal(load_file(folder / FILE)["lm_head.weight"].to(getattr(torch, QUANTIZATION["compute_dtype"])))
    )


def test_masked_language_model_needs_its_head_but_no_bias_of_its_logits(encoder_folder, changed):
    check_weights(changed(encoder_folder, without("lm_head.bias")), AutoModelForMaskedLM, "encoder")
    folder = changed(encoder_folder, without("lm_head"))
    check_weights(folder, AutoModelForSequenceClassification, "encoder")
    with pytest.raises(StudyError, match=r"lack 4 tensors of RobertaForMaskedLM: lm_head\.dense\.bias, "):
        check_weights(folder, AutoModelForMaskedLM, "encoder")


def test_other_shapes_are_named_with_both(encoder_folder, decoder_folder, changed):
    def shorter(tensors):
        name = "roberta.embeddings.position_embeddings.weight"
        return {**tensors, name: tensors[name][:100].contiguous()}

    message = (
        r"^models\.encoder\.name: .*: 1 tensor with another shape than the model's: "
        r"roberta\.embeddings\.position_embeddings\.weight \(100x32 in the files, 130x32 in the model\)\. Give a folder"
    )
    with pytest.raises(StudyError, match=message):
        check_weights(changed(encoder_folder, shorter), AutoModelForSequenceClassification, "encoder")
    with pytest.raises(StudyError, match=r"^models\.decoder\.name: .*: 6 tensors .*gate_proj\.weight \(128x64 in"):
        check_weights(
            changed(decoder_folder, lambda tensors: tensors, intermediate_size=256), AutoModelForCausalLM, "decoder"
        )


def test_classifier_of_another_task_is_refused_and_one_of_three_classes_is_not(encoder_folder, changed):
    def classifier(classes):
        return lambda tensors: {
            **tensors,
            "classifier.dense.weight": torch.zeros(32, 32),
            "classifier.out_proj.weight": torch.zeros(classes, 32),
        }

    check_weights(changed(encoder_folder, classifier(3)), AutoModelForSequenceClassification, "encoder")
    with pytest.raises(StudyError, match=r"out_proj\.weight \(2x32 .*classifier, if it has one, has 3 classes"):
        check_weights(changed(encoder_folder, classifier(2)), AutoModelForSequenceClassification, "encoder")


def test_names_that_the_loader_translates_raise_no_alarm(encoder_folder, decoder_folder, changed):
    """Old names of layer norms, a base model saved by itself, and a base model's names without the prefix."""
    old = renamed(("LayerNorm.weight", "LayerNorm.gamma"), ("LayerNorm.bias", "LayerNorm.beta"))
    check_weights(changed(encoder_folder, old), AutoModelForSequenceClassification, "encoder")
    bare = renamed(("roberta.", ""))
    check_weights(changed(encoder_folder, bare), AutoModelForSequenceClassification, "encoder")
    bare = renamed(("model.", ""))
    check_weights(changed(decoder_folder, bare), AutoModelForCausalLM, "decoder")


def test_shards_are_read_through_their_index(decoder_folder, tmp_path):
    AutoModelForCausalLM.from_pretrained(decoder_folder).save_pretrained(tmp_path, max_shard_size="100KB")
    shards = sorted(tmp_path.glob("model-*.safetensors"))
    assert len(shards) > 2
    check_weights(tmp_path, AutoModelForCausalLM, "decoder")
    shards[-1].rename(tmp_path / "away")
    with pytest.raises(StudyError, match=rf"index\.json names {shards[-1].name}, which is missing"):
        check_weights(tmp_path, AutoModelForCausalLM, "decoder")


def test_half_a_file_is_named(decoder_folder, tmp_path):
    shutil.copytree(decoder_folder, tmp_path / "model")
    whole = (tmp_path / "model" / FILE).read_bytes()
    (tmp_path / "model" / FILE).write_bytes(whole[: len(whole) // 2])
    with pytest.raises(StudyError, match=rf"^models\.decoder\.name: .*: {FILE} is not a complete safetensors file"):
        check_weights(tmp_path / "model", AutoModelForCausalLM, "decoder")


def test_check_is_silent_and_leaves_the_loaders_voice_as_it_was(encoder_folder, changed, capfd):
    logging = transformers.utils.logging
    before = logging.get_verbosity(), logging.is_progress_bar_enabled()
    check_weights(encoder_folder, AutoModelForSequenceClassification, "encoder")
    with pytest.raises(StudyError):
        check_weights(changed(encoder_folder, unrelated), AutoModelForSequenceClassification, "encoder")
    assert "LOAD REPORT" not in "".join(capfd.readouterr())
    assert (logging.get_verbosity(), logging.is_progress_bar_enabled()) == before
