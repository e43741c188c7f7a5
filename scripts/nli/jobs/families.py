"""What the workflow needs from each family that uses a model: one object per family, found by name.

The scripts train and answer with these objects, and the counts and the rehearsal build models with them, so what is
counted and rehearsed is what runs. The chance baselines use no model and no torch and have no entry
(`answering.baselines`).
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from datasets import Dataset
from torch import nn
from transformers import DataCollatorWithPadding, PretrainedConfig, PreTrainedModel, PreTrainedTokenizerBase, Trainer

from nli.answering.classify import classify
from nli.answering.pairs import answer_pairs
from nli.answering.rows import scored_rows
from nli.models import encoder, linear_head, qlora
from nli.models.compatibility import check_decoder, check_encoder
from nli.models.decoder import add_adapter, prepared_to_answer
from nli.models.training_texts import encode_texts, training_dataset
from nli.models.weightless import random_decoder, random_encoder, skeleton_decoder, skeleton_encoder

Spec = dict[str, Any]
Tokenizer = PreTrainedTokenizerBase
Answers = list[pd.DataFrame]


@dataclass(frozen=True)
class Family:
    """A family's part of each job.

    Attributes:
        check: (folder of the base model, tokenizer, spec); raises StudyError unless the model suits the experiment.
        skeleton: (config, spec, trains) -> the experiment's model on the meta device, for training or answering.
        random: (config, spec, device) -> the base model with random weights.
        adapt: (base model, spec, tokenizer) -> the model with exactly the experiment's parameters trainable.
        ready: (base model, spec, tokenizer) -> the model of an experiment that does not train.
        dataset: (rows, tokenizer, spec) -> training examples; None if nothing trains, like `trainer`.
        trainer: (model, tokenizer, dataset, spec, folder of checkpoints, seed) -> trainer.
        answer: (model, tokenizer, rows, split, spec, seed, rows to draw examples from) -> predictions by scorer.
    """

    check: Callable[[Path, Tokenizer, Spec], None]
    skeleton: Callable[[PretrainedConfig, Spec, bool], nn.Module]
    random: Callable[[PretrainedConfig, Spec, torch.device], PreTrainedModel]
    adapt: Callable[[PreTrainedModel, Spec, Tokenizer | None], nn.Module]
    ready: Callable[[PreTrainedModel, Spec, Tokenizer | None], nn.Module]
    dataset: Callable[[pd.DataFrame, Tokenizer, Spec], Dataset] | None
    trainer: Callable[..., Trainer] | None
    answer: Callable[..., Answers]


def check_roberta(folder: Path, tokenizer: Tokenizer, spec: Spec) -> None:
    check_encoder(folder, spec)


def roberta_skeleton(config: PretrainedConfig, spec: Spec, trains: bool) -> nn.Module:
    return encoder.prepare_encoder(skeleton_encoder(config, encoder.encoder_class(spec)), spec)


def random_roberta(config: PretrainedConfig, spec: Spec, device: torch.device) -> PreTrainedModel:
    return random_encoder(config, spec["dtype"], device, encoder.encoder_class(spec))


def pairs(rows: pd.DataFrame, tokenizer: Tokenizer, spec: Spec) -> Dataset:
    """Rows tokenized for the encoder."""
    return encoder.tokenize_pairs(rows, tokenizer, spec["tokenization"], spec["cloze"])


def decoder_skeleton(
    adapt: Callable[[PreTrainedModel, Spec, Tokenizer | None], nn.Module],
) -> Callable[[PretrainedConfig, Spec, bool], nn.Module]:
    """`Family.skeleton` of a family whose decoder is adapted if it trains."""

    def skeleton(config: PretrainedConfig, spec: Spec, trains: bool) -> nn.Module:
        decoder = skeleton_decoder(config, spec["quantization"], linear_head.decoder_class(spec))
        return adapt(decoder, spec, None) if trains else decoder

    return skeleton


def random_base(config: PretrainedConfig, spec: Spec, device: torch.device) -> PreTrainedModel:
    """The decoder with random weights, quantized as the spec says."""
    return random_decoder(config, spec["quantization"], device, linear_head.decoder_class(spec))


def with_adapter(decoder: PreTrainedModel, spec: Spec, tokenizer: Tokenizer | None = None) -> nn.Module:
    return add_adapter(decoder, spec)


def with_head(decoder: PreTrainedModel, spec: Spec, tokenizer: Tokenizer | None = None) -> nn.Module:
    return linear_head.add_head(decoder, spec)


def prompted(decoder: PreTrainedModel, spec: Spec, tokenizer: Tokenizer | None = None) -> nn.Module:
    return prepared_to_answer(decoder, spec)


def borrowing(decoder: PreTrainedModel, spec: Spec, tokenizer: Tokenizer | None = None) -> nn.Module:
    """A decoder with the adapter of another experiment, or with that adapter merged."""
    return add_adapter(decoder, spec) if spec["method"] == "answer" else prepared_to_answer(decoder, spec)


def training_texts(rows: pd.DataFrame, tokenizer: Tokenizer, spec: Spec) -> Dataset:
    return training_dataset(encode_texts(rows, tokenizer, spec), spec, tokenizer)


def classified(dataset: Callable[[pd.DataFrame, Tokenizer, Spec], Dataset]) -> Callable[..., Answers]:
    """`Family.answer` of a classifier whose inputs `dataset` makes from the rows."""

    def answer(
        model: nn.Module,
        tokenizer: Tokenizer,
        rows: pd.DataFrame,
        split: str,
        spec: Spec,
        seed: int,
        examples: pd.DataFrame | None = None,
    ) -> Answers:
        collate, batch_size = DataCollatorWithPadding(tokenizer), spec["evaluation"]["batch_size"]
        return [scored_rows(rows, split, classify(model, dataset(rows, tokenizer, spec), collate, batch_size))]

    return answer


FAMILIES = {
    "roberta": Family(
        check=check_roberta,
        skeleton=roberta_skeleton,
        random=random_roberta,
        adapt=encoder.prepare_encoder,
        ready=encoder.prepare_encoder,
        dataset=pairs,
        trainer=encoder.make_trainer,
        answer=classified(pairs),
    ),
    "icl": Family(
        check=check_decoder,
        skeleton=decoder_skeleton(prompted),
        random=random_base,
        adapt=prompted,
        ready=prompted,
        dataset=None,
        trainer=None,
        answer=answer_pairs,
    ),
    "qlora": Family(
        check=check_decoder,
        skeleton=decoder_skeleton(with_adapter),
        random=random_base,
        adapt=with_adapter,
        ready=borrowing,
        dataset=training_texts,
        trainer=qlora.make_trainer,
        answer=answer_pairs,
    ),
    "linear_head": Family(
        check=check_decoder,
        skeleton=decoder_skeleton(with_head),
        random=random_base,
        adapt=with_head,
        ready=with_head,
        dataset=linear_head.tokenize_texts,
        trainer=linear_head.make_trainer,
        answer=classified(linear_head.tokenize_texts),
    ),
}
