"""The typed definition of `experiments:` and `prompts:`, one class for each family."""

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, field_validator, model_validator

from nli.base.labels import LABELS
from nli.study.methods import METHODS, VARIANTS
from nli.study.types import (
    Label,
    NonNegative,
    NonNegativeFloat,
    Positive,
    PositiveFloat,
    Probability,
    SetName,
    Strict,
    each_once,
    require_fields,
)


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
    mixed_precision: Literal["none", "fp16", "bf16"] = Field("none", description="autocast of the forward pass")
    group_by_length: bool = False
    gradient_checkpointing: bool = False
    logging_steps: Positive
    checkpoint_steps: Positive = Field(description="steps between checkpoints, from which a killed job resumes")

    @model_validator(mode="after")
    def _epochs_or_steps(self) -> "Training":
        if (self.epochs is None) == (self.max_steps is None):
            raise ValueError("give one of 'epochs' and 'max_steps'")
        return self


class HeadTraining(Training):
    head_learning_rate: PositiveFloat | None = Field(None, description="the head's own; null: learning_rate for all")


class TextTraining(Training):
    accumulation: Literal["micro_batches", "tokens"] = Field(
        description="loss of a step of several batches: the mean of the batches' means, or the mean over all its tokens"
    )


class Rows(Strict):
    splits: list[SetName] = Field(min_length=1, description="the sets of `data.sets` that are answered")
    examples: Positive | None = Field(None, description="fixed sample of each split; null: all of it")


class Evaluation(Rows):
    batch_size: Positive


class Generation(Strict):
    temperature: NonNegativeFloat | None = Field(
        description="0: greedy; null: whatever the decoder's generation_config.json says, sampling or not"
    )
    top_k: NonNegative | None = Field(
        None, description="most probable tokens to draw from; 0: all; null: the decoder's"
    )
    top_p: Annotated[float, Field(gt=0, le=1)] | None = Field(
        None, description="share of the probability to draw from; null: the decoder's"
    )
    max_new_tokens: Positive


class Lora(Strict):
    variant: Literal[*VARIANTS] = Field(
        "lora", description="LoRA; rsLoRA, which divides alpha by the root of r; DoRA, which learns magnitudes too"
    )
    r: Positive
    alpha: Positive
    dropout: Probability
    bias: Literal["none", "all", "lora_only"] = "none"
    target_modules: list[str] | None = Field(None, description="null: PEFT's default for the architecture")


class Ia3(Strict):
    target_modules: list[str] | None = Field(
        None,
        description="layers that get factors, of their outputs; null in both keys: PEFT's own",
    )
    feedforward_modules: list[str] | None = Field(
        None, description="those of them that get factors of their inputs instead; []: none"
    )

    @model_validator(mode="after")
    def _both_or_neither(self) -> "Ia3":
        if (self.target_modules is None) != (self.feedforward_modules is None):
            raise ValueError("state both of 'target_modules' and 'feedforward_modules', or neither")
        for module in self.feedforward_modules or ():
            if module not in self.target_modules:
                raise ValueError(
                    f"feedforward_modules: '{module}' is not among target_modules ({', '.join(self.target_modules)}); "
                    "add it there, or state feedforward_modules: []"
                )
        return self


class SoftPrompt(Strict):
    num_virtual_tokens: Positive
    init: Literal["random", "vocabulary"] = Field(
        "random", description="of prompt tuning: PEFT's normal distribution, or embeddings of frequent words"
    )


class Cloze(Strict):
    first: str = Field(
        description="first segment; {mask}, {hypothesis} and {premise} are filled in, or {premise_unpunctuated}, "
        "without the punctuation at its end"
    )
    second: str = Field(description="second segment")
    words: dict[Label, str] = Field(description="what may stand at the mask: one token each, leading space included")
    trained: bool = Field(True, description="false: zero-shot, the encoder answers as it is")

    @model_validator(mode="after")
    def _complete(self) -> "Cloze":
        both = self.first + self.second
        require_fields(both.replace("{premise_unpunctuated}", "{premise}"), "premise", "hypothesis", "mask")
        if both.count("{mask}") != 1:
            raise ValueError("one {mask}, in 'first' or in 'second'")
        if set(self.words) != set(LABELS):
            raise ValueError(f"'words' must name each of {', '.join(LABELS)}")
        return self


class Example(Strict):
    premise: str
    hypothesis: str
    answer: str


class Prompt(Strict):
    shots: NonNegative = Field(description="worked examples in the prompt")
    answers: dict[str, Label] = Field(description="what the model may say, and the class it stands for")
    example: Example | None = Field(None, description="a worked example that the text shows")
    drawn: str | None = Field(
        None,
        description="text of each example drawn from train; {premise}, {hypothesis}, {answer} are filled in",
    )
    text: str = Field(description="{premise}, {hypothesis} and {example_...} are filled in")

    @model_validator(mode="after")
    def _complete(self) -> "Prompt":
        require_fields(self.text, "premise", "hypothesis")
        if set(self.answers.values()) != set(LABELS):
            raise ValueError(f"'answers' must stand for each of {', '.join(LABELS)}")
        if (self.shots > 0) != (self.example is not None or self.drawn is not None) or (self.example and self.drawn):
            raise ValueError("one of 'example' and 'drawn' goes with shots, and only with them")
        if self.example is not None and self.shots != 1:
            raise ValueError("'example' is one: shots: 1")
        if self.drawn is not None:
            require_fields(self.drawn, "premise", "hypothesis", "answer", where="drawn")
        return self


ORIGINS = ("reported", "described", "repaired", "ours")


class Experiment(Strict):
    """What every experiment states. `family` and `name` come from its key, `family/name`."""

    family: str
    name: str
    title: str = Field(description="its name in the report")
    origin: Literal["reported", "described", "repaired", "ours"] = Field(
        description="in the original with figures or without; our repair of a failure there; ours, not there"
    )
    extra: bool = Field(False, description="an extra step of a ladder, which runs with `rungs: all` only")
    compared_with: str | None = Field(
        None, description="experiment that the report compares this one with; of a repair, the one that it repairs"
    )
    seeds: list[NonNegative] | None = Field(
        None, min_length=1, description="it runs once per seed; null: the study's `seeds`"
    )
    evaluation: Evaluation

    model: ClassVar[str | None] = "decoder"  # the base model's role; None: it uses none
    trains: ClassVar[bool] = True
    scorer: ClassVar[str] = "classifier"  # of a family whose experiments do not choose their scorers
    epochs_evaluated: ClassVar[bool] = False  # a training answers the matched split after each epoch

    @field_validator("seeds")
    @classmethod
    def _each_seed_once(cls, seeds: list[int] | None) -> list[int] | None:
        return each_once(seeds)

    @property
    def key(self) -> str:
        return f"{self.family}/{self.name}"

    def prediction_texts(self, prompts: Mapping[str, Prompt]) -> dict[str, Any]:
        """What its predictions depend on that the study states elsewhere, among its `prompts`."""
        return {}

    @property
    def scorer_names(self) -> list[str]:
        """The ways in which its answers are judged; the first stands for the experiment."""
        return list(getattr(self, "scorers", None) or [self.scorer])


class RobertaExperiment(Experiment):
    model: ClassVar[str] = "encoder"
    epochs_evaluated: ClassVar[bool] = True

    family: Literal["roberta"]
    method: Literal[*METHODS]
    tokenization: Tokenization
    training: Training
    lora: Lora | None = None
    ia3: Ia3 | None = None
    prompt: SoftPrompt | None = None
    cloze: Cloze | None = None
    layers: Positive | None = Field(None, description="top layers that train, for top_layers")
    trainable: Literal["method", "word_embeddings"] = Field(
        "method", description="what trains: as the method means it, or the word-embedding table alone"
    )
    pooling: Literal["first", "sentence_start"] = Field(
        "first", description="position that the head reads: 0, or <s> behind the virtual tokens"
    )

    @model_validator(mode="after")
    def _method_has_what_it_needs(self) -> "RobertaExperiment":
        for key in dict.fromkeys(method.section for method in METHODS.values() if method.section):
            methods = [name for name, method in METHODS.items() if method.section == key]
            if (self.method in methods) != (getattr(self, key) is not None):
                raise ValueError(f"'{key}' goes with method '{' or '.join(methods)}', and only with it")
        if self.training.eval_batch_size is None:
            raise ValueError("'training' needs the key 'eval_batch_size'")
        for key, value in (("pooling", self.pooling), ("prompt.init", self.prompt and self.prompt.init)):
            methods = [name for name, method in METHODS.items() if value in method.allows]
            if methods and self.method not in methods:
                known = " or ".join(f"'{name}'" for name in methods)
                raise ValueError(f"{key} '{value}' goes with method {known} only")
        return self


LabelScorer = Literal["label_logp", "calibrated_logp"]  # by the label words' probabilities, after Zhao et al. 2021


PREPARED = "answer as prepare_model_for_kbit_training leaves the decoder: norms, embeddings and head in float32"


class IclExperiment(Experiment):
    trains: ClassVar[bool] = False
    scorer: ClassVar[str] = "parsed"

    family: Literal["icl"]
    prompt: str = Field(description="a key of `prompts:`")
    order: Annotated[int, Field(ge=0, le=2)] = Field(0, description="class that a prompt's drawn examples start with")
    draws: Positive = Field(1, description="draws of examples, among which the answered pairs are shared out")
    scorers: list[Literal["parsed"] | LabelScorer] = Field(min_length=1, description="ways to judge the answers")
    prepared: bool = Field(description=PREPARED)
    generation: Generation

    def prediction_texts(self, prompts: Mapping[str, Prompt]) -> dict[str, Any]:
        """The whole of the prompt that it names."""
        return {"prompt": {"name": self.prompt, **prompts[self.prompt].model_dump(mode="json")}}


class Sample(Strict):
    premise: str
    hypothesis: str
    label: Label


UNQUANTIZED = ("original", "dequantized")  # what a merge into these leaves in 16 bits


class QloraExperiment(Experiment):
    family: Literal["qlora"]
    method: Literal["finetune", "merge", "answer"] = Field(
        "finetune", description="train an adapter, merge another's, or answer with another's as it is"
    )
    adapter: str | None = Field(None, description="experiment whose adapter `merge` merges or `answer` answers with")
    merge_into: Literal["4bit", "original", "dequantized"] | None = Field(
        None, description="weights that `merge` adds to: the 4-bit ones, the published ones, the 4-bit ones in 16 bits"
    )
    trainer: Literal["transformers", "trl"]
    text: str = Field(description="training text")
    evaluation_text: str | None = Field(
        None, description="what the model is asked with; null: the training text up to the label"
    )
    label_words: dict[Label, str]
    scorers: list[Literal["first_word", "first_label", "most_frequent_label"] | LabelScorer] = Field(min_length=1)
    sample: Sample | None = Field(None, description="pair whose answer is shown before and after training")
    loss_on: Literal["all", "label", "padded"] = Field(
        description="tokens that carry the loss: the text's, the label and what follows it, or the padding's too"
    )
    append_eos: bool
    mask_end_token: bool = Field(
        True, description="leave what equals the padding token, an end token too, out of the loss"
    )
    adapter_dtype: Literal["float32", "bfloat16"]
    tokenization: Tokenization
    lora: Lora
    training: TextTraining
    prepared: bool = Field(description=PREPARED)
    generation: Generation

    @model_validator(mode="after")
    def _complete(self) -> "QloraExperiment":
        require_fields(self.text, "premise", "hypothesis", "label")
        if set(self.label_words) != set(LABELS):
            raise ValueError(f"'label_words' must name each of {', '.join(LABELS)}")
        if self.evaluation_text is not None:
            require_fields(self.evaluation_text, "premise", "hypothesis", where="evaluation_text")
        if (self.method == "finetune") != (self.adapter is None):
            raise ValueError("'adapter' goes with method 'merge' or 'answer', and only with them")
        if (self.method == "merge") != (self.merge_into is not None):
            raise ValueError("'merge_into' goes with method 'merge', and only with it")
        if self.loss_on == "padded" and (self.tokenization.padding != "max_length" or self.mask_end_token):
            raise ValueError("loss_on 'padded' needs tokenization.padding 'max_length' and mask_end_token false")
        return self


class LinearHeadExperiment(Experiment):
    family: Literal["linear_head"]
    text: str
    head: Literal["linear", "library"] = Field(
        "linear", description="the original's layer, or transformers' AutoModelForSequenceClassification"
    )
    position: Literal["first", "last"] = Field(description="token whose hidden state the head reads")
    head_dropout: Probability
    tokenization: Tokenization
    lora: Lora
    training: HeadTraining

    @model_validator(mode="after")
    def _complete(self) -> "LinearHeadExperiment":
        require_fields(self.text, "premise", "hypothesis")
        if self.head == "library" and (self.position != "last" or self.head_dropout):
            raise ValueError("head 'library' reads the last token without dropout: position last, head_dropout 0.0")
        return self


class BagOfNgrams(Strict):
    ngrams: list[Positive] = Field(min_length=2, max_length=2, description="shortest and longest, in words")
    min_count: Positive = Field(description="training hypotheses that an n-gram must stand in")
    C: list[PositiveFloat] = Field(min_length=1, description="inverse regularisation; the best on `tune` is taken")


class BaselineExperiment(Experiment):
    model: ClassVar[None] = None
    trains: ClassVar[bool] = False

    family: Literal["baseline"]
    origin: Literal["baseline"] = Field(description="what chance gives, for comparison")
    evaluation: Rows
    method: Literal["majority", "hypothesis_only"] = Field(
        description="the most frequent class of train, or a linear model that never sees the premise"
    )
    features: BagOfNgrams | None = None

    @model_validator(mode="after")
    def _method_has_what_it_needs(self) -> "BaselineExperiment":
        if (self.method == "hypothesis_only") != (self.features is not None):
            raise ValueError("'features' goes with method 'hypothesis_only', and only with it")
        return self


FAMILIES: dict[str, type[Experiment]] = {
    "baseline": BaselineExperiment,
    "roberta": RobertaExperiment,
    "icl": IclExperiment,
    "qlora": QloraExperiment,
    "linear_head": LinearHeadExperiment,
}


def uses_model(spec: Mapping[str, Any]) -> bool:
    """Whether a resolved experiment uses a base model; a chance baseline does not."""
    return FAMILIES[spec["family"]].model is not None
