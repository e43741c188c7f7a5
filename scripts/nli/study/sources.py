"""The typed definition of `data:` and `models:`, where rows and weights come from."""

from collections import Counter
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, ValidationInfo, field_validator, model_validator

from nli.study.types import (
    Commit,
    Label,
    LocalPath,
    NonNegative,
    NonNegativeFloat,
    Positive,
    PositiveFloat,
    Probability,
    Real,
    Seed,
    SetName,
    Strict,
    Title,
    hub_name,
    local_path,
)

Column = Literal["premise", "hypothesis", "label", "pair_id", "genre"]


class SyntheticSizes(Strict):
    train: Positive = Field(description="number of training pairs")
    tune: Positive = Field(description="tuning pairs")
    matched: Positive = Field(description="number of validation pairs from the training templates")
    mismatched: Positive = Field(description="number of validation pairs from other templates and words")
    corpus: Positive = Field(description="number of further pairs, whose texts the tiny models are pretrained on")


class Rows(Strict):
    train: Positive
    validation_matched: Positive
    validation_mismatched: Positive


class SetRows(Strict):
    """An evaluation set's own rows: one file, on this machine or in a data set on the hub."""

    path: LocalPath | None = Field(None, description="the file: JSONL, TSV (or .txt), CSV or Parquet, plain or .gz")
    name: Annotated[str, AfterValidator(hub_name)] | None = Field(None, description="or the data set on the hub")
    revision: Commit | None = Field(None, description="its pinned commit, in full")
    file: str | None = Field(None, description="the file in that data set")
    rows: Positive | None = Field(None, description="number of labelled rows in the file; the fetch checks it")
    columns: dict[Column, str] = Field(default_factory=dict, description="the file's names for our columns")
    labels: dict[str, Label | Annotated[list[Label], Field(min_length=1, max_length=2)]] = Field(
        default_factory=dict,
        description="the file's labels for our classes; one label for two of ours makes a set with two classes",
    )
    known: dict[str, Label] = Field(
        default_factory=dict,
        description="pairs whose label is known, by pair_id: the fetch checks `labels` by them",
    )

    @field_validator("labels", mode="before")
    @classmethod
    def _numbers_are_labels_too(cls, labels: Any) -> Any:
        return {str(key): value for key, value in labels.items()} if isinstance(labels, dict) else labels

    @model_validator(mode="after")
    def _names_one_file(self) -> "SetRows":
        hub = self.name, self.revision, self.file
        if not (self.path and not any(hub)) and not (all(hub) and not self.path):
            raise ValueError("takes either 'path', or 'name', 'revision' and 'file' of a data set on the hub")
        return self

    @model_validator(mode="after")
    def _labels_are_told_apart(self) -> "SetRows":
        classes = {frozenset([value] if isinstance(value, str) else value) for value in self.labels.values()}
        counts = Counter(label for each in classes for label in each)
        for label, count in counts.items():
            if count > 1:
                raise ValueError(f"labels: '{label}' is in two classes; give each of our labels to one")
        return self

    @property
    def merged(self) -> dict[str, str]:
        """How answers are merged in a set with two classes: the second of two labels counts as the first. Else {}."""
        return {value[1]: value[0] for value in self.labels.values() if not isinstance(value, str) and len(value) > 1}


class EvaluationSet(Strict):
    """Pairs to evaluate on: a split of the study's data, or their own rows."""

    title: Title = Field(description="its name in the report")
    role: Literal["validation", "tuning"] = Field(
        "validation",
        description="validation: its scores are in the report; tuning: for choices, and in no table of scores",
    )
    source: Literal["train", "validation_matched", "validation_mismatched"] | SetRows = Field(
        description="the split of the data that it is drawn from, or its own rows"
    )

    @property
    def own(self) -> bool:
        """Whether it has its own rows, from outside `data`."""
        return isinstance(self.source, SetRows)


# The sets that are drawn from the data's own splits.
DRAWN = {"matched": "validation_matched", "mismatched": "validation_mismatched", "tune": "train"}


class Data(Strict):
    source: Literal["hub", "files", "synthetic"] = Field(description="where MultiNLI comes from")
    name: Annotated[str, AfterValidator(hub_name)] | None = Field(None, description="data set on the hub")
    revision: Commit | None = Field(None, description="its pinned commit, in full")
    gb: PositiveFloat | None = Field(None, description="GB to fetch, for `hub`; null: unknown")
    rows: Rows | None = Field(None, description="labelled rows that the hub's splits have; the fetch checks them")
    path: LocalPath | None = Field(None, description="folder with train, validation_matched, validation_mismatched")
    train_fraction: Real = Field(
        gt=0, le=1, description="share of the training set to train on, or all that `tune` leaves if that is less"
    )
    tune_examples: NonNegative = Field(description="number of rows for selection, which share no premise with train")
    train_examples: Positive | None = Field(None, description="cap on training examples; null: none")
    evaluation_examples: Positive | None = Field(None, description="cap on each validation split; null: none")
    seed: Seed = Field(description="seed of the sampling")
    synthetic: SyntheticSizes | None = Field(None, description="sizes of the synthetic splits")
    sets: dict[SetName, EvaluationSet] = Field(description="what experiments can be evaluated on, by name")

    @field_validator("sets")
    @classmethod
    def _has_the_sets_that_are_drawn(cls, sets: dict[str, EvaluationSet]) -> dict[str, EvaluationSet]:
        for name, source in DRAWN.items():
            if name not in sets or sets[name].source != source:
                raise ValueError(f"needs the set '{name}' with source: {source}")
        titles = ["Training", "Genre", *(each.title for each in sets.values())]  # columns of the report
        for name, each in sets.items():
            if titles.count(each.title) > 1:
                raise ValueError(f"{name}.title: '{each.title}' is another title of the report; choose another")
            if name in ("train", "corpus"):
                raise ValueError(f"'{name}' is the name of another split; give the set another name")
            if not each.own and name not in DRAWN:
                raise ValueError(f"'{name}' needs its own rows: source: {{path: FILE}}, or a file on the hub")
        return sets

    @property
    def own_sets(self) -> dict[str, SetRows]:
        """The sets with their own rows."""
        return {name: each.source for name, each in self.sets.items() if each.own}

    @model_validator(mode="after")
    def _source_has_what_it_needs(self) -> "Data":
        needs = {"hub": ("name", "revision"), "files": ("path",), "synthetic": ("synthetic",)}
        for key in needs[self.source]:
            if getattr(self, key) is None:
                raise ValueError(f"source '{self.source}' needs the key '{key}'")
        return self


class Recipe(Strict):
    """How the workflow pretrains a tiny model on the data's texts."""

    layers: Positive
    hidden_size: Positive
    heads: Positive
    vocab_size: Positive = Field(description="size of the byte-level BPE vocabulary")
    max_length: Positive = Field(description="longest pretraining text, in tokens")
    max_positions: Positive = Field(description="number of positions of the model")
    initializer_range: PositiveFloat
    steps: Positive
    batch_size: Positive
    learning_rate: PositiveFloat
    weight_decay: NonNegativeFloat
    warmup_fraction: Probability
    cooldown_fraction: PositiveFloat = Field(
        le=1, description="share of the steps in which the learning rate falls to zero"
    )


class Connective(Strict):
    """What happens to the word between premise and hypothesis, as shares of the texts."""

    shown: Probability
    masked: Probability
    dropped: Probability = Field(description="left out, and predicted at <s>")


class EncoderRecipe(Recipe):
    mlm_probability: Probability = Field(description="share of masked tokens")
    hypothesis_mlm_probability: Probability = Field(
        description="the same in the hypothesis, if the connective is shown"
    )
    connective: Connective
    connective_weight: NonNegativeFloat = Field(description="further weight of the connective in the loss")
    position_shift: NonNegative = Field(description="largest offset of a text's first position, as after a prompt")


class DecoderRecipe(Recipe):
    kv_heads: Positive = Field(description="key-value heads of grouped-query attention")
    plain_steps: NonNegative = Field(description="number of first steps with texts in one layout under the same names")
    plain_share: Probability = Field(description="share of such texts in the later steps")
    agreed_steps: NonNegative = Field(description="number of first steps in which all annotators give the pair's label")
    divided_steps: NonNegative = Field(description="number of first steps before texts have every layout and cue")
    answer_weight: PositiveFloat = Field(description="weight of the first label's token in the loss")
    vote_weight: PositiveFloat = Field(description="weight of the other annotators' labels in the loss")
    agreement: Probability = Field(description="probability that an annotator gives the pair's label")
    examples: Probability = Field(description="share of the texts that begin with another pair and its label")
    token_fraction: PositiveFloat = Field(le=1, description="share of the other tokens in the loss")


class Quantization(Strict):
    load_in_4bit: bool
    quant_type: Literal["nf4", "fp4"]
    compute_dtype: Literal["float16", "bfloat16", "float32"]
    double_quant: bool


class Model(Strict):
    source: Literal["hub", "path", "random", "made"] = Field(description="where the weights come from")
    name: str | None = Field(None, description="model on the hub, folder for `path`, or architecture for `random`")
    revision: Commit | None = Field(None, description="its pinned commit, in full")
    gb: PositiveFloat | None = Field(None, description="GB to fetch, for `hub`; null: unknown")
    licence: str | None = Field(None, description="its licence as the hub writes it, for the cards of trained models")
    title: Title | None = Field(None, description="what the report calls it; null: the last part of its name")

    @field_validator("name")
    @classmethod
    def _folder_or_name_on_the_hub(cls, name: str | None, info: ValidationInfo) -> str | None:
        if name is None:
            return None
        return local_path(name) if info.data.get("source") == "path" else hub_name(name)

    @model_validator(mode="after")
    def _source_has_what_it_needs(self) -> "Model":
        needs = {"hub": ("name", "revision"), "path": ("name",), "random": ("name",), "made": ("recipe",)}
        for key in needs[self.source]:
            if getattr(self, key) is None:
                raise ValueError(f"source '{self.source}' needs the key '{key}'")
        return self


class EncoderModel(Model):
    dtype: Literal["float32", "bfloat16", "float16"] = Field("float32", description="type that the weights load as")
    recipe: EncoderRecipe | None = Field(None, description="how a `made` encoder is pretrained")


class DecoderModel(Model):
    recipe: DecoderRecipe | None = Field(None, description="how a `made` decoder is pretrained")
    quantization: Quantization


class Models(Strict):
    encoder: EncoderModel
    decoder: DecoderModel
