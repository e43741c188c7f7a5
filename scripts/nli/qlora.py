"""The QLoRA attempts: by which trainer they train, and the sample pair before and after."""

from pathlib import Path
from typing import Any

import pandas as pd
import torch
from datasets import Dataset
from peft import PeftModel
from torch import nn
from transformers import PreTrainedTokenizerBase, Trainer, TrainingArguments
from trl import SFTConfig, SFTTrainer

from nli.decoder import generate_answers
from nli.language_modeling import PadTexts, evaluation_prompts
from nli.training import StudyTrainer, TrainedTensors, training_arguments


class StudySFTTrainer(TrainedTensors, SFTTrainer):
    """TRL's SFTTrainer, saving only what training changes."""


def make_trainer(
    model: PeftModel,
    tokenizer: PreTrainedTokenizerBase,
    dataset: Dataset,
    spec: dict[str, Any],
    checkpoints: Path,
    seed: int,
) -> Trainer:
    """The trainer that the experiment names, over tokenized texts.

    SFTTrainer gets texts that are tokenized already, because it would append an end token to raw ones, and its cast
    of the adapter to bfloat16 is undone unless the spec asks for it: the report's version did neither.
    """
    arguments = training_arguments(spec["training"], checkpoints, seed)
    shared = {
        "model": model,
        "train_dataset": dataset,
        "data_collator": PadTexts(tokenizer, spec),
        "processing_class": tokenizer,
    }
    if spec["trainer"] == "transformers":
        trainer: Trainer = StudyTrainer(args=TrainingArguments(**arguments), **shared)
    else:
        limit = spec["tokenization"]["max_length"]
        trainer = StudySFTTrainer(args=SFTConfig(**arguments, max_length=limit, packing=False), **shared)
    cast_trainable(model, getattr(torch, spec["adapter_dtype"]))
    return trainer


def cast_trainable(model: nn.Module, dtype: torch.dtype) -> None:
    """Give every trainable parameter the type `dtype`, in place."""
    for parameter in model.parameters():
        if parameter.requires_grad:
            parameter.data = parameter.data.to(dtype)


def answer_sample(
    model: nn.Module, tokenizer: PreTrainedTokenizerBase, spec: dict[str, Any], seed: int
) -> dict[str, str | None]:
    """The prompt of the experiment's sample pair and what the model writes after it; nulls without a sample."""
    if not spec["sample"]:
        return {"prompt": None, "answer": None}
    prompts = evaluation_prompts(pd.DataFrame([spec["sample"]]), spec)
    answers = generate_answers(model, tokenizer, prompts, spec["generation"], 1, seed)
    return {"prompt": prompts[0], "answer": answers[0]}
