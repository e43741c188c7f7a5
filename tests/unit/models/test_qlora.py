"""QLoRA's loss on real tokens and at the positions that count: the plain loss and gradients, from less work."""

import pytest
import torch
from unit.specs import QLORA_SPEC, QUANTIZATION, dataset_of

from nli import runtime
from nli.models import output_loss
from nli.models.decoder import add_adapter, load_decoder, load_tokenizer
from nli.models.packing import WORTH_PACKING, worth_packing
from nli.models.qlora import make_trainer
from nli.models.training import run_training

PADDED = {"tokenization": {"max_length": 96, "padding": "max_length"}, "loss_on": "padded", "mask_end_token": False}
SPECS = {
    "all": {},
    "label": {"loss_on": "label", "append_eos": True, "mask_end_token": False},
    "padded": PADDED,
    "fixed": {"tokenization": {"max_length": 96, "padding": "max_length"}},
    "tokens": {"training": {**QLORA_SPEC["training"], "accumulation": "tokens"}},
}


def trainer_of(folder, rows, checkpoints, speed, worth=WORTH_PACKING, **changes):
    runtime.start(0, threads=1)
    spec = {**QLORA_SPEC, **changes, "speed": speed}
    tokenizer = load_tokenizer(folder)
    model = add_adapter(load_decoder(folder, QUANTIZATION), spec)
    trainer = make_trainer(model, tokenizer, dataset_of(rows, tokenizer, spec), spec, checkpoints, 0)
    trainer.tokens_worth = worth_packing(model, worth)
    return trainer


def step_of(folder, rows, checkpoints, speed, worth=WORTH_PACKING, **changes):
    """A step's loss and gradients, the number of logits computed and the shape of the token ids."""
    trainer = trainer_of(folder, rows, checkpoints, speed, worth, **changes)
    trainer.current_gradient_accumulation_steps = 1
    for name, parameter in trainer.model.named_parameters():
        if "lora_B" in name:  # at zero, A has no gradient
            torch.nn.init.normal_(parameter, std=0.05, generator=torch.Generator().manual_seed(len(name)))
    computed, shapes = [], []
    embeddings = trainer.model.get_input_embeddings()
    embeddings.register_forward_hook(lambda module, args, output: shapes.append(tuple(args[0].shape)))
    head = trainer.model.get_output_embeddings()
    head.register_forward_hook(lambda module, args, output: computed.append(output.shape[:-1].numel()))
    batch = trainer.data_collator([trainer.train_dataset[i] for i in range(6)])
    tokens = (batch["labels"][:, 1:] != -100).sum()
    loss = trainer.training_step(trainer.model, batch, num_items_in_batch=tokens)
    found = {name: p.grad for name, p in trainer.model.named_parameters() if p.grad is not None}
    return float(loss), found, sum(computed), shapes[0]


@pytest.mark.parametrize("worth", [WORTH_PACKING, 0.0])
@pytest.mark.parametrize("kind", SPECS)
def test_trl_has_its_own_loss_and_gradients(decoder_folder, rows, tmp_path, kind, worth):
    spec = {**SPECS[kind], "trainer": "trl"}
    loss, plain, _, (_, longest) = step_of(decoder_folder, rows, tmp_path / "plain", "plain", **spec)
    fast_loss, fast, logits, shape = step_of(decoder_folder, rows, tmp_path / "fast", "fast", worth, **spec)
    assert fast_loss == pytest.approx(loss, abs=1e-5)
    assert fast.keys() == plain.keys()
    for name, gradient in plain.items():
        assert torch.allclose(fast[name], gradient, rtol=1e-3, atol=1e-5), name
    assert (shape[0] < 6) == (worth == 0.0 and kind != "padded")
    assert 0 < logits < 6 * longest / 2 if kind == "label" else logits == 0  # TRL's loss does not call the head


@pytest.mark.parametrize("worth", [WORTH_PACKING, 0.0])
@pytest.mark.parametrize("kind", SPECS)
def test_loss_and_gradients_are_the_plain_ones(decoder_folder, rows, tmp_path, kind, worth):
    loss, plain, all_logits, (_, longest) = step_of(decoder_folder, rows, tmp_path / "plain", "plain", **SPECS[kind])
    fast_loss, fast, logits, shape = step_of(decoder_folder, rows, tmp_path / "fast", "fast", worth, **SPECS[kind])
    assert fast_loss == pytest.approx(loss, abs=1e-5)
    assert fast.keys() == plain.keys()
    assert all(bool(gradient.any()) for gradient in plain.values())
    for name, gradient in plain.items():
        assert torch.allclose(fast[name], gradient, rtol=1e-3, atol=1e-5), name
    assert logits <= all_logits
    assert logits < all_logits / 2 or kind != "label"
    on_lines = worth == 0.0 and kind != "padded"  # padding that counts in the loss stays
    assert (shape[0] < 6) == on_lines
    assert shape[0] * shape[1] < 6 * longest or not on_lines


@pytest.mark.parametrize("worth", [WORTH_PACKING, 0.0])
@pytest.mark.parametrize("kind", SPECS)
@pytest.mark.parametrize("library", ["transformers", "trl"])
def test_loss_in_parts_and_its_gradients_are_the_plain_ones(
    decoder_folder, rows, tmp_path, monkeypatch, library, kind, worth
):
    spec = {**SPECS[kind], "trainer": library}
    loss, plain, _, _ = step_of(decoder_folder, rows, tmp_path / "plain", "plain", **spec)
    monkeypatch.setattr(output_loss, "PART", 3000)  # two positions of the tiny vocabulary
    fast_loss, fast, logits, _ = step_of(decoder_folder, rows, tmp_path / "fast", "fast", worth, **spec)
    assert logits == 0  # the layer's weights are used, not the layer
    assert fast_loss == pytest.approx(loss, abs=1e-5)
    assert fast.keys() == plain.keys()
    for name, gradient in plain.items():
        assert torch.allclose(fast[name], gradient, rtol=1e-3, atol=1e-5), name


@pytest.mark.parametrize("part", [output_loss.PART, 3000])
@pytest.mark.parametrize("library", ["transformers", "trl"])
@pytest.mark.parametrize("precision", ["none", "bf16"])
def test_losses_of_a_training_are_the_plain_ones(decoder_folder, rows, tmp_path, monkeypatch, library, precision, part):
    monkeypatch.setattr(output_loss, "PART", part)
    curves = {}
    spec = {
        **SPECS["all" if part == 3000 else "label"],
        "trainer": library,
        "training": {**QLORA_SPEC["training"], "mixed_precision": precision},
    }
    for speed in ("plain", "fast"):
        made = trainer_of(decoder_folder, rows, tmp_path / speed, speed, **spec)
        assert made.fast == (speed == "fast")
        history, audit = run_training(made, tmp_path / speed)
        curves[speed] = [step["loss"] for step in history["steps"]]
        assert audit.names
    assert curves["fast"] == pytest.approx(curves["plain"], abs=1e-4 if precision == "none" else 0.02)


def test_trl_has_no_loss_where_no_label_counts(decoder_folder, rows, tmp_path):
    """`max_length` can cut off every label of a batch: the plain loss is 0, where a mean over nothing would be NaN."""
    trainer = trainer_of(decoder_folder, rows, tmp_path, "fast", **SPECS["label"], trainer="trl")
    batch = trainer.data_collator([trainer.train_dataset[i] for i in range(4)])
    batch["labels"][:] = -100
    assert float(trainer.compute_loss(trainer.model, batch)) == 0.0
