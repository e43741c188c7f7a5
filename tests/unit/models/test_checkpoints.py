"""Damaged checkpoints: skipped with a line, and the one before is used."""

import json
import shutil

import pytest
import torch
from unit.specs import HEAD, QLORA_SPEC, QUANTIZATION, KillAt, Killed, dataset_of, encoder_spec, encoder_trainer

from nli import runtime
from nli.models import linear_head, qlora
from nli.models.checkpoints import MANIFEST, PARTS, damage, last_checkpoint
from nli.models.decoder import add_adapter, load_decoder, load_tokenizer
from nli.models.training import run_training, trained_tensors

DECODER = {"max_steps": 12, "checkpoint_steps": 4}


def roberta(folders, rows, checkpoints):
    """Twelve steps with a checkpoint every four."""
    return encoder_trainer(folders["encoder"], rows, checkpoints, encoder_spec("lora"))


def qlora_adapter(folders, rows, checkpoints):
    runtime.start(3, threads=1)
    spec = {**QLORA_SPEC, "training": {**QLORA_SPEC["training"], **DECODER}}
    tokenizer = load_tokenizer(folders["decoder"])
    model = add_adapter(load_decoder(folders["decoder"], QUANTIZATION), spec)
    return qlora.make_trainer(model, tokenizer, dataset_of(rows, tokenizer, spec), spec, checkpoints, seed=3)


def head(folders, rows, checkpoints):
    runtime.start(3, threads=1)
    spec = {**HEAD, "training": {**HEAD["training"], **DECODER}}
    tokenizer = load_tokenizer(folders["decoder"])
    model = linear_head.build_classifier(folders["decoder"], spec)
    dataset = linear_head.tokenize_texts(rows, tokenizer, spec)
    return linear_head.make_trainer(model, tokenizer, dataset, spec, checkpoints, seed=3)


@pytest.fixture(scope="module")
def folders(encoder_folder, decoder_folder):
    return {"encoder": encoder_folder, "decoder": decoder_folder}


@pytest.fixture(scope="module", params=[roberta, qlora_adapter, head], ids=lambda make: make.__name__)
def killed(request, folders, rows, tmp_path_factory):
    """A family's trainer, the checkpoints of a training killed at step 10, and the undisturbed one's weights."""
    make, folder = request.param, tmp_path_factory.mktemp("killed")
    whole = make(folders, rows, folder / "whole")
    run_training(whole, folder / "whole")
    trainer = make(folders, rows, folder / "killed")
    trainer.add_callback(KillAt(10))
    with pytest.raises(Killed):
        run_training(trainer, folder / "killed")
    return make, folder / "killed", trained_tensors(whole.model)


def truncate(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def flip(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


DAMAGES = {
    "deleted": lambda path: path.unlink(),
    "truncated": truncate,
    "emptied": lambda path: path.write_bytes(b""),
    "flipped": flip,
}


@pytest.mark.parametrize("part", [*PARTS, MANIFEST])
@pytest.mark.parametrize("kind", DAMAGES)
def test_damaged_checkpoint_is_skipped_with_one_line(killed, tmp_path, capsys, part, kind):
    shutil.copytree(killed[1], tmp_path, dirs_exist_ok=True)
    DAMAGES[kind](tmp_path / "checkpoint-8" / part)
    assert last_checkpoint(tmp_path) == tmp_path / "checkpoint-4"
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith(f"{tmp_path / 'checkpoint-8'} is skipped and deleted: ")
    assert part in line or part == MANIFEST  # a flipped byte of the manifest damages what it says of a part
    assert not (tmp_path / "checkpoint-8").exists()


@pytest.mark.parametrize("damaged", [(), ("checkpoint-8",), ("checkpoint-8", "checkpoint-4")])
def test_resumed_from_the_one_before_training_gives_the_same_weights(killed, folders, rows, tmp_path, damaged):
    make, checkpoints, expected = killed
    shutil.copytree(checkpoints, tmp_path, dirs_exist_ok=True)
    for name in damaged:
        (tmp_path / name / "optimizer.pt").unlink()
    trainer = make(folders, rows, tmp_path)
    run_training(trainer, tmp_path)
    found = trained_tensors(trainer.model)
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[name], expected[name]) for name in expected)
    assert [path.name for path in sorted(tmp_path.glob("checkpoint-*"))] == ["checkpoint-4", "checkpoint-8"]


@pytest.mark.parametrize(
    ("manifest", "reason"),
    [("[]", "does not list"), ("{}", "does not list"), ("[" * 100_000, "not JSON"), ("\xff", "is missing|not JSON")],
)
def test_manifest_that_lists_nothing_vouches_for_nothing(tmp_path, manifest, reason):
    (tmp_path / MANIFEST).write_text(manifest, encoding="latin-1")
    found = damage(tmp_path)
    assert any(part in found for part in reason.split("|")), found


def test_part_of_another_checkpoint_is_named(killed, tmp_path):
    shutil.copytree(killed[1], tmp_path, dirs_exist_ok=True)
    old, new = (tmp_path / f"checkpoint-{step}" for step in (4, 8))
    shutil.copy(old / "optimizer.pt", new)
    assert damage(new) == "optimizer.pt is not as manifest.json says"
    (old / "scaler.pt").write_bytes(b"")
    assert damage(old) == "scaler.pt is not in manifest.json"


def test_two_checkpoints_are_kept_whatever_the_clock_says(encoder_folder, rows, tmp_path):
    def by_name():
        return sorted((path.name for path in tmp_path.glob("checkpoint-*")), key=len)

    trainer = encoder_trainer(encoder_folder, rows, tmp_path, checkpoint_steps=2)
    run_training(trainer, tmp_path)
    assert by_name() == ["checkpoint-8", "checkpoint-10"]
    for path in tmp_path.glob("checkpoint-*"):
        assert damage(path) is None
        assert json.loads((path / MANIFEST).read_text()).keys() == set(PARTS)
