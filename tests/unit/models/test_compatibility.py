"""Every script with a model refuses an unsuitable one before it reads a weight or a row."""

import json
import runpy
import sys

import pytest
from conftest import ROOT

from nli.study.resolve import load_study
from nli.study.specs import prediction_spec, training_spec

TRAINING = ["--train", "none", "--checkpoints", "none", "--output-dir", "none", "--history", "none", "--record", "none"]
PREDICTION = ["--split", "matched=none", "--predictions", "none", "--run", "none"]
TARGETS = "lora.target_modules): 'up' is not a layer of {model}; it has "
LENGTH = "tokenization.max_length): 9999 tokens are more than the "
BEGINNING = "begin with the same token"
NO_WEIGHTS = "no safetensors files"
SCRIPTS = [  # script, experiment, further arguments, what is unsuitable, the error's words
    ("finetune_roberta", "roberta/lora", [*TRAINING, "--validation", "none"], "targets", TARGETS),
    ("predict_roberta", "roberta/full", [*PREDICTION, "--trained", "none", "--record", "none"], "length", LENGTH),
    ("finetune_qlora", "qlora/attempt1", [*TRAINING, "--samples", "none"], "targets", TARGETS),
    ("predict_qlora", "qlora/attempt2", [*PREDICTION, "--record", "none"], "words", BEGINNING),
    ("predict_icl", "icl/prompt2", PREDICTION, "words", BEGINNING),
    ("finetune_linear_head", "linear_head/last_token", TRAINING, "length", LENGTH),
    (
        "predict_linear_head",
        "linear_head/last_token",
        [*PREDICTION, "--trained", "none", "--record", "none"],
        "targets",
        TARGETS,
    ),
    ("finetune_roberta", "roberta/full", [*TRAINING, "--validation", "none"], "weights", NO_WEIGHTS),
    ("finetune_qlora", "qlora/attempt1", [*TRAINING, "--samples", "none"], "weights", NO_WEIGHTS),
    ("finetune_linear_head", "linear_head/last_token", TRAINING, "weights", NO_WEIGHTS),
]


def unsuited(spec, what):
    """The spec with one value that suits no tiny model of the tests."""
    if what == "weights":
        return spec  # the folder has none
    if what == "targets":
        return {**spec, "lora": {**spec["lora"], "target_modules": ["up"]}}
    if what == "length":
        return {**spec, "tokenization": {**spec["tokenization"], "max_length": 9999}}
    if spec["family"] == "icl":
        answers = {"Maybe": "entailment", "Maybe so": "neutral", "No": "contradiction"}
        return {**spec, "prompt": {**spec["prompt"], "answers": answers}}
    return {**spec, "label_words": {**spec["label_words"], "neutral": "Entailment too"}}


@pytest.mark.parametrize(("script", "key", "arguments", "what", "words"), SCRIPTS)
def test_script_stops_before_it_reads_weights_or_rows(
    config, request, tmp_path, monkeypatch, capsys, script, key, arguments, what, words
):
    study = load_study({**config, "scale": "paper"})
    resolve = training_spec if script.startswith("finetune") else prediction_spec
    spec = unsuited(json.loads(json.dumps(resolve(study, key))), what)
    (tmp_path / "spec.json").write_text(json.dumps(spec))
    encoder = spec["family"] == "roberta"
    folder = request.getfixturevalue("encoder_folder" if encoder else "decoder_folder")
    model = tmp_path / "model"
    model.mkdir()
    for file in ("config.json", "tokenizer.json", "tokenizer_config.json"):  # no weights
        (model / file).write_bytes((folder / file).read_bytes())
    common = ["--spec", str(tmp_path / "spec.json"), "--model", str(model), "--seed", "1"]
    base = ["--base", "models/base"] if script in ("finetune_roberta", "finetune_qlora") else []
    monkeypatch.setattr(sys, "argv", [script, *common, *base, *arguments])
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(str(ROOT / "scripts" / f"{script}.py"), run_name="__main__")
    assert ended.value.code == 1
    kind = "RobertaForSequenceClassification" if encoder else "LlamaForCausalLM"
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
    assert len(lines) == 1
    assert words.format(model=kind) in lines[0]
    if what == "weights":
        assert lines[0].startswith(f"error: models.{'encoder' if encoder else 'decoder'}.name: ")
    else:
        assert spec["family"] in lines[0] or "prompts.prompt2.answers: " in lines[0]
