"""The loss from a part of the logits at a time: the usual one and its gradients."""

import pytest
import torch
from torch import nn
from transformers import LlamaConfig, LlamaForCausalLM

from nli.models.output_loss import PART, SummedLoss, hidden_states_for_logits, is_worth_it, summed_loss

POSITIONS, SIZE, VOCABULARY = 7, 5, 11


def inputs(dtype=torch.float64):
    torch.manual_seed(0)
    hidden = torch.randn(POSITIONS, SIZE, dtype=dtype, requires_grad=True)
    return hidden, torch.randn(VOCABULARY, SIZE, dtype=dtype), torch.randint(0, VOCABULARY, (POSITIONS,))


@pytest.mark.parametrize("part", [1, 2 * VOCABULARY, 3 * VOCABULARY + 1, 10**6])
def test_sum_and_gradient_are_those_of_cross_entropy_in_parts_of_every_size(part):
    hidden, weight, labels = inputs()
    plain = nn.functional.cross_entropy(hidden @ weight.T, labels, reduction="sum")
    (wanted,) = torch.autograd.grad(plain, hidden)
    total = SummedLoss.apply(hidden, weight, labels, part)
    (found,) = torch.autograd.grad(total / 3, hidden)
    assert total.item() == pytest.approx(plain.item(), abs=1e-12)
    assert torch.allclose(3 * found, wanted, atol=1e-12)
    assert torch.autograd.gradcheck(lambda states: SummedLoss.apply(states, weight, labels, part), hidden)


def test_autocast_multiplies_in_its_own_type_and_sums_in_float32():
    hidden, weight, labels = inputs(torch.float32)
    with torch.autocast("cpu", torch.bfloat16):
        plain = nn.functional.cross_entropy((hidden @ weight.T).float(), labels, reduction="sum")
        total = SummedLoss.apply(hidden, weight, labels, 2 * VOCABULARY)
    (wanted,), (found,) = (torch.autograd.grad(loss, hidden) for loss in (plain, total))
    assert total.dtype == torch.float32
    assert total.item() == pytest.approx(plain.item(), abs=1e-5)
    assert torch.allclose(found, wanted, atol=0.02)
    assert total.item() != pytest.approx(SummedLoss.apply(hidden, weight, labels, PART).item(), abs=1e-5)


def llama(**settings):
    sizes = {"hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2}
    return LlamaForCausalLM(LlamaConfig(vocab_size=VOCABULARY, **sizes, **settings)).requires_grad_(False)


def test_a_model_gives_hidden_states_and_then_logits_again():
    model, tokens = llama(), torch.arange(6)[None]
    logits = model(tokens).logits
    with hidden_states_for_logits(model) as head:
        hidden = model(tokens).logits
    assert torch.equal(head(hidden), logits)
    assert torch.equal(model(tokens).logits, logits)
    labels = tokens[0] + 1
    loss = nn.functional.cross_entropy(logits[0], labels, reduction="sum")
    assert summed_loss(hidden[0], head, labels).item() == pytest.approx(loss.item(), abs=1e-5)


def test_only_a_frozen_plain_layer_and_many_logits_are_worth_it():
    enough = PART // VOCABULARY + 1
    assert is_worth_it(llama(), enough)
    assert not is_worth_it(llama(), enough - 1)
    assert not is_worth_it(llama().requires_grad_(True), enough)
    assert not is_worth_it(llama(final_logit_softcapping=30.0), enough)
