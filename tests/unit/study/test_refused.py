"""What a config may not say: every case is refused with one line before anything runs, and none gives a traceback."""

import copy
import re

import pytest

from nli.base.errors import StudyError
from nli.base.labels import LABELS
from nli.study.resolve import load_study


def resolve(config, overrides=None):
    return load_study(copy.deepcopy(config), overrides)


# Sizes and texts that no run could use, each with what its refusal says.
UNUSABLE = [
    (
        {"families": {"roberta": {"training": {"learning_rate": float("inf")}}}},
        "learning_rate: input should be a finite",
    ),
    ({"families": {"roberta": {"training": {"epochs": float("inf")}}}}, "epochs: input should be a finite"),
    ({"families": {"qlora": {"training": {"max_grad_norm": float("inf")}}}}, "max_grad_norm: input should be a finite"),
    ({"families": {"icl": {"generation": {"temperature": float("inf")}}}}, "temperature: input should be a finite"),
    ({"families": {"roberta": {"tokenization": {"max_length": 10**70}}}}, "max_length: input should be less than"),
    ({"seeds": [2**32]}, "seeds.0: input should be less than"),
    ({"families": {"icl": {"evaluation": {"splits": ["matched", "matched"]}}}}, "splits: each set once"),
    ({"experiments": {"roberta/top_layers": {"layers": 10**6}}}, "layers: input should be less than"),
    ({"prompts": {"prompt1_shot": {"shots": 10**6}}}, "shots: input should be less than"),
    ({"families": {"qlora": {"lora": {"target_modules": []}}}}, "target_modules: list should have at least 1 item"),
    (
        {"experiments": {"baseline/hypothesis_only": {"features": {"ngrams": [3, 1]}}}},
        "the shortest n-gram comes first",
    ),
    ({"prompts": {"prompt1": {"answers": {"entailment": "neutral"}}}}, "cannot be told from 'entailment'"),
    ({"prompts": {"prompt1": {"answers": {"": "neutral"}}}}, "'answers' holds an empty word"),
    ({"prompts": {"prompt2": {"answers": {"Not": "neutral"}}}}, "'no' cannot be told from 'not'"),
    ({"families": {"qlora": {"label_words": {"neutral": "Entail"}}}}, "'entail' cannot be told from 'entailment'"),
    ({"experiments": {"qlora/attempt2": {"text": "{label} {premise} {hypothesis}"}}}, "{label} once, after"),
    ({"experiments": {"qlora/attempt2": {"text": "{premise} {hypothesis} {label} {label}"}}}, "{label} once, after"),
    ({"prompts": {"prompt1": {"text": "{premise} {hypothesis} {x}"}}}, "holds {x}, which nothing fills"),
    ({"prompts": {"prompt1": {"text": "{premise} {hypothesis} {answer}"}}}, "holds {answer}, which nothing fills"),
    ({"prompts": {"prompt4": {"example": {"answer": "perhaps"}}}}, "the example's answer 'perhaps' is none of"),
    ({"scale": "paper", "models": {"encoder": {"revision": "main"}}}, "models.encoder.revision: string should match"),
    ({"scale": "paper", "models": {"encoder": {"revision": ""}}}, "models.encoder.revision: string should match"),
    ({"scale": "paper", "models": {"encoder": {"revision": "--output-dir"}}}, "models.encoder.revision: string should"),
    *(({"results": path}, "results: takes a ") for path in ("/", ".", "..", "../x", "-x", "~", "scripts", "s3://x")),
    ({"results": "rules/x"}, "results: takes a folder that the repository does not use"),
    ({"experiments": {"roberta/lora": {"name": "../x"}}}, "experiments.roberta/lora.name: is 'lora'"),
    ({"experiments": {"roberta/lora": {"family": "icl"}}}, "experiments.roberta/lora.family: is 'roberta'"),
    (
        {"experiments": {"roberta/lora": {"title": "Full fine-tuning"}}},
        "title: 'Full fine-tuning' is that of roberta/full",
    ),
    ({"experiments": {"roberta/lora": {"extends": ["a"]}}}, "takes the name of one experiment to take from"),
    ({"experiments": {7: {}}}, "experiments.7: takes a name 'family/name'"),
    ({"experiments": {"roberta/lora": None}}, "experiments.roberta/lora: takes a section"),
    ({"experiments": {"roberta/lora": 5}}, "experiments.roberta/lora: takes a section"),
    ({"experiments": {None: {}}}, "experiments.None: takes a name 'family/name'"),
    ({"experiments": {"roberta/lora": {"extends": {}}}}, "takes the name of one experiment to take from"),
    ({"experiments": {"roberta/℘": {}}}, "takes a name 'family/name'"),
    ({"experiments": {f"roberta/{'x' * 101}": {}}}, "takes a name 'family/name'"),
    (
        {"experiments": {"roberta/lora": {"compared_with": "roberta/lora"}}},
        "compared_with: unknown name 'roberta/lora'",
    ),
    ({"families": {7: {}}}, "families: unknown name '7'"),
    ({"models": None}, "models: input should be a valid dictionary"),
    ({"models": [1]}, "models: takes a section"),
    ({"families": {"roberta": {"training": {"epochs": 1e300}}}}, "epochs: input should be less than"),
    ({"families": {"icl": {"generation": {"top_p": float("nan")}}}}, "top_p: input should be"),
    ({"prompts": {"prompt1": {"answers": {"ENTAILMENT": "neutral"}}}}, "cannot be told from 'entailment'"),
    ({"prompts": {"prompt1": {"answers": {"é": "neutral", "e\u0301": "neutral"}}}}, "'é' cannot be told from 'é'"),
    ({"families": {"qlora": {"label_words": {"neutral": "ENTAILMENT"}}}}, "cannot be told from 'entailment'"),
    (
        {"prompts": {"prompt1_shot": {"drawn": "{premise} {hypothesis} {answer} {x}"}}},
        "'drawn' holds {x}, which nothing",
    ),
    (
        {"experiments": {"roberta/cloze_zero_shot": {"cloze": {"first": "{premise} {x}"}}}},
        "'first' holds {x}, which nothing fills",
    ),
    (
        {"experiments": {"roberta/cloze_zero_shot": {"cloze": {"words": dict.fromkeys(LABELS, " Yes")}}}},
        "'words' must be three different words",
    ),
    *(
        ({"scale": "paper", "models": {"encoder": {"name": name}}}, "models.encoder.name: takes a name on the hub")
        for name in ("../../x", "/etc", "-x/y", "a/b/c", "", "a/..")
    ),
    ({"scale": "paper", "data": {"name": "../x"}}, "data.name: takes a name on the hub"),
    *(
        ({"data": {"source": "files", "path": path}}, "data.path: takes a path")
        for path in ("a{b}", "-x", "", "s3://x", "x" * 256)
    ),
    ({"models": {"encoder": {"source": "path", "name": "a{b}"}}}, "models.encoder.name: takes a path"),
    ({"cache": "a{b}"}, "cache: takes a path"),
    ({"data": {"sets": {"own": {"title": "Own", "source": {"path": "a{b}"}}}}}, "takes a path"),
    ({"results": "README.md"}, "results: takes a folder, got the file 'README.md'"),
    *(
        ({"experiments": {"roberta/lora": {"title": title}}}, "title: takes one line of text")
        for title in ("", "  ", "a\nb", "a\tb")
    ),
    *(
        (
            {"experiments": {"roberta/lora": {"title": f"a{character}b"}}},
            "'experiments.roberta/lora.title': takes no control",
        )
        for character in "\0\x1b\r\x7f\x85\ud800\u2028"
    ),
    ({"prompts": {"prompt1": {"text": "{premise} {hypothesis}\0"}}}, "'prompts.prompt1.text': takes no control"),
    (
        {"experiments": {"roberta/lora": {"title": " full  fine-tuning"}}},
        "title: 'full  fine-tuning' is that of roberta/full",
    ),
]


@pytest.mark.parametrize(("overrides", "message"), UNUSABLE)
def test_what_no_run_could_use_is_refused_by_its_key(config, overrides, message):
    with pytest.raises(StudyError, match=re.escape(message)):
        resolve(config, overrides)


@pytest.mark.parametrize(
    ("scales", "message"),
    [
        (None, "scales: takes a section"),
        ("demo", "scales: takes a section"),
        ({"mine": 5}, "scales.mine: takes a section"),
        ({"mine": {"modles": {}}}, "scales.mine: unknown name 'modles'; did you mean 'models'?"),
        ({"mine": {"data": {"sorce": "hub"}}}, "scales.mine.data: unknown name 'sorce'; did you mean 'source'?"),
        ({"mine": {"data": {"seed": -1}}}, "scales.mine.data.seed: input should be greater than or equal to 0, got -1"),
        ({"mine": {"own_data": {"sed": 1}}}, "scales.mine.own_data: unknown name 'sed'"),
        ({"mine": {"families": {"roberta": {"layres": 1}}}}, "scales.mine.families.roberta: unknown name 'layres'"),
        (
            {"mine": {"experiments": {"roberta/lora": {"training": {"epochs": "many"}}}}},
            "scales.mine.experiments.roberta/lora.training.epochs: input should be a valid number",
        ),
        ({"mine": {"prompts": {"mine": {"shot": 1}}}}, "scales.mine.prompts.mine: unknown name 'shot'"),
        ({"mine": {"extends": ["demo"]}}, "scales.mine.extends: unknown name '['demo']'"),
        ({"mine": {"extends": "dmo"}}, "scales.mine.extends: unknown name 'dmo'"),
        ({7: {}}, "scales.7: takes a name"),
    ],
)
def test_table_of_scales_is_checked_whichever_is_chosen(config, scales, message):
    table = {**config["scales"], **scales} if isinstance(scales, dict) else scales
    with pytest.raises(StudyError, match=re.escape(message)):
        resolve({**config, "scales": table})


def endless():
    section = {}
    section["roberta/lora"] = section
    return section


def bomb():
    values = ["x"] * 10
    for _ in range(30):
        values = [values] * 10
    return values


def deep(levels):
    values = []
    for _ in range(levels):
        values = [values]
    return values


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"experiments": endless()}, "an alias (*name) stands within its own anchor"),
        ({"seeds": bomb()[0][0][0][0][0][0]}, "expand to more than 200,000 values"),
        ({"seeds": deep(100_000)}, "nested more than 30 deep"),
        ({"seeds": bomb()}, "nested more than 30 deep"),
    ],
)
def test_aliases_and_nesting_without_end_are_refused(config, overrides, message):
    with pytest.raises(StudyError, match=re.escape(message)):
        load_study(config, overrides)
