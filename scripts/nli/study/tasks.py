"""Several tasks on one encoder, each trained in several arrangements: a head of its own, an adapter, a full copy."""

from typing import Literal

from pydantic import Field, field_validator

from nli.study.types import SetName, Strict, Title

Kind = Literal["label", "genre", "negation", "overlap"]


class Task(Strict):
    """What is to be told of a pair."""

    title: Title = Field(description="its name in the report")
    label: Kind = Field(
        description="the pair's label; its genre; whether the hypothesis denies something; or whether more of its "
        "words are in the premise than in half of the training pairs"
    )


class Tasks(Strict):
    """Several tasks on the same encoder, each trained like each of some experiments."""

    tasks: dict[SetName, Task] = Field(min_length=2, description="the tasks, by name")
    experiments: list[str] = Field(
        min_length=1, description="encoder experiments whose method and settings train each task: its arrangements"
    )

    @field_validator("experiments")
    @classmethod
    def _encoders_each_once(cls, keys: list[str]) -> list[str]:
        if len(set(keys)) != len(keys) or not all(key.startswith("roberta/") for key in keys):
            raise ValueError(f"takes experiments of the family roberta, each once, got {keys}")
        return keys
