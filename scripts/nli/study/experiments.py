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
    Real,
    Seed,
    SetName,
    Share,
    Strict,
    Title,
    each_once,
    require_fields,
    require_label_last,
    require_only,
    tell_apart,
)
from nli.texts import folded


class Tokenization(Strict):
    max_length: Positive = Field(description="in tokens; longer texts are cut off")
    padding: Literal["max_length", "longest"] = Field(
        description="pad to max_length, or to the longest text of a batch"
    )


class Training(Strict):
    learning_rate: PositiveFloat
    examples: Positive | Share | None = Field(
        None, description="a fixed sample of train to train on: a number of rows, or a share of them; null: all rows"
    )
    batch_size: Positive = Field(description="examples per forward pass on the device")
    eval_batch_size: Positive | None = Field(None, description="for the evaluation after each epoch")
    gradient_accumulation: Positive = 1
    epochs: Annotated[PositiveFloat, Field(le=100_000)] | None = None
    max_steps: Positive | None = Field(None, description="optimizer steps, instead of epochs")
    weight_decay: NonNegativeFloat
    optimizer: Literal["adamw_torch", "paged_adamw_8bit"]
    schedule: Literal["linear", "cosine", "constant"]
    warmup_steps: NonNegative | Share = Field(description="optimizer steps, or a share of all of them")
    max_grad_norm: PositiveFloat
    mixed_precision: Literal["none", "fp16", "bf16"] = Field("none", description="autocast type of the forward pass")
    group_by_length: bool = False
    gradient_checkpointing: bool = False
    logging_steps: Positive
    checkpoint_steps: Positive = Field(description="steps between checkpoints, from which a killed job resumes")

    @model_validator(mode="after")
    def _epochs_or_steps(self) -> "Training":
        if (self.epochs is None) == (self.max_steps is None):
            raise ValueError("set either 'epochs' or 'max_steps'")
        return self


class HeadTraining(Training):
    head_learning_rate: PositiveFloat | None = Field(None, description="learning rate of the head; null: learning_rate")


class TextTraining(Training):
    accumulation: Literal["micro_batches", "tokens"] = Field(
        description="loss of a step with several batches: the mean of the batches' means, or the mean over all tokens"
    )


class Rows(Strict):
    splits: list[SetName] = Field(min_length=1, description="sets of `data.sets` to evaluate on")
    examples: Positive | None = Field(None, description="size of a fixed sample of each split; null: all rows")

    @field_validator("splits")
    @classmethod
    def _each_set_once(cls, splits: list[str]) -> list[str]:
        if len(set(splits)) != len(splits):
            raise ValueError(f"each set once, got {splits}")
        return splits


class Evaluation(Rows):
    batch_size: Positive


class Generation(Strict):
    temperature: NonNegativeFloat | None = Field(
        description="0: greedy; null: as in the decoder's generation_config.json, sampling or not"
    )
    top_k: NonNegative | None = Field(
        None, description="number of most probable tokens to sample from; 0: all; null: the decoder's setting"
    )
    top_p: Annotated[Real, Field(gt=0, le=1)] | None = Field(
        None, description="probability mass to sample from; null: the decoder's setting"
    )
    max_new_tokens: Positive


class Lora(Strict):
    variant: Literal[*VARIANTS] = Field(
        "lora", description="LoRA; rsLoRA, which divides alpha by sqrt(r); or DoRA, which also learns magnitudes"
    )
    r: Positive
    alpha: Positive
    dropout: Probability
    bias: Literal["none", "all", "lora_only"] = "none"
    target_modules: list[str] | None = Field(
        None, min_length=1, description="null: PEFT's default for the architecture"
    )


class Ia3(Strict):
    target_modules: list[str] | None = Field(
        None,
        min_length=1,
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
        "random", description="for prompt tuning: PEFT's normal distribution, or embeddings of frequent words"
    )


CLOZE_FIELDS = ("premise", "premise_unpunctuated", "hypothesis", "mask")


class Cloze(Strict):
    first: str = Field(
        description="first segment; fills in {mask}, {hypothesis} and {premise}, or {premise_unpunctuated}, without "
        "the final punctuation"
    )
    second: str = Field(description="second segment")
    words: dict[Label, str] = Field(description="word of each class at the mask: one token, with its leading space")
    trained: bool = Field(True, description="false: zero-shot, without training")

    @model_validator(mode="after")
    def _complete(self) -> "Cloze":
        both = self.first + self.second
        require_fields(both.replace("{premise_unpunctuated}", "{premise}"), "premise", "hypothesis", "mask")
        if both.count("{mask}") != 1:
            raise ValueError("needs exactly one {mask}, in 'first' or in 'second'")
        for where in ("first", "second"):
            require_only(getattr(self, where), *CLOZE_FIELDS, where=where)
        if set(self.words) != set(LABELS):
            raise ValueError(f"'words' must have a word for each of {', '.join(LABELS)}")
        if len(set(self.words.values())) < len(LABELS) or not all(word.strip() for word in self.words.values()):
            raise ValueError("'words' must be three different words")
        return self


class Example(Strict):
    premise: str
    hypothesis: str
    answer: str


class Prompt(Strict):
    shots: Annotated[int, Field(ge=0, le=64)] = Field(description="number of worked examples in the prompt")
    answers: dict[str, Label] = Field(description="possible answers of the model, and the class that each means")
    example: Example | None = Field(None, description="a fixed worked example in the text")
    drawn: str | None = Field(
        None,
        description="text of each example drawn from train; fills in {premise}, {hypothesis} and {answer}",
    )
    text: str = Field(description="fills in {premise}, {hypothesis} and {example_...}")

    @model_validator(mode="after")
    def _complete(self) -> "Prompt":
        require_fields(self.text, "premise", "hypothesis")
        if set(self.answers.values()) != set(LABELS):
            raise ValueError(f"'answers' must cover each of {', '.join(LABELS)}")
        tell_apart(self.answers, "answers")
        if (self.shots > 0) != (self.example is not None or self.drawn is not None) or (self.example and self.drawn):
            raise ValueError("shots need either 'example' or 'drawn'; without shots, leave both out")
        if self.example is not None and self.shots != 1:
            raise ValueError("'example' is a single example; set shots: 1")
        if self.example is not None and folded(self.example.answer) not in map(folded, self.answers):
            raise ValueError(f"the example's answer '{self.example.answer}' is none of: {', '.join(self.answers)}")
        shown = tuple(f"example_{name}" for name in Example.model_fields) if self.example else ()
        require_only(self.text, "premise", "hypothesis", *shown)
        if self.drawn is not None:
            require_fields(self.drawn, "premise", "hypothesis", "answer", where="drawn")
            require_only(self.drawn, "premise", "hypothesis", "answer", where="drawn")
        return self


ORIGINS = ("reported", "described", "repaired", "ours")


class Experiment(Strict):
    """The keys that every experiment has. `family` and `name` come from its key, `family/name`."""

    family: str
    name: str
    title: Title = Field(description="its name in the report")
    origin: Literal["reported", "described", "repaired", "ours"] = Field(
        description="in the original, with or without figures; our repair of a failure there; or ours alone"
    )
    extra: bool = Field(False, description="an extra step of a ladder, which runs only with `rungs: all`")
    skip: bool = Field(
        False, description="left out, whatever `rungs` says, unless `only` names it: lets a scale leave it out"
    )
    compared_with: str | None = Field(
        None, description="experiment that the report compares this one with; for a repair, the one that it repairs"
    )
    seeds: list[Seed] | None = Field(
        None, min_length=1, description="the experiment runs once per seed; null: the study's `seeds`"
    )
    evaluation: Evaluation

    model: ClassVar[str | None] = "decoder"  # the base model's role; None without one
    trains: ClassVar[bool] = True
    scorer: ClassVar[str] = "classifier"  # for a family whose experiments do not choose their scorers
    epochs_evaluated: ClassVar[bool] = False  # whether a training answers the matched split after each epoch
    speed_matters: ClassVar[tuple[str, ...]] = ()  # the jobs, "train" or "predict", that the study's `speed` changes

    @field_validator("seeds")
    @classmethod
    def _each_seed_once(cls, seeds: list[int] | None) -> list[int] | None:
        return each_once(seeds)

    @property
    def key(self) -> str:
        return f"{self.family}/{self.name}"

    def prediction_texts(self, prompts: Mapping[str, Prompt]) -> dict[str, Any]:
        """What its predictions depend on outside the experiment itself, among the study's `prompts`."""
        return {}

    @property
    def scorer_names(self) -> list[str]:
        """The ways in which its answers are judged; the first represents the experiment."""
        return list(getattr(self, "scorers", None) or [self.scorer])


class RobertaExperiment(Experiment):
    model: ClassVar[str] = "encoder"
    epochs_evaluated: ClassVar[bool] = True
    speed_matters: ClassVar[tuple[str, ...]] = ("train",)

    family: Literal["roberta"]
    method: Literal[*METHODS]
    tokenization: Tokenization
    training: Training
    lora: Lora | None = None
    ia3: Ia3 | None = None
    prompt: SoftPrompt | None = None
    cloze: Cloze | None = None
    layers: Annotated[int, Field(gt=0, le=1000)] | None = Field(
        None, description="number of top layers that train, for top_layers"
    )
    trainable: Literal["method", "word_embeddings"] = Field(
        "method", description="what trains: what the method intends, or only the word-embedding table"
    )
    pooling: Literal["first", "sentence_start"] = Field(
        "first", description="position that the head reads: 0, or <s> after the virtual tokens"
    )

    @model_validator(mode="after")
    def _method_has_what_it_needs(self) -> "RobertaExperiment":
        for key in dict.fromkeys(method.section for method in METHODS.values() if method.section):
            methods = [name for name, method in METHODS.items() if method.section == key]
            if (self.method in methods) != (getattr(self, key) is not None):
                raise ValueError(f"'{key}' belongs to method '{' or '.join(methods)}' and to no other")
        if self.training.eval_batch_size is None:
            raise ValueError("'training' needs the key 'eval_batch_size'")
        for key, value in (("pooling", self.pooling), ("prompt.init", self.prompt and self.prompt.init)):
            methods = [name for name, method in METHODS.items() if value in method.allows]
            if methods and self.method not in methods:
                known = " or ".join(f"'{name}'" for name in methods)
                raise ValueError(f"{key} '{value}' needs method {known}")
        return self


LabelScorer = Literal["label_logp", "calibrated_logp"]  # by the label words' probabilities, after Zhao et al. 2021


PREPARED = "answer as prepare_model_for_kbit_training leaves the decoder: norms, embeddings and head in float32"


class IclExperiment(Experiment):
    trains: ClassVar[bool] = False
    scorer: ClassVar[str] = "parsed"
    speed_matters: ClassVar[tuple[str, ...]] = ("predict",)

    family: Literal["icl"]
    prompt: str = Field(description="a key of `prompts:`")
    chat: bool = Field(False, description="whether the prompt is a user's message in the decoder's chat template")
    order: Annotated[int, Field(ge=0, le=2)] = Field(0, description="class that a prompt's drawn examples start with")
    draws: Positive = Field(1, description="number of draws of examples; the answered pairs are divided among them")
    scorers: list[Literal["parsed"] | LabelScorer] = Field(min_length=1, description="ways to judge the answers")
    prepared: bool = Field(description=PREPARED)
    generation: Generation

    def prediction_texts(self, prompts: Mapping[str, Prompt]) -> dict[str, Any]:
        """The whole prompt that it names."""
        return {"prompt": {"name": self.prompt, **prompts[self.prompt].model_dump(mode="json")}}


class Sample(Strict):
    premise: str
    hypothesis: str
    label: Label


UNQUANTIZED = ("original", "dequantized")  # a merge into these leaves a model in 16 bits


class QloraExperiment(Experiment):
    speed_matters: ClassVar[tuple[str, ...]] = ("train", "predict")

    family: Literal["qlora"]
    method: Literal["finetune", "merge", "answer"] = Field(
        "finetune", description="train an adapter, merge another experiment's, or answer with another's unmerged"
    )
    adapter: str | None = Field(None, description="experiment whose adapter `merge` or `answer` uses")
    merge_into: Literal["4bit", "original", "dequantized"] | None = Field(
        None, description="weights that `merge` adds to: the 4-bit, the published, or the dequantized ones"
    )
    trainer: Literal["transformers", "trl"]
    text: str = Field(description="training text")
    evaluation_text: str | None = Field(
        None, description="the prompt for answering; null: the training text up to the label"
    )
    label_words: dict[Label, str]
    scorers: list[Literal["first_word", "first_label", "most_frequent_label"] | LabelScorer] = Field(min_length=1)
    sample: Sample | None = Field(None, description="a pair that is answered before and after training")
    loss_on: Literal["all", "label", "padded"] = Field(
        description="tokens in the loss: the whole text, the label and what follows it, or the text and its padding"
    )
    append_eos: bool
    mask_end_token: bool = Field(
        True, description="mask every token equal to the padding token in the loss, even an end token"
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
            raise ValueError(f"'label_words' must have a word for each of {', '.join(LABELS)}")
        tell_apart(self.label_words.values(), "label_words")
        require_only(self.text, "premise", "hypothesis", "label")
        require_label_last(self.text)
        if self.evaluation_text is not None:
            require_fields(self.evaluation_text, "premise", "hypothesis", where="evaluation_text")
            require_only(self.evaluation_text, "premise", "hypothesis", where="evaluation_text")
        if (self.method == "finetune") != (self.adapter is None):
            raise ValueError("'adapter' belongs to methods 'merge' and 'answer' and to no other")
        if (self.method == "merge") != (self.merge_into is not None):
            raise ValueError("'merge_into' belongs to method 'merge' and to no other")
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
        require_only(self.text, "premise", "hypothesis")
        if self.head == "library" and (self.position != "last" or self.head_dropout):
            raise ValueError("head 'library' reads the last token without dropout: position last, head_dropout 0.0")
        return self


class BagOfNgrams(Strict):
    ngrams: list[Positive] = Field(min_length=2, max_length=2, description="shortest and longest n-gram, in words")
    min_count: Positive = Field(description="least number of training hypotheses that contain an n-gram")
    C: list[PositiveFloat] = Field(
        min_length=1, description="inverse regularisation strengths; the best on `tune` is chosen"
    )

    @field_validator("ngrams")
    @classmethod
    def _shortest_first(cls, ngrams: list[int]) -> list[int]:
        if ngrams[0] > ngrams[1]:
            raise ValueError(f"the shortest n-gram comes first, got {ngrams}")
        return ngrams


class BaselineExperiment(Experiment):
    model: ClassVar[None] = None
    trains: ClassVar[bool] = False

    family: Literal["baseline"]
    origin: Literal["baseline"] = Field(description="a chance baseline, for comparison")
    evaluation: Rows
    method: Literal["majority", "hypothesis_only"] = Field(
        description="the most frequent class of train, or a linear model that never sees the premise"
    )
    features: BagOfNgrams | None = None

    @model_validator(mode="after")
    def _method_has_what_it_needs(self) -> "BaselineExperiment":
        if (self.method == "hypothesis_only") != (self.features is not None):
            raise ValueError("'features' belongs to method 'hypothesis_only' and to no other")
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
