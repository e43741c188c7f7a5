"""Generates the decoder's answers, greedily or with a sampler that treats each row independently."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import nn
from transformers import (
    LogitsProcessor,
    LogitsProcessorList,
    PreTrainedTokenizerBase,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
)

from nli.answering.prefixes import common_prefix, prefix_cache, repeated, takes_prefix
from nli.base.errors import StudyError
from nli.models.architecture import max_positions
from nli.models.tokenization import lengths

MODEL = "the model's generation_config"


def effective_generation(model: nn.Module, generation: dict[str, Any]) -> dict[str, Any]:
    """The values that `model.generate` would use for a spec's `generation` section.

    The model's generation_config sets what the section leaves open, and transformers' defaults set the rest (no
    sampling; with sampling: temperature 1.0, the 50 most probable tokens, all of their probability).

    Returns:
        do_sample; temperature, top_k (0: all tokens) and top_p, each None when greedy; max_new_tokens; and `source`,
        where the values come from.
    """
    config, defaults = model.generation_config, model.generation_config._get_default_generation_params()
    own = {key: defaults[key] if getattr(config, key) is None else getattr(config, key) for key in defaults}
    asked = generation["temperature"]
    do_sample = bool(own["do_sample"]) if asked is None else asked > 0
    values = {"temperature": asked, "top_k": generation.get("top_k"), "top_p": generation.get("top_p")}
    left_open = [key for key, value in values.items() if value is None] if do_sample else []
    values = {key: (own[key] if value is None else value) if do_sample else None for key, value in values.items()}
    source = MODEL if asked is None else "the study"
    if asked is not None and left_open:
        source += f"; {' and '.join(left_open)}: {MODEL}"
    return {"do_sample": do_sample, **values, "max_new_tokens": generation["max_new_tokens"], "source": source}


def sampler(values: dict[str, Any], seed: int, names: Sequence[str]) -> LogitsProcessorList:
    """The processors that turn greedy decoding of a batch into sampling; none if `values` are greedy.

    Args:
        values: from `effective_generation`.
        names: the names of the batch's rows, in order.
    """
    if not values["do_sample"]:
        return LogitsProcessorList()
    processors: list[LogitsProcessor] = []  # in the order of `generate`
    if values["temperature"] != 1.0:
        processors.append(TemperatureLogitsWarper(float(values["temperature"])))
    if values["top_k"]:
        processors.append(TopKLogitsWarper(values["top_k"]))
    if values["top_p"] < 1.0:
        processors.append(TopPLogitsWarper(values["top_p"]))
    return LogitsProcessorList([*processors, GumbelNoise(seed, names)])


class GumbelNoise(LogitsProcessor):
    """Adds Gumbel noise to the logits, so that the largest is an exact sample from their softmax.

    Each row has its own generator, seeded by the run's seed and the row's name. A row's samples therefore depend
    neither on its batch nor on earlier rows, and two experiments sample with the same noise.
    """

    def __init__(self, seed: int, names: Sequence[str]) -> None:
        self.generators = [np.random.default_rng([seed, *name.encode()]) for name in names]

    def __call__(self, input_ids: torch.LongTensor, scores: torch.FloatTensor) -> torch.FloatTensor:
        """The scores (rows, vocabulary) with noise for this step."""
        uniform = torch.from_numpy(np.stack([generator.random(scores.shape[1]) for generator in self.generators]))
        uniform = uniform.to(scores.device).clamp_min(torch.finfo(torch.float64).tiny)  # log(0) is undefined
        return scores - torch.log(-torch.log(uniform)).to(scores.dtype)


@torch.no_grad()
def generate_answers(
    model: nn.Module,
    tokenizer: PreTrainedTokenizerBase,
    prompts: Sequence[str],
    generation: dict[str, Any],
    batch_size: int,
    seed: int,
    names: Sequence[str] | None = None,
    speed: str = "plain",
) -> list[str]:
    """What the model writes after each prompt, in the prompts' order.

    Args:
        generation: a spec's section, as `effective_generation` reads it.
        seed: for the sampler.
        names: the rows' names, which with `seed` determine each row's samples; by default the prompts themselves.
        speed: "fast": what all prompts begin with is computed once; "plain": with each.

    Batches have prompts of similar length, padded between the shared prefix and the rest. Neither batches nor order
    change an answer.

    Raises:
        StudyError: a prompt and its answer have more tokens than the model has positions.
    """
    values, names = effective_generation(model, generation), names or prompts
    check_prompts(model, tokenizer, prompts, generation["max_new_tokens"], names)
    model.eval()
    device = next(model.parameters()).device
    texts = tokenizer(list(prompts), verbose=False)["input_ids"] if prompts else []
    longest = max(map(len, texts), default=0) + values["max_new_tokens"]
    shared = speed == "fast" and texts and takes_prefix(model, longest) and takes_a_cache(model)
    prefix = common_prefix(texts) if shared else []
    cached = prefix_cache(model, prefix)
    greedy = {"do_sample": False, "temperature": None, "top_p": None, "top_k": None}  # the sampler's noise draws
    order = np.argsort([len(prompt) for prompt in prompts], kind="stable")
    answers = [""] * len(prompts)
    for start in range(0, len(order), batch_size):
        chosen = order[start : start + batch_size]
        batch = padded_after_prefix([texts[index] for index in chosen], len(prefix), tokenizer.pad_token_id)
        output = model.generate(
            **{name: tensor.to(device) for name, tensor in batch.items()},
            **repeated(cached, len(chosen)),
            **greedy,
            logits_processor=sampler(values, seed, [names[index] for index in chosen]),
            max_new_tokens=values["max_new_tokens"],
            pad_token_id=tokenizer.pad_token_id,
        )
        new = output[:, batch["input_ids"].shape[1] :]
        for index, text in zip(chosen, tokenizer.batch_decode(new, skip_special_tokens=True), strict=True):
            answers[index] = text
        print(f"{min(start + batch_size, len(order))} of {len(order)} answered", flush=True)
    return answers


def takes_a_cache(model: nn.Module) -> bool:
    """Whether `generate` takes a cache from its caller: not if the checkpoint asks for one of a certain kind."""
    return model.generation_config.cache_implementation in (None, "hybrid")


def padded_after_prefix(texts: Sequence[list[int]], prefix: int, pad: int) -> dict[str, torch.Tensor]:
    """input_ids and attention_mask, (texts, longest): padding follows the first `prefix` tokens of a text."""
    longest = max(map(len, texts))
    gaps = [longest - len(text) for text in texts]
    ids = [[*text[:prefix], *[pad] * gap, *text[prefix:]] for text, gap in zip(texts, gaps, strict=True)]
    mask = [[1] * prefix + [0] * gap + [1] * (longest - prefix - gap) for gap in gaps]
    return {"input_ids": torch.tensor(ids), "attention_mask": torch.tensor(mask)}


def check_prompts(
    model: nn.Module,
    tokenizer: PreTrainedTokenizerBase,
    prompts: Sequence[str],
    answer: int,
    names: Sequence[str],
    asks: str = "generation.max_new_tokens is",
) -> None:
    """Raise StudyError, naming the row, if the longest prompt leaves too few positions for its answer.

    Args:
        answer: tokens of the longest answer.
        names: the rows' names.
        asks: what `answer` is, in words.
    """
    limit = max_positions(model)
    special = tokenizer.num_special_tokens_to_add(pair=False)
    sizes = [size + special for size in lengths(tokenizer, prompts)]
    if limit is None or not sizes or max(sizes) + answer <= limit:
        return
    longest = int(np.argmax(sizes))
    raise StudyError(
        f"models.decoder.name: the longest prompt, of the row {names[longest][:80]!r}, has {sizes[longest]} tokens, "
        f"{asks} {answer}, but the model has only {limit} positions; choose a model with more, or remove the row"
    )
