"""Trained models are folders that anyone loads, by what a run's card says, without the study's own code."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from transformers import DataCollatorWithPadding
from unit.specs import CLOZE, QLORA_SPEC, QUANTIZATION, TOKENIZATION, encoder_spec

from nli import runtime
from nli.models.decoder import add_adapter, load_decoder
from nli.models.encoder import build_encoder, load_tokenizer, tokenize_pairs
from nli.models.export import export_adapter, export_encoder
from nli.models.training import core, load_trained, save_trained
from nli.reporting.card import run_card

KINDS = {
    "full": encoder_spec("full"),
    "head_only": encoder_spec("head_only"),
    "bitfit": encoder_spec("bitfit"),
    "lora": encoder_spec("lora"),
    "ia3": encoder_spec("ia3"),
    "prompt_tuning": encoder_spec("prompt_tuning", trainable="word_embeddings"),
    "prompt_tuning_repaired": encoder_spec("prompt_tuning", pooling="sentence_start"),
    "p_tuning": encoder_spec("p_tuning"),
    "prefix_tuning": encoder_spec("prefix_tuning"),
    "cloze": encoder_spec("cloze", cloze=CLOZE),
}
# Run after a card's own lines, which leave `tokenizer` and `model`: the logits of the texts of a file.
ASK = """
import json, sys, torch
texts = json.load(open(sys.argv[1]))
with torch.no_grad():
    logits = model(**tokenizer(*texts, padding=True, return_tensors="pt")).logits
json.dump(logits.tolist(), open(sys.argv[2], "w"))
"""


def moved(model):
    """The model with every trainable parameter somewhere else than at its start."""
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.add_(0.05 * torch.randn(parameter.shape))
    return model.eval()


def record(family, spec, base):
    return {
        "family": family,
        "name": spec.get("name", "attempt1"),
        "seed": 3,
        "scale": "demo",
        "spec": spec,
        "base": {"name": str(base), "revision": None},
        "model": {"id": "encoder", "revision": None, "sha256": "ab" * 32},
        "data": {"source": "hub nyu-mll/multi_nli", "revision": "0" * 40, "sha256": {}},
        "parameters": {"trainable": 1234},
        "git_commit": "c" * 40,
    }


def code_of(card: str, folder: Path) -> str:
    """The Python of a card, with its folder for FOLDER."""
    code = card.partition("```python\n")[2].partition("```")[0]
    return code.replace(f'FOLDER = "{folder.name}"', f"FOLDER = {str(folder)!r}")


@pytest.fixture(scope="module")
def exported(encoder_folder, rows, tmp_path_factory):
    """For every kind: its logits of six pairs here, and those of its card's lines in a fresh process."""
    top = tmp_path_factory.mktemp("exported")
    texts = [rows["premise"].head(6).tolist(), rows["hypothesis"].head(6).tolist()]
    (top / "texts.json").write_text(json.dumps(texts))
    tokenizer, found, program = load_tokenizer(encoder_folder), {}, []
    for kind, spec in KINDS.items():
        runtime.start(3, threads=1)
        model = moved(build_encoder(encoder_folder, spec))
        folder = top / kind / "model"
        save_trained(model, folder)
        export_encoder(model, tokenizer, folder, str(encoder_folder))
        (top / kind / "README.md").write_text(run_card(record("roberta", spec, encoder_folder), {}))
        with torch.no_grad():
            found[kind] = core(model)(**tokenizer(*texts, padding=True, return_tensors="pt")).logits
        loading = code_of((folder / "README.md").read_text(), folder)
        ask = ASK.replace("sys.argv[1]", repr(str(top / "texts.json")))
        program.append(f"{loading}\n{ask.replace('sys.argv[2]', repr(str(top / kind / 'logits.json')))}")
    (top / "load.py").write_text("\n".join(program))
    done = subprocess.run([sys.executable, top / "load.py"], cwd=top, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    loaded = {kind: torch.tensor(json.loads((top / kind / "logits.json").read_text())) for kind in found}
    return top, {kind: (found[kind], loaded[kind]) for kind in found}


@pytest.mark.parametrize("kind", KINDS)
def test_card_loads_the_model_that_was_trained_and_no_other(exported, kind):
    here, there = exported[1][kind]
    assert torch.allclose(here, there, atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_study_itself_takes_the_trained_tensors_out_of_the_exported_folder(exported, encoder_folder, rows, kind):
    runtime.start(5, threads=1)
    model = build_encoder(encoder_folder, KINDS[kind])
    load_trained(model, exported[0] / kind / "model")
    inputs = load_tokenizer(encoder_folder)(
        rows["premise"].head(6).tolist(), rows["hypothesis"].head(6).tolist(), padding=True, return_tensors="pt"
    )
    with torch.no_grad():
        assert torch.equal(core(model.eval())(**inputs).logits, exported[1][kind][0])


def test_card_has_the_hubs_front_matter_and_the_scores_with_their_intervals(encoder_folder):
    scores = {"n": 9815, "accuracy": 0.8775, "clustered_interval": [0.87, 0.885]}
    run = record("roberta", KINDS["lora"], "distilbert/distilroberta-base")
    run["base"]["revision"] = "f" * 40
    card = run_card(run, {"matched": {"classifier": scores}}, licence="mit")
    front = card.partition("---\n")[2].partition("---\n")[0]
    assert "base_model: distilbert/distilroberta-base\n" in front
    assert "license: mit\n" in front
    assert "- nyu-mll/multi_nli\n" in front
    assert "| matched | classifier | 9,815 | 87.75 | 87.0 to 88.5 |" in card
    assert f'from_pretrained("distilbert/distilroberta-base", revision="{"f" * 40}"' in card
    assert f"`{'c' * 40}`" in card


PROMPTED = {**record("icl", {"name": "prompt1"}, "x"), "base": None, "parameters": {"trainable": 0}}
HEAD_ALONE = {**record("linear_head", {"name": "last_token"}, "x"), "base": None}
MERGED = record("qlora", {"name": "attempt2_merged", "method": "merge", "adapter": "qlora/attempt2"}, "x")


@pytest.mark.parametrize(
    ("run", "said"),
    [
        (PROMPTED, "No parameter of a model was trained."),
        (HEAD_ALONE, "Method: `linear_head`, with 1,234 trained parameters."),
        (MERGED, "It answers with the adapter of `qlora/attempt2`."),
    ],
)
def test_card_of_a_run_without_a_model_of_its_own_has_none_to_load_and_says_what_answered(run, said):
    card = run_card(run, {}, licence="mit")
    assert said in card
    assert "```python" not in card
    assert not card.startswith("---")


def test_card_of_a_decoder_loads_its_adapter(decoder_folder, tmp_path):
    """Loaded on the base before its quantization: the adapter's own tensors are the ones that were trained."""
    runtime.start(3, threads=1)
    model = moved(add_adapter(load_decoder(decoder_folder, QUANTIZATION), QLORA_SPEC))
    folder = tmp_path / "adapter"
    export_adapter(model, folder, str(decoder_folder))
    assert (folder / "README.md").is_symlink()
    card = run_card(record("qlora", QLORA_SPEC, decoder_folder), {})
    loaded: dict = {}
    exec(code_of(card, folder), loaded)
    found = {name: tensor for name, tensor in loaded["model"].named_parameters() if "lora_" in name}
    trained = {name: tensor for name, tensor in model.named_parameters() if "lora_" in name}
    assert found.keys() == trained.keys()
    assert all(torch.equal(found[name], trained[name]) for name in trained)


def test_adapter_of_a_decoder_names_its_base_as_the_config_does(decoder_folder, tmp_path):
    runtime.start(3, threads=1)
    model = add_adapter(load_decoder(decoder_folder, QUANTIZATION), QLORA_SPEC)
    export_adapter(model, tmp_path / "adapter", "HuggingFaceTB/SmolLM2-135M", "9" * 40)
    config = json.loads((tmp_path / "adapter/adapter_config.json").read_text())
    assert (config["base_model_name_or_path"], config["revision"]) == ("HuggingFaceTB/SmolLM2-135M", "9" * 40)
    assert config["target_modules"] == sorted(QLORA_SPEC["lora"]["target_modules"])  # the same file in every process


def test_tokenised_pairs_are_those_that_the_card_s_tokenizer_makes(exported, encoder_folder, rows):
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(exported[0] / "lora/model")
    own = tokenize_pairs(rows.head(6), load_tokenizer(encoder_folder), TOKENIZATION)
    batch = DataCollatorWithPadding(load_tokenizer(encoder_folder))([own[i] for i in range(6)])
    pairs = rows["premise"].head(6).tolist(), rows["hypothesis"].head(6).tolist()
    assert torch.equal(tokenizer(*pairs, padding=True, return_tensors="pt")["input_ids"], batch["input_ids"])
