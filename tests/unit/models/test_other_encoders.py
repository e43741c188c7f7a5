"""Encoders other than RoBERTa: tiny random ones of each family, with every method."""

import re

import pytest
import torch
import transformers
from conftest import train_tokenizer
from safetensors.torch import load_file, save_file
from transformers import (
    AutoModelForSequenceClassification,
    DataCollatorWithPadding,
    TrainingArguments,
)
from unit.specs import TOKENIZATION, TRAINING, encoder_spec, trainable

from nli import runtime
from nli.answering.classify import classify
from nli.base.errors import StudyError
from nli.jobs.records import layer_rows
from nli.models.architecture import load_skeleton, max_positions
from nli.models.base_weights import check_weights
from nli.models.compatibility import check_decoder, check_encoder
from nli.models.encoder import build_encoder, load_tokenizer, prepare_encoder, tokenize_pairs
from nli.models.training import StudyTrainer, load_trained, run_training, save_trained, training_arguments

BERT_SPECIALS = {
    "cls_token": "[CLS]",
    "pad_token": "[PAD]",
    "sep_token": "[SEP]",
    "unk_token": "[UNK]",
    "mask_token": "[MASK]",
}
SMALL = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}
ENCODERS = {  # name -> (class of the config, its values)
    "bert": ("BertConfig", {**SMALL, "max_position_embeddings": 64}),
    "distilbert": (
        "DistilBertConfig",
        {"dim": 32, "n_layers": 2, "n_heads": 2, "hidden_dim": 64, "max_position_embeddings": 64},
    ),
    "electra": ("ElectraConfig", {**SMALL, "embedding_size": 16, "max_position_embeddings": 64}),
    "deberta": (
        "DebertaV2Config",
        {
            **SMALL,
            "max_position_embeddings": 64,
            "relative_attention": True,
            "position_biased_input": False,
            "pos_att_type": ["p2c", "c2p"],
            "norm_rel_ebd": "layer_norm",
            "position_buckets": 16,
            "share_att_key": True,
            "type_vocab_size": 0,
        },
    ),
    "xlm_roberta": ("XLMRobertaConfig", {**SMALL, "max_position_embeddings": 66, "type_vocab_size": 1}),
    "modernbert": ("ModernBertConfig", {**SMALL, "max_position_embeddings": 64, "classifier_pooling": "cls"}),
}
HEADS = {  # the modules above the encoder
    "bert": {"pooler", "classifier"},
    "distilbert": {"pre_classifier", "classifier"},
    "electra": {"classifier"},
    "deberta": {"pooler", "classifier"},
    "xlm_roberta": {"classifier"},
    "modernbert": {"head", "classifier"},
}
FIRST_OF_HEAD = {  # its first linear layer
    "bert": "pooler.dense",
    "distilbert": "pre_classifier",
    "electra": "classifier.dense",
    "deberta": "pooler.dense",
    "xlm_roberta": "classifier.dense",
    "modernbert": "head.dense",
}
TOP_LAYER = {
    "bert": "bert.encoder.layer.1.",
    "distilbert": "distilbert.transformer.layer.1.",
    "electra": "electra.encoder.layer.1.",
    "deberta": "deberta.encoder.layer.1.",
    "xlm_roberta": "roberta.encoder.layer.1.",
    "modernbert": "model.layers.1.",
}
FACTORS = {  # PEFT has a default for BERT's and DeBERTa's names
    "distilbert": (["k_lin", "v_lin", "lin2"], ["lin2"]),
    "electra": (["key", "value", "output.dense"], ["output.dense"]),
    "xlm_roberta": (["key", "value", "output.dense"], ["output.dense"]),
    "modernbert": (["Wqkv", "mlp.Wo"], ["mlp.Wo"]),
}
TARGETS = {"distilbert": ["q_lin", "v_lin"], "modernbert": ["Wqkv"]}  # PEFT has a default for the others
METHODS = [
    ("full", {}),
    ("head_only", {}),
    ("top_layers", {}),
    ("lora", {}),
    ("lora", {"variant": "dora"}),
    ("ia3", {}),
    ("bitfit", {}),
    ("prompt_tuning", {}),
    ("prompt_tuning", {"pooling": "sentence_start"}),
    ("prompt_tuning", {"trainable": "word_embeddings"}),
]
CASES = [(name, *case) for name in ENCODERS for case in METHODS if (name, case[0]) != ("modernbert", "bitfit")]
NO_GRADIENT = r"(key|key_proj|k_lin)\.bias$"  # softmax ignores it, so only rounding gives a gradient


@pytest.fixture(scope="module")
def encoders(tmp_path_factory):
    """name -> folder of a tiny masked language model with random weights."""
    folders = {}
    for name, (config_class, values) in ENCODERS.items():
        folders[name] = tmp_path_factory.mktemp(name)
        specials = list(BERT_SPECIALS.values())
        roles = {**BERT_SPECIALS, "model_input_names": ["input_ids", "token_type_ids", "attention_mask"]}
        tokenizer = train_tokenizer(specials, "[CLS] $A [SEP]", "[CLS] $A [SEP] $B:1 [SEP]:1", roles)
        ids = {f"{role}_id": tokenizer.convert_tokens_to_ids(token) for role, token in BERT_SPECIALS.items()}
        config = getattr(transformers, config_class)(vocab_size=len(tokenizer), **ids, **values)
        torch.manual_seed(0)
        transformers.AutoModelForMaskedLM.from_config(config).save_pretrained(folders[name])
        tokenizer.save_pretrained(folders[name])
    return folders


def spec_for(name, method, **changes):
    lora = {"r": 2, "alpha": 4, "dropout": 0.0, "bias": "none", "target_modules": TARGETS.get(name)}
    lora["variant"] = changes.pop("variant", "lora")
    ia3 = dict(zip(("target_modules", "feedforward_modules"), FACTORS.get(name, (None, None)), strict=True))
    return encoder_spec(method, family="roberta", tokenization=TOKENIZATION, **{"lora": lora, "ia3": ia3, **changes})


def belongs_to_head(tensor, name):
    return any(re.search(rf"(^|\.){module}\.", tensor) for module in HEADS[name])


@pytest.mark.parametrize(("name", "method", "changes"), CASES)
def test_encoder_trains_by_every_method(encoders, rows, tmp_path, name, method, changes):
    """What should train is trainable, gets a gradient, and is loaded by the prediction job."""
    spec = spec_for(name, method, **changes)
    check_encoder(encoders[name], spec)
    runtime.start(0, threads=1)
    tokenizer = load_tokenizer(encoders[name])
    dataset = tokenize_pairs(rows.head(16), tokenizer, TOKENIZATION)
    model = build_encoder(encoders[name], spec)
    arguments = training_arguments({**TRAINING, "epochs": None, "max_steps": 2}, tmp_path / "checkpoints", 0)
    trainer = StudyTrainer(
        model=model,
        args=TrainingArguments(**arguments),
        train_dataset=dataset,
        data_collator=DataCollatorWithPadding(tokenizer),
    )
    _, audit = run_training(trainer, tmp_path / "checkpoints")

    names = trainable(model)
    assert {n for n in names - audit.names if not re.search(NO_GRADIENT, n)} == set()
    if method == "full":
        assert names == {n for n, _ in model.named_parameters()}
    elif changes.get("trainable") == "word_embeddings":
        assert len(names) == 1
        assert re.search(r"embeddings\.(word|tok)_embeddings\.weight$", next(iter(names)))
    else:
        own = {"head_only": "$^", "top_layers": TOP_LAYER[name], "lora": "lora_", "prompt_tuning": "prompt_encoder"}
        own |= {"ia3": "ia3_", "bitfit": "bias$"}
        rest = {n for n in names if not belongs_to_head(n, name)}
        assert all(any(re.search(rf"(^|\.){module}\.", n) for n in names) for module in HEADS[name])
        assert all(re.search(own[method], n) for n in rest)
        assert bool(rest) == (method != "head_only")

    expected = classify(model, dataset, DataCollatorWithPadding(tokenizer), 4)
    save_trained(model, tmp_path / "trained")
    runtime.start(1, threads=1)
    again = build_encoder(encoders[name], spec)
    load_trained(again, tmp_path / "trained")
    assert (classify(again, dataset, DataCollatorWithPadding(tokenizer), 4) == expected).all()


def test_encoder_without_biases_is_refused_bitfit_before_its_weights_are_read(encoders):
    with pytest.raises(StudyError, match="'bitfit' trains biases, ModernBertForSequenceClassification has none"):
        check_encoder(encoders["modernbert"], spec_for("modernbert", "bitfit"))


@pytest.mark.parametrize("name", ENCODERS)
def test_sentence_start_pools_the_first_real_token_of_any_encoder(encoders, rows, name):
    seen, states = {}, {}
    tokenizer = load_tokenizer(encoders[name])
    dataset = tokenize_pairs(rows.head(6), tokenizer, TOKENIZATION)
    inputs = DataCollatorWithPadding(tokenizer)([dataset[i] for i in range(6)])
    for pooling in ("first", "sentence_start"):
        torch.manual_seed(0)
        model = build_encoder(encoders[name], spec_for(name, "prompt_tuning", pooling=pooling)).eval()
        module, _, layer = FIRST_OF_HEAD[name].partition(".")
        head = next(m for n, m in model.named_modules() if re.search(rf"(^|\.){module}\.modules_to_save\.default$", n))
        (getattr(head, layer) if layer else head).register_forward_pre_hook(
            lambda module, args, kept=pooling: seen.update({kept: args[0]})
        )
        model.base_model.base_model.register_forward_hook(
            lambda module, args, output, kept=pooling: states.update({kept: output[0]})
        )
        model(**inputs)
    assert states["first"].shape[1] == inputs["input_ids"].shape[1] + 5
    for pooling, place in (("first", 0), ("sentence_start", 5)):
        found = seen[pooling][:, 0] if seen[pooling].ndim == 3 else seen[pooling]
        assert torch.equal(found, states["first"][:, place])


@pytest.mark.parametrize(("name", "method", "changes"), CASES)
def test_encoder_without_data_is_prepared_as_one_with_data(encoders, name, method, changes):
    spec = spec_for(name, method, **changes)
    skeleton = load_skeleton(encoders[name], AutoModelForSequenceClassification, "encoder")
    assert trainable(prepare_encoder(skeleton, spec)) == trainable(build_encoder(encoders[name], spec))


@pytest.mark.parametrize("name", ENCODERS)
def test_encoder_is_whole_without_a_head_and_not_without_its_embeddings(encoders, tmp_path, name):
    for auto_class in (AutoModelForSequenceClassification, transformers.AutoModelForMaskedLM):
        check_weights(encoders[name], auto_class, "encoder")
    tensors = load_file(encoders[name] / "model.safetensors")
    kept = {key: tensor for key, tensor in tensors.items() if not re.search(r"(word|tok)_embeddings\.weight$", key)}
    save_file(kept, tmp_path / "model.safetensors", metadata={"format": "pt"})
    (tmp_path / "config.json").write_bytes((encoders[name] / "config.json").read_bytes())
    with pytest.raises(StudyError, match=r"lack 1 tensor of \w+ForSequenceClassification: .*_embeddings\.weight; "):
        check_weights(tmp_path, AutoModelForSequenceClassification, "encoder")


def test_check_leaves_the_random_generator_alone(encoders):
    state = torch.random.get_rng_state()
    check_encoder(encoders["bert"], spec_for("bert", "lora"))
    assert torch.equal(torch.random.get_rng_state(), state)


def test_token_types_reach_the_models_that_have_them_only(encoders, rows):
    given = {
        name: "token_type_ids" in tokenize_pairs(rows, load_tokenizer(folder), TOKENIZATION).column_names
        for name, folder in encoders.items()
    }
    assert given == {
        "bert": True,
        "distilbert": False,
        "electra": True,
        "deberta": False,
        "xlm_roberta": False,
        "modernbert": False,
    }


def test_layer_rows_count_the_trained_copy_of_the_head_once(encoders):
    for name, weights in (("bert", 32 * 32 + 32), ("distilbert", 32 * 32 + 32), ("modernbert", 32 * 32)):
        for method in ("full", "lora"):
            found = {row["name"]: row for row in layer_rows(build_encoder(encoders[name], spec_for(name, method)))}
            assert found["classifier_dense"]["parameters"] == weights
            assert found["classifier_out_proj"]["parameters"] == 32 * 3 + 3
            assert found["classifier_out_proj"]["trainable"] == 32 * 3 + 3


@pytest.mark.parametrize(
    ("name", "positions"),
    [("bert", 64), ("distilbert", 64), ("xlm_roberta", 66 - 2), ("modernbert", 64), ("deberta", None)],
)
def test_positions_are_counted_behind_the_padding_tokens_own(encoders, name, positions):
    skeleton = load_skeleton(encoders[name], AutoModelForSequenceClassification, "encoder")
    assert max_positions(skeleton) == positions


def test_text_longer_than_the_model_is_refused_with_the_key_and_the_limit(encoders):
    spec = spec_for("bert", "prompt_tuning")
    message = (
        r"^families\.roberta\.tokenization\.max_length .*60 tokens and 5 virtual tokens .* the 64 positions of BertFor"
    )
    with pytest.raises(StudyError, match=message + r".*; take at most 59$"):
        check_encoder(encoders["bert"], {**spec, "tokenization": {"max_length": 60, "padding": "longest"}})
    check_encoder(encoders["bert"], {**spec, "tokenization": {"max_length": 59, "padding": "longest"}})
    check_encoder(encoders["deberta"], {**spec, "tokenization": {"max_length": 500, "padding": "longest"}})


def test_limit_is_the_length_that_still_runs(encoders, rows):
    """XLM-R's table of 66 positions has room for 59 tokens after 5 virtual ones, and not 60."""
    model = build_encoder(encoders["xlm_roberta"], spec_for("xlm_roberta", "prompt_tuning")).eval()
    model(input_ids=torch.full((1, 59), 7), attention_mask=torch.ones(1, 59))
    with pytest.raises((IndexError, RuntimeError)):
        model(input_ids=torch.full((1, 60), 7), attention_mask=torch.ones(1, 60))


def test_missing_lora_default_names_the_key_and_the_layers(encoders):
    lora = {**spec_for("bert", "lora")["lora"], "target_modules": None}
    message = (
        r"^families\.roberta\.lora\.target_modules \(or experiments\.roberta/lora\.lora\.target_modules\): PEFT has "
        r"no default for DistilBertForSequenceClassification; name its layers: it has q_lin, k_lin, v_lin, out_lin, "
        r"lin1, lin2$"
    )
    with pytest.raises(StudyError, match=message):
        check_encoder(encoders["distilbert"], spec_for("distilbert", "lora", lora=lora))


def test_mean_pooling_cannot_read_the_sentence_start(encoders, tmp_path):
    config = transformers.AutoConfig.from_pretrained(encoders["modernbert"], classifier_pooling="mean")
    config.save_pretrained(tmp_path)
    with pytest.raises(
        StudyError, match=r"prompt_tuning\.pooling: 'sentence_start' .* reads the mean of all; use 'first'"
    ):
        check_encoder(tmp_path, spec_for("modernbert", "prompt_tuning", pooling="sentence_start"))


def test_encoder_that_shares_one_layer_has_no_top_layers(tmp_path):
    transformers.AlbertConfig(vocab_size=50, embedding_size=8, **SMALL).save_pretrained(tmp_path)
    with pytest.raises(StudyError, match=r"experiments\.roberta/top_layers\.method: .* AlbertFor\w+ has none"):
        check_encoder(tmp_path, spec_for("albert", "top_layers"))


def test_encoder_without_a_token_to_pad_with_names_the_key(encoders, tmp_path):
    train_tokenizer(["[UNK]"], "$A", "$A $B", {"unk_token": "[UNK]"}).save_pretrained(tmp_path)
    transformers.AutoConfig.from_pretrained(encoders["bert"]).save_pretrained(tmp_path)
    with pytest.raises(StudyError, match=r"^models\.encoder\.name: .* no padding, separator or end token"):
        load_tokenizer(tmp_path)
    train_tokenizer(["[SEP]"], "$A", "$A $B", {"sep_token": "[SEP]"}).save_pretrained(tmp_path)
    assert load_tokenizer(tmp_path).pad_token == "[SEP]"


def test_model_that_cannot_classify_names_the_key(tmp_path):
    transformers.ViTConfig().save_pretrained(tmp_path)
    with pytest.raises(StudyError, match=r"^models\.encoder\.name: .* no sequence classifier of the type 'vit'"):
        check_encoder(tmp_path, spec_for("vit", "full"))
    (tmp_path / "config.json").write_text('{"model_type": "of_its_own"}')
    with pytest.raises(StudyError, match=r"^models\.decoder\.name: .* without the model's own code"):
        check_decoder(tmp_path, None, {})
