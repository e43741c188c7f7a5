"""A rehearsal: a few measured steps of an experiment at its true size, with random weights and no data.

The model has the published architecture, the texts have MultiNLI's lengths, and the trainer is the experiment's own, so
speed and memory are those of the real run. The model's answers are meaningless.
"""

import tempfile
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from torch import nn
from transformers import (
    PretrainedConfig,
    PreTrainedTokenizerFast,
    TrainerCallback,
)

from nli.answering.pairs import question_of
from nli.base.labels import LABELS
from nli.jobs.families import FAMILIES, Family
from nli.jobs.records import device_name
from nli.machine.memory import GIB, available_memory
from nli.machine.power import PowerMeter
from nli.models.merging import MergeError, free_memory
from nli.models.sessions import peak_memory
from nli.study import experiments
from nli.study.experiments import UNQUANTIZED

# Words and punctuation marks of MultiNLI's sentences, at the 5th, 15th, ... 95th percentile of its training set
# (Williams et al. 2018; counted over 39,270 rows).
PREMISE_LENGTHS = (6, 9, 12, 15, 19, 22, 26, 30, 37, 51)
HYPOTHESIS_LENGTHS = (5, 7, 8, 9, 10, 11, 13, 14, 16, 20)
VOCABULARY = [f"w{i}" for i in range(200)]
LABEL_WORDS = {label: f"{VOCABULARY[2 * i]} {VOCABULARY[2 * i + 1]}" for i, label in enumerate(LABELS)}
CAPITALISED = [word.split()[0].capitalize() for word in LABEL_WORDS.values()]


@dataclass
class Measurement:
    """Seconds of each measured part, in order, and the mean power in watts (None if it cannot be read)."""

    seconds: list[float] = field(default_factory=list)
    watts: float | None = None

    @property
    def typical(self) -> float:
        """The median, so that one slow part (a first kernel, a page fault) does not count."""
        return float(np.median(self.seconds))


class StepTimer(TrainerCallback):
    """Measures the wall time of each optimizer step; waits for the device's queue before each reading of the clock."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    def on_step_begin(self, args, state, control, **kwargs) -> None:
        """Start the clock."""
        self.started = clock()

    def on_step_end(self, args, state, control, **kwargs) -> None:
        """Stop it."""
        self.seconds.append(clock() - self.started)


def clock() -> float:
    """The time in seconds, after the GPU has finished all its work."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter()


def typical_pairs(n: int, seed: int) -> pd.DataFrame:
    """n pairs of meaningless one-token words with MultiNLI's lengths, in the columns of a split."""
    rng = np.random.default_rng(seed)

    def text(length: int) -> str:
        return " ".join(rng.choice(VOCABULARY, size=length))

    return pd.DataFrame(
        {
            "pair_id": [str(i) for i in range(n)],
            "genre": "rehearsal",
            "premise_id": [str(i) for i in range(n)],
            "premise": [text(rng.choice(PREMISE_LENGTHS)) for _ in range(n)],
            "hypothesis": [text(rng.choice(HYPOTHESIS_LENGTHS)) for _ in range(n)],
            "label": np.arange(n, dtype="int8") % len(LABELS),
        }
    )


def word_tokenizer(role: str, words: Iterable[str] = ()) -> PreTrainedTokenizerFast:
    """A tokenizer that needs no download: one token per word or mark, in the layout of RoBERTa or Llama.

    Args:
        words: further words of its vocabulary.
    """
    special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    vocabulary = {word: index for index, word in enumerate([*special, *VOCABULARY, *CAPITALISED, *words])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    ends = [("<s>", vocabulary["<s>"]), ("</s>", vocabulary["</s>"])]
    layout = {"encoder": ("<s> $A </s>", "<s> $A </s> </s> $B </s>"), "decoder": ("<s> $A", "<s> $A $B")}[role]
    tokenizer.post_processor = processors.TemplateProcessing(single=layout[0], pair=layout[1], special_tokens=ends)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token="<s>",
        eos_token="</s>",
        pad_token="<pad>",
        unk_token="<unk>",
        mask_token="<mask>",
        model_input_names=["input_ids", "attention_mask"],
    )


def rehearse_where_it_fits(
    spec: dict[str, Any], config: PretrainedConfig, device: torch.device, seed: int
) -> dict[str, Any]:
    """The result of `rehearse`, or why it does not fit in memory.

    Returns:
        {"status": "measured" | "does not fit" | "not measured", "reason", "device", "memory": the peak that counts,
        "training", "merging", "answering"}.
    """
    on_gpu = device.type == "cuda"
    result = {
        "device": device_name(),
        "memory": "reserved" if on_gpu else "process",
        "training": None,
        "merging": None,
        "answering": None,
    }
    if not on_gpu:
        needed, free = least_memory(spec, config), available_memory()
        if needed > free:
            return {**result, "status": "does not fit", "reason": f"no: {needed:.1f} GiB at least, {free:.1f} are free"}
    try:
        return {**result, "status": "measured", "reason": "", **rehearse(spec, config, device, seed)}
    except torch.OutOfMemoryError:
        return {**result, **out_of_memory(spec)}


def out_of_memory(spec: dict[str, Any]) -> dict[str, str]:
    """Status and reason if the GPU is too small; a 16-bit merge still runs, spread by `load_unquantized`."""
    size = f"the {torch.cuda.get_device_properties(0).total_memory / GIB:.1f} GiB of this GPU"
    if merged_into_16_bits(spec["predict"]):
        reason = f"a merge in 16 bits takes more than {size}; its run also uses the machine's memory, which is slower"
        return {"status": "not measured", "reason": reason}
    return {"status": "does not fit", "reason": f"no: more than {size}"}


def least_memory(spec: dict[str, Any], config: PretrainedConfig) -> float:
    """GiB of weights, gradients and optimizer states, without activations.

    AdamW keeps two float32 states per trainable parameter, its 8-bit form two bytes.
    """
    family, own = FAMILIES[spec["predict"]["family"]], spec["train"] or as_loaded(spec["predict"])
    model = family.skeleton(config, own, spec["train"] is not None)
    total = sum(parameter.numel() * parameter.element_size() for parameter in model.parameters())
    if spec["train"]:
        states = 2 if spec["train"]["training"]["optimizer"] == "paged_adamw_8bit" else 8
        total += sum(p.numel() * (p.element_size() + states) for p in model.parameters() if p.requires_grad)
    return total / GIB


def rehearse(spec: dict[str, Any], config: PretrainedConfig, device: torch.device, seed: int) -> dict[str, Any]:
    """Measurements of an experiment's training steps, of computing a merge's error, and of its answering.

    Args:
        spec: a rehearsal spec (`nli.study.specs.rehearsal_spec`).
        config: the architecture.
        device: where to run.

    Returns:
        {"training": {"seconds_per_step", "watts", "peak_memory_gib"} or None, "merging": {"examples_per_second",
        "watts", "peak_memory_gib"} or None, "answering": the same}, with `rehearsal_peak`'s keys.

    Raises:
        torch.OutOfMemoryError, or RuntimeError on a CPU: the experiment does not fit.
    """
    name, training, merging = spec["predict"]["family"], None, None
    family = FAMILIES[name]
    cloze = spec["predict"].get("cloze") or {"words": {}}
    words = [word.strip() for word in cloze["words"].values()]
    tokenizer = word_tokenizer(experiments.FAMILIES[name].model, words)
    batch = spec["predict"]["evaluation"]["batch_size"]
    rows = typical_pairs(spec["steps"]["answering_batches"] * batch, seed + 1)
    if spec["predict"].get("merge_into"):
        measured = rehearse_merge_error(tokenizer, spec["predict"], config, device, rows)
        merging = {**rate(rows, measured), "peak_memory_gib": rehearsal_peak()}
        forget_peak()
    model = base_model(family, spec["predict"], config, device)
    model.config.pad_token_id = tokenizer.pad_token_id
    if spec["train"]:
        model, measured = rehearse_training(family, model, tokenizer, spec["train"], spec["steps"], seed)
        training = {
            "seconds_per_step": measured.typical,
            "watts": measured.watts,
            "peak_memory_gib": rehearsal_peak(),
        }
        forget_peak()
    else:
        model = family.ready(model, spec["predict"], tokenizer)
    measured = rehearse_answering(family, model, tokenizer, spec["predict"], rows, seed)
    answering = {**rate(rows, measured), "peak_memory_gib": rehearsal_peak()}
    return {"training": training, "merging": merging, "answering": answering}


def rate(rows: pd.DataFrame, measured: Measurement) -> dict[str, float | None]:
    """Rows per second over all measured parts, and their power."""
    return {"examples_per_second": len(rows) / sum(measured.seconds), "watts": measured.watts}


def base_model(family: Family, spec: dict[str, Any], config: PretrainedConfig, device: torch.device) -> nn.Module:
    """The family's base model with random weights, loaded as for answering."""
    return family.random(config, as_loaded(spec), device)


def merged_into_16_bits(spec: dict[str, Any]) -> bool:
    """Whether a prediction spec answers with a merge that is not quantized again."""
    return spec.get("merge_into") in UNQUANTIZED


def as_loaded(spec: dict[str, Any]) -> dict[str, Any]:
    """A prediction spec with the `quantization` with which `merging.load_merged` loads the model."""
    if not merged_into_16_bits(spec):
        return spec
    return {**spec, "quantization": {**spec["quantization"], "load_in_4bit": False}}


def rehearse_training(
    family: Family, model: nn.Module, tokenizer: PreTrainedTokenizerFast, spec: dict[str, Any], steps: dict, seed: int
) -> tuple[nn.Module, Measurement]:
    """The model after the warm-up and the measured steps, and the seconds of the measured ones."""
    n_steps = steps["warmup"] + steps["measured"]
    training = {**spec["training"], "max_steps": n_steps, "epochs": None, "checkpoint_steps": n_steps + 1}
    spec = {**spec, "training": training}
    rows = typical_pairs(n_steps * training["batch_size"] * training["gradient_accumulation"], seed)
    with tempfile.TemporaryDirectory(prefix="rehearsal-") as folder:
        model = family.adapt(model, spec, tokenizer)
        dataset = family.dataset(rows, tokenizer, spec)
        trainer = family.trainer(model, tokenizer, dataset, spec, Path(folder), seed)
        timer = StepTimer()
        trainer.add_callback(timer)
        with PowerMeter() as meter:
            trainer.train()
    return model, Measurement(timer.seconds[steps["warmup"] :], meter.watts)


def rehearse_answering(
    family: Family, model: nn.Module, tokenizer: Any, spec: dict[str, Any], rows: pd.DataFrame, seed: int
) -> Measurement:
    """Answer the rows as the experiment answers its validation rows."""
    shots = (spec.get("prompt") or {}).get("shots", 0)
    examples = typical_pairs((12 + shots) * spec.get("draws", 1), seed + 2)
    with PowerMeter() as meter:
        started = clock()
        family.answer(model, tokenizer, rows, "matched", with_long_words(spec), seed, examples)
        seconds = clock() - started
    return Measurement([seconds], meter.watts)


def rehearse_merge_error(
    tokenizer: Any, spec: dict[str, Any], config: PretrainedConfig, device: torch.device, rows: pd.DataFrame
) -> Measurement:
    """The time to compute a merge's error as in merge_adapter.py: with the adapter, its base and the merged model.

    The models are made one after the other, since a small GPU cannot hold two. Only the three passes are timed, not the
    making of the models, which replaces loading and merging. The power is the mean over both parts.
    """
    question, family = question_of(spec), FAMILIES["qlora"]
    prompts = [question.ask(row.premise, row.hypothesis) for row in rows.itertuples()]
    parts = []
    with tempfile.TemporaryDirectory(prefix="rehearsal-") as folder:
        error = MergeError(tokenizer, prompts, spec["evaluation"]["batch_size"], Path(folder))
        with_adapter = {**spec, "method": "answer", "merge_into": None}
        for measure, own in ((error.measure_adapter, with_adapter), (error.measure_merged, spec)):
            model = family.ready(base_model(family, own, config, device), own, tokenizer)
            with PowerMeter() as meter:
                started = clock()
                measure(model)
                parts.append((clock() - started, meter))
            del model
            free_memory()
    seconds = [part for part, _ in parts]
    known = all(meter.watts is not None for _, meter in parts)
    return Measurement(seconds, sum(s * meter.watts for s, meter in parts) / sum(seconds) if known else None)


def with_long_words(spec: dict[str, Any]) -> dict[str, Any]:
    """A prediction spec without a chat template, whose label words, if it has any, have two tokens each, none shared.

    A real tokenizer splits words like *Entailment*, and starts *entailment* with another token. Each spelling of such a
    word needs a pass: three per prompt for a fine-tuned model, six for a prompted one, which is scored in two spellings
    (`pairs.scored_words`). One-token words, such as *Yes*, share a pass; for them the rehearsal is an upper bound.
    """
    if "label_words" in spec:
        return {**spec, "label_words": LABEL_WORDS}
    if "answers" in (spec.get("prompt") or {}):
        answers = {word: label for label, word in LABEL_WORDS.items()}
        return {**spec, "prompt": {**spec["prompt"], "answers": answers}, "chat": False}
    return spec


def rehearsal_peak() -> dict[str, float | None]:
    """`peak_memory` and, as "reserved", the peak of the device allocator's reserved memory, in GiB.

    Allocated blocks are parts of larger reserved ones, with gaps that nothing else can use, so a card must hold the
    reserved memory.
    """
    reserved = torch.cuda.max_memory_reserved() / GIB if torch.cuda.is_available() else None
    return {**peak_memory(), "reserved": reserved}


def forget_peak() -> None:
    """Reset the device's peak memory."""
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
