"""Which files belong to a model, and a model in a user's folder."""

import hashlib
import json
import os
import shutil
import subprocess
import sys

import pytest

from nli.base.errors import StudyError
from nli.base.files import model_source
from nli.hub.model_files import broken_links, choose_files, link_user_model, user_files


@pytest.fixture
def folder(encoder_folder, tmp_path):
    """A user's model, as saved by save_pretrained, next to files that no job needs."""
    own = tmp_path / "own"
    shutil.copytree(encoder_folder, own)
    (own / "source.json").unlink()
    (own / "optimizer.pt").write_bytes(b"pickle")
    (own / "modeling_own.py").write_text("import os")
    (own / "checkpoint-5").mkdir()
    return own


def test_only_standard_weights_texts_and_vocabularies_are_chosen_the_small_ones_first():
    names = ["model.safetensors", "model.fp16.safetensors", "consolidated.safetensors", "config.json", "a/config.json"]
    names += ["spm.model", "merges.txt", "pytorch_model.bin", "modeling_x.py", "README.md", "chat_template.jinja"]
    assert choose_files(names, "x") == [
        "chat_template.jinja",
        "config.json",
        "merges.txt",
        "spm.model",
        "model.safetensors",
    ]


def test_users_model_is_linked_hashed_and_loads(folder, tmp_path):
    from transformers import AutoModelForMaskedLM, AutoTokenizer

    link_user_model(str(folder), tmp_path / "linked")
    links = {path.name for path in (tmp_path / "linked").iterdir() if path.is_symlink()}
    assert links == {"config.json", "tokenizer.json", "tokenizer_config.json", "model.safetensors"}
    source = json.loads((tmp_path / "linked/source.json").read_text())
    digest = hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()
    assert source["id"] == "own"  # not a path
    assert source["files"]["model.safetensors"]["sha256"] == digest
    assert source["sha256"] == model_source(folder, "own", None)["sha256"]
    AutoModelForMaskedLM.from_pretrained(tmp_path / "linked")
    assert AutoTokenizer.from_pretrained(tmp_path / "linked")("Nobody sings.")["input_ids"]


def test_linking_again_follows_the_folder_and_deleting_the_links_leaves_it(folder, tmp_path):
    link_user_model(str(folder), tmp_path / "linked")
    (folder / "vocab.txt").write_text("a")
    (folder / "tokenizer_config.json").unlink()
    assert broken_links(tmp_path / "linked") == ["tokenizer_config.json"]
    link_user_model(str(folder), tmp_path / "linked")
    names = {path.name for path in (tmp_path / "linked").iterdir()}
    assert names == {"config.json", "tokenizer.json", "vocab.txt", "model.safetensors", "source.json"}
    shutil.rmtree(tmp_path / "linked")
    assert (folder / "model.safetensors").stat().st_size > 0


@pytest.mark.parametrize(
    ("removed", "message"),
    [
        ("config.json", "has no config.json"),
        ("model.safetensors", r"no safetensors files \(only optimizer.pt, and a pickle can run code\)"),
        ("tokenizer", "has no tokenizer"),
    ],
)
def test_folder_that_lacks_a_part_is_refused_by_what_it_lacks(folder, removed, message):
    for path in folder.glob(f"{removed}*"):
        path.unlink()
    with pytest.raises(StudyError, match=message):
        user_files(str(folder))


def test_index_that_names_an_absent_shard_is_refused(folder):
    index = {"weight_map": {"a": "model-00001-of-00002.safetensors", "b": "model.safetensors"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(StudyError, match=r"names model-00001-of-00002\.safetensors, which is missing"):
        user_files(str(folder))


def test_checking_a_folder_needs_no_network_and_no_torch(folder, root):
    code = (
        f"import sys; from nli.hub.model_files import user_files; user_files({str(folder)!r});"
        "assert not {'torch', 'transformers', 'huggingface_hub', 'datasets'} & set(sys.modules)"
    )
    environment = {**os.environ, "PYTHONPATH": str(root / "scripts")}
    subprocess.run([sys.executable, "-c", code], env=environment, check=True)
