"""A model's folder may name code of its own: it is never run, and nobody is asked whether it should."""

import builtins
import json
import shutil

import pytest
from conftest import ROOT
from unit.specs import QUANTIZATION

from nli.base.errors import StudyError
from nli.models import decoder, encoder
from nli.models.architecture import load_config

NAMED = dict.fromkeys(("AutoConfig", "AutoModelForCausalLM", "AutoModelForSequenceClassification"), "own.Model")
OWN_TOKENIZER = {"auto_map": {"AutoTokenizer": ["own.Model", "own.Model"]}, "tokenizer_class": "Own"}
ROLES = {"encoder": encoder, "decoder": decoder}


def load(role, folder):
    load_config(folder, role)
    ROLES[role].load_tokenizer(folder)
    if role == "encoder":
        return encoder.load_encoder(folder, "float32")
    return decoder.load_decoder(folder, QUANTIZATION)


@pytest.fixture(params=ROLES)
def model(request, tmp_path, monkeypatch):
    """(role, folder, change) of a copy of a shipped model; asking a question or running the folder's code fails."""
    monkeypatch.setattr(builtins, "input", lambda *_: pytest.fail("asked"))
    monkeypatch.setattr("signal.alarm", lambda *_: pytest.fail("about to ask"))
    folder = shutil.copytree(ROOT / "models" / request.param, tmp_path / "model", copy_function=shutil.copyfile)
    (folder / "own.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\nclass Model: pass\n")

    def change(name, **values):
        path = folder / name
        path.write_text(json.dumps({**json.loads(path.read_text()), **values}))

    yield request.param, folder, change
    assert not (tmp_path / "ran").exists()


def test_known_architecture_loads_without_the_code_that_its_folder_names(model):
    role, folder, change = model
    change("config.json", auto_map=NAMED)
    assert load(role, folder).config.model_type == {"encoder": "roberta", "decoder": "llama"}[role]


def test_architecture_of_its_own_is_refused_without_a_question(model):
    role, folder, change = model
    change("config.json", auto_map=NAMED, model_type="own")
    with pytest.raises(StudyError, match=rf"^models\.{role}\.name: .* without the model's own code"):
        load_config(folder, role)


@pytest.mark.parametrize("model", ["decoder"], indirect=True)
def test_tokenizer_that_needs_its_own_code_is_refused(model):
    role, folder, change = model
    change("tokenizer_config.json", **OWN_TOKENIZER)
    with pytest.raises(StudyError, match=r"^models\.decoder\.name: [^\n]+ without the model's own code"):
        load(role, folder)


@pytest.mark.parametrize("model", ["encoder"], indirect=True)
def test_tokenizer_that_transformers_knows_is_its_own(model):
    role, folder, change = model
    change("tokenizer_config.json", **OWN_TOKENIZER)
    load(role, folder)
    assert type(encoder.load_tokenizer(folder)).__module__.startswith("transformers.")


@pytest.mark.parametrize("name", ["config.json", "tokenizer_config.json"])
def test_list_where_a_record_should_be_is_one_line(model, name):
    role, folder, _ = model
    (folder / name).write_text("[]")
    with pytest.raises(StudyError, match=rf"^models\.{role}\.name: [^\n]+$"):
        load(role, folder)
