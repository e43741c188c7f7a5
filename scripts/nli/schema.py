"""The typed definition of config.yaml: every key of the study, its type, its bounds and what it means.

This is the single source. `nli.config` resolves a file into a `Study`; the JSON schema that editors use and the
reference table in docs/ are generated from these classes (`make schema`), and a test fails when they drift.
Imports nothing heavy: Snakemake loads it at every start.
"""

import difflib
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from nli.labels import LABELS

Label = Literal["entailment", "neutral", "contradiction"]
Split = Literal["matched", "mismatched"]
Positive = Annotated[int, Field(gt=0)]
NonNegative = Annotated[int, Field(ge=0)]


def _number(value: Any) -> Any:
    """YAML 1.1 reads 1e-3 (no dot) as text: take it as the number that was meant."""
    if isinstance(value, str):
        try:
            return float(value)
        except ValueError:
            return value
    return value


Real = Annotated[float, BeforeValidator(_number)]
PositiveFloat = Annotated[Real, Field(gt=0)]
NonNegativeFloat = Annotated[Real, Field(ge=0)]
Probability = Annotated[Real, Field(ge=0, lt=1)]


class Strict(BaseModel):
    """A section that takes its own keys only; an unknown key is an error that names the nearest known one."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    @model_validator(mode="before")
    @classmethod
    def _reject_unknown_keys(cls, values: Any) -> Any:
        if isinstance(values, dict):
            for key in values:
                if key not in cls.model_fields:
                    raise ValueError(unknown(str(key), cls.model_fields))
        return values


def unknown(key: str, known: Any) -> str:
    """The message for a name that is not among `known`, with the nearest one where there is one."""
    near = difflib.get_close_matches(key, list(known), n=1, cutoff=0.6)
    hint = f"did you mean '{near[0]}'?" if near else f"known: {', '.join(known)}"
    return f"unknown name '{key}'; {hint}"


class SyntheticSizes(Strict):
    train: Positive = Field(description="training pairs that the generator makes")
    tune: Positive = Field(description="tuning pairs")
    matched: Positive = Field(description="validation pairs from the training templates")
    mismatched: Positive = Field(description="validation pairs from other templates and words")
    corpus: Positive = Field(description="further pairs whose texts the tiny models are pretrained on")


class Data(Strict):
    source: Literal["hub", "files", "synthetic"] = Field(description="where MultiNLI comes from")
    name: str | None = Field(None, description="data set on the hub")
    revision: str | None = Field(None, description="its pinned commit")
    path: str | None = Field(None, description="folder with train, validation_matched, validation_mismatched")
    train_fraction: Real = Field(gt=0, le=1, description="share of the training set to train on")
    tune_examples: NonNegative = Field(description="examples for selection, from the unused part of train")
    train_examples: Positive | None = Field(None, description="cap on training examples; null: none")
    evaluation_examples: Positive | None = Field(None, description="cap on each validation split; null: none")
    seed: NonNegative = Field(description="seed of the sampling")
    synthetic: SyntheticSizes | None = Field(None, description="sizes of the synthetic splits")

    @model_validator(mode="after")
    def _source_has_what_it_needs(self) -> "Data":
        needs = {"hub": ("name", "revision"), "files": ("path",), "synthetic": ("synthetic",)}
        for key in needs[self.source]:
            if getattr(self, key) is None:
                raise ValueError(f"source '{self.source}' needs the key '{key}'")
        return self


class Recipe(Strict):
    """How the workflow pretrains a tiny model from the data's own texts."""

    layers: Positive
    hidden_size: Positive
    heads: Positive
    vocab_size: Positive = Field(description="size of the byte-level BPE vocabulary")
    max_length: Positive = Field(description="longest pretraining text, in tokens")
    max_positions: Positive = Field(description="positions that the model has")
    initializer_range: PositiveFloat
    steps: Positive
    batch_size: Positive
    learning_rate: PositiveFloat
    weight_decay: NonNegativeFloat
    warmup_fraction: Probability
    cooldown_fraction: PositiveFloat = Field(le=1, description="share of the steps in which the rate falls to zero")


class Connective(Strict):
    """What happens to the word between premise and hypothesis, in shares of the texts."""

    shown: Probability
    masked: Probability
    dropped: Probability = Field(description="left out, and predicted at <s>")


class EncoderRecipe(Recipe):
    mlm_probability: Probability = Field(description="share of masked tokens")
    hypothesis_mlm_probability: Probability = Field(description="in the hypothesis, where the connective is shown")
    connective: Connective
    connective_weight: NonNegativeFloat = Field(description="further weight of the connective in the loss")


class DecoderRecipe(Recipe):
    kv_heads: Positive = Field(description="key-value heads of grouped-query attention")
    answer_weight: PositiveFloat = Field(description="weight of the verdict's token in the loss")
    token_fraction: PositiveFloat = Field(le=1, description="share of the other tokens that carry the loss")


class Quantization(Strict):
    load_in_4bit: bool
    quant_type: Literal["nf4", "fp4"]
    compute_dtype: Literal["float16", "bfloat16", "float32"]
    double_quant: bool


class Model(Strict):
    source: Literal["hub", "path", "made"] = Field(description="where the weights come from")
    name: str | None = Field(None, description="model on the hub, or its folder for `path`")
    revision: str | None = Field(None, description="its pinned commit")

    @model_validator(mode="after")
    def _source_has_what_it_needs(self) -> "Model":
        needs = {"hub": ("name", "revision"), "path": ("name",), "made": ("recipe",)}
        for key in needs[self.source]:
            if getattr(self, key) is None:
                raise ValueError(f"source '{self.source}' needs the key '{key}'")
        return self


class EncoderModel(Model):
    recipe: EncoderRecipe | None = Field(None, description="how a `made` encoder is pretrained")
    quantization: ClassVar[None] = None


class DecoderModel(Model):
    recipe: DecoderRecipe | None = Field(None, description="how a `made` decoder is pretrained")
    quantization: Quantization


class Models(Strict):
    encoder: EncoderModel
    decoder: DecoderModel


class Tokenization(Strict):
    max_length: Positive = Field(description="tokens; what is longer is cut off")
    padding: Literal["max_length", "longest"] = Field(description="pad to max_length, or to the batch's longest")


class Training(Strict):
    learning_rate: PositiveFloat
    batch_size: Positive = Field(description="examples on the device at a time")
    eval_batch_size: Positive | None = Field(None, description="for the evaluation after each epoch")
    gradient_accumulation: Positive = 1
    epochs: PositiveFloat | None = None
    max_steps: Positive | None = Field(None, description="optimizer steps; instead of epochs")
    weight_decay: NonNegativeFloat
    optimizer: Literal["adamw_torch", "paged_adamw_8bit"]
    schedule: Literal["linear", "cosine", "constant"]
    warmup_steps: NonNegative
    max_grad_norm: PositiveFloat
    group_by_length: bool = False
    gradient_checkpointing: bool = False
    logging_steps: Positive
    checkpoint_steps: Positive = Field(description="steps between checkpoints, from which a killed job resumes")

    @model_validator(mode="after")
    def _epochs_or_steps(self) -> "Training":
        if (self.epochs is None) == (self.max_steps is None):
            raise ValueError("give one of 'epochs' and 'max_steps'")
        return self


class Evaluation(Strict):
    splits: list[Split] = Field(min_length=1)
    batch_size: Positive
    examples: Positive | None = Field(None, description="fixed sample of each split; null: all of it")


class Generation(Strict):
    temperature: NonNegativeFloat = Field(description="0: greedy")
    max_new_tokens: Positive


class Lora(Strict):
    r: Positive
    alpha: Positive
    dropout: Probability
    bias: Literal["none", "all", "lora_only"] = "none"
    target_modules: list[str] | None = Field(None, description="null: PEFT's default for the architecture")


class SoftPrompt(Strict):
    num_virtual_tokens: Positive


class Example(Strict):
    premise: str
    hypothesis: str
    answer: str


class Prompt(Strict):
    shots: NonNegative = Field(description="worked examples in the prompt")
    answers: dict[str, Label] = Field(description="what the model may say, and the class it stands for")
    example: Example | None = None
    text: str = Field(description="{premise}, {hypothesis} and {example_...} are filled in")

    @model_validator(mode="after")
    def _complete(self) -> "Prompt":
        require_fields(self.text, "premise", "hypothesis")
        if set(self.answers.values()) != set(LABELS):
            raise ValueError(f"'answers' must stand for each of {', '.join(LABELS)}")
        if (self.shots > 0) != (self.example is not None):
            raise ValueError("'example' goes with shots: 1, and only with it")
        return self


def require_fields(text: str, *fields: str) -> None:
    """Raise ValueError if a template lacks one of the `{fields}` that it must have."""
    for field in fields:
        if "{" + field + "}" not in text:
            raise ValueError(f"'text' must hold {{{field}}}")


class Experiment(Strict):
    """What every experiment states. `family` and `name` come from its key, `family/name`."""

    family: str
    name: str
    title: str = Field(description="its name in the report")
    origin: Literal["reported", "described", "repaired"] = Field(
        "reported", description="reported with figures, described without, or a repair of ours"
    )
    evaluation: Evaluation

    model: ClassVar[str] = "decoder"
    trains: ClassVar[bool] = True

    @property
    def key(self) -> str:
        return f"{self.family}/{self.name}"


class RobertaExperiment(Experiment):
    model: ClassVar[str] = "encoder"

    family: Literal["roberta"]
    method: Literal["full", "lora", "prompt_tuning", "top_layers", "head_only"]
    tokenization: Tokenization
    training: Training
    lora: Lora | None = None
    prompt: SoftPrompt | None = None
    layers: Positive | None = Field(None, description="top layers that train, for top_layers")
    trainable: Literal["method", "word_embeddings"] = Field(
        "method", description="what trains: as the method means it, or the word-embedding table alone"
    )
    pooling: Literal["first", "sentence_start"] = Field(
        "first", description="position that the head reads: 0, or <s> behind the virtual tokens"
    )

    @model_validator(mode="after")
    def _method_has_what_it_needs(self) -> "RobertaExperiment":
        needs = {"lora": "lora", "prompt_tuning": "prompt", "top_layers": "layers"}
        for method, key in needs.items():
            if (self.method == method) != (getattr(self, key) is not None):
                raise ValueError(f"'{key}' goes with method '{method}', and only with it")
        if self.training.eval_batch_size is None:
            raise ValueError("'training' needs the key 'eval_batch_size'")
        if self.pooling == "sentence_start" and self.method != "prompt_tuning":
            raise ValueError("pooling 'sentence_start' goes with method 'prompt_tuning' only")
        return self


class IclExperiment(Experiment):
    trains: ClassVar[bool] = False

    family: Literal["icl"]
    prompt: str = Field(description="a key of `prompts:`")
    generation: Generation


class Sample(Strict):
    premise: str
    hypothesis: str
    label: Label


class QloraExperiment(Experiment):
    family: Literal["qlora"]
    method: Literal["finetune", "merge"] = "finetune"
    adapter: str | None = Field(None, description="experiment whose adapter `merge` merges")
    trainer: Literal["transformers", "trl"]
    text: str = Field(description="training text; what stands before {label} is the evaluation text")
    label_words: dict[Label, str]
    scorers: list[Literal["first_word", "first_label", "most_frequent_label"]] = Field(min_length=1)
    sample: Sample | None = Field(None, description="pair whose answer is shown before and after training")
    loss_on: Literal["all", "label"]
    append_eos: bool
    adapter_dtype: Literal["float32", "bfloat16"]
    tokenization: Tokenization
    lora: Lora
    training: Training
    generation: Generation

    @model_validator(mode="after")
    def _complete(self) -> "QloraExperiment":
        require_fields(self.text, "premise", "hypothesis", "label")
        if set(self.label_words) != set(LABELS):
            raise ValueError(f"'label_words' must name each of {', '.join(LABELS)}")
        if (self.method == "merge") != (self.adapter is not None):
            raise ValueError("'adapter' goes with method 'merge', and only with it")
        return self


class LinearHeadExperiment(Experiment):
    family: Literal["linear_head"]
    text: str
    position: Literal["first", "last"] = Field(description="token whose hidden state the head reads")
    head_dropout: Probability
    tokenization: Tokenization
    lora: Lora
    training: Training

    @model_validator(mode="after")
    def _complete(self) -> "LinearHeadExperiment":
        require_fields(self.text, "premise", "hypothesis")
        return self


FAMILIES: dict[str, type[Experiment]] = {
    "roberta": RobertaExperiment,
    "icl": IclExperiment,
    "qlora": QloraExperiment,
    "linear_head": LinearHeadExperiment,
}


class Study(Strict):
    """The whole study as resolved for one scale: what every rule of the workflow is computed from."""

    scale: Literal["demo", "paper"] = Field(description="which of `scales:` is put over the file's body")
    results: str = Field(description="folder that everything is written to, by scale")
    seeds: list[NonNegative] = Field(min_length=1, description="each experiment runs once per seed")
    only: list[str] = Field(description="experiments or families to run; empty: all")
    finished_only: bool = Field(description="report on the runs that are there, and start no other")
    data: Data
    models: Models
    prompts: dict[str, Prompt]
    experiments: dict[
        str,
        Annotated[
            RobertaExperiment | IclExperiment | QloraExperiment | LinearHeadExperiment,
            Field(discriminator="family"),
        ],
    ]

    @model_validator(mode="after")
    def _consistent(self) -> "Study":
        if len(set(self.seeds)) != len(self.seeds):
            raise ValueError(f"seeds: each seed once, got {self.seeds}")
        for name in self.only:
            if name not in self.experiments and name not in FAMILIES:
                raise ValueError(f"only: {unknown(name, [*FAMILIES, *self.experiments])}")
        for key, experiment in self.experiments.items():
            if isinstance(experiment, IclExperiment) and experiment.prompt not in self.prompts:
                raise ValueError(f"experiments.{key}.prompt: {unknown(experiment.prompt, self.prompts)}")
        return self

    def selected(self) -> list[Experiment]:
        """The experiments that `only` leaves, in the file's order."""
        return [
            experiment
            for key, experiment in self.experiments.items()
            if not self.only or key in self.only or experiment.family in self.only
        ]
