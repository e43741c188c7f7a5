"""The encoder's fine-tuning methods and LoRA's variants: everything the study and its report know about each.

A new method needs an entry here and a function of the same name in `nli.models.methods`; its own config section, if
any, needs a class and a key in `experiments`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

HEAD = r"(^|\.)(classifier|score|head|coef|intercept)(\.|$)"  # the names of a head's tensors


@dataclass(frozen=True)
class Method:
    """A method of fine-tuning the encoder.

    Attributes:
        trains: what trains, in words; {updates} and {layers} are those of the method's section.
        section: the key of an experiment that goes with this method, and only with those that name it.
        parts: the parts of a model that are the method's own, with a pattern for the names of their tensors.
        allows: values of `pooling` and `prompt.init`, other than the default, that the method can take.
        masked: the encoder is loaded as a masked language model, without a new head.
        adapter: PEFT makes it, and saves it apart from its base.
    """

    trains: str
    section: str | None = None
    parts: Mapping[str, str] = field(default_factory=dict)
    allows: tuple[str, ...] = ()
    masked: bool = False
    adapter: bool = False


ADAPTER = {"adapter": "lora_|ia3_"}
PROMPT = {"prompt": "prompt_encoder|prompt_embeddings"}
METHODS = {
    "full": Method("every weight"),
    "lora": Method("{updates} of {layers}, and the head", section="lora", parts=ADAPTER, adapter=True),
    "ia3": Method("factors of {layers}, and the head", section="ia3", parts=ADAPTER, adapter=True),
    "bitfit": Method("every bias, and the head", parts={"biases": rf"^(?!.*{HEAD}).*bias$"}),
    "prompt_tuning": Method(
        "virtual tokens before the input, and the head",
        section="prompt",
        parts=PROMPT,
        allows=("sentence_start", "vocabulary"),
        adapter=True,
    ),
    "p_tuning": Method(
        "a network that makes the virtual tokens, and the head",
        section="prompt",
        parts=PROMPT,
        allows=("sentence_start",),
        adapter=True,
    ),
    "prefix_tuning": Method(
        "keys and values before every layer, and the head", section="prompt", parts=PROMPT, adapter=True
    ),
    "cloze": Method("every weight, asked at the mask", section="cloze", masked=True),
    "top_layers": Method("the last layers and the head", section="layers"),
    "head_only": Method("the classifier head"),
}


class Variant(NamedTuple):
    """A variant of LoRA: its name, and what trains, in words."""

    title: str
    updates: str


VARIANTS = {
    "lora": Variant("LoRA", "low-rank updates"),
    "rslora": Variant("rsLoRA", "low-rank updates, scaled by alpha over the root of r,"),
    "dora": Variant("DoRA", "magnitudes and low-rank updates"),
}
