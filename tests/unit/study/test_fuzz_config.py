"""Configs with random changes: either refused, one line a problem, or a study whose every job can be planned."""

import contextlib
import copy
import json

import pytest

pytest.importorskip("hypothesis")

import yaml
from conftest import ROOT
from fuzzing import SCALARS, TEXTS, VALUES, cases, refused
from hypothesis import example, given
from hypothesis import strategies as st

from nli.base.errors import StudyError
from nli.study.repeated import refuse_repeated_keys
from nli.study.resolve import load_study
from nli.study.schema import Study
from nli.study.specs import fetch_spec, prediction_spec, sampling_spec, training_spec

CONFIG = yaml.safe_load((ROOT / "config.yaml").read_text())


def places(value, path=()):
    """The path of every value in the config."""
    yield from [path] if path else []
    if isinstance(value, dict | list):
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            yield from places(item, (*path, key))


PLACES = list(places(CONFIG))
PATHS = st.sampled_from(PLACES)
OTHERS = PATHS.map(lambda path: value_at(CONFIG, path))
CHANGES = st.tuples(st.sampled_from(["set", "delete", "add"]), PATHS, VALUES | OTHERS, TEXTS | SCALARS)


def value_at(value, path):
    for key in path:
        value = value[key]
    return value


def change(config, kind, path, value, name):
    """Change one value of `config`, if an earlier change has left its place there."""
    try:
        section = value_at(config, path[:-1])
        if kind == "delete":
            del section[path[-1]]
        elif kind == "set" or not isinstance(section[path[-1]], dict):
            section[path[-1]] = value
        else:
            section[path[-1]][name] = value
    except (KeyError, IndexError, TypeError):
        return


def overrides_of(changes):
    """The same values as a file of one's own."""
    overrides = {}
    for _, path, value, _ in changes:
        section, *rest = path
        inner = value
        for key in reversed(rest):
            inner = {key: inner}
        overrides[section] = inner
    return overrides


def check(config, overrides):
    no, study = refused("config.yaml: ", load_study, config, overrides)
    if no:
        return
    dumped = study.model_dump(mode="json")
    json.dumps(dumped, allow_nan=False).encode()
    assert Study.model_validate(dumped) == study
    for key in study.experiments:
        training_spec(study, key)
        prediction_spec(study, key)
    fetch_spec(study)
    sampling_spec(study)


@cases(25)
@given(st.lists(CHANGES, min_size=1, max_size=3), st.sampled_from(sorted(CONFIG["scales"])))
@example([("set", ("evaluation", "also"), [[]], "")], "demo")
@example([("set", ("families", "qlora", "lora", "r"), 0, "")], "demo")
def test_fuzz_config_file_with_changes(changes, scale):
    config = copy.deepcopy(CONFIG)
    config["scale"] = scale
    for kind, path, value, name in changes:
        change(config, kind, path, copy.deepcopy(value), name)
    check(config, {})


@cases(25)
@given(st.lists(CHANGES, min_size=1, max_size=2))
@example([("set", ("data", "rows"), {"\n": None}, "")])
@example([("set", ("prompts", "prompt5", "example", "answer"), CONFIG["prompts"]["prompt5"]["text"], "")])
def test_fuzz_file_of_ones_own(changes):
    check(CONFIG, overrides_of(changes))


class Repeated(Exception):
    """A section states a key twice."""


class Strict(yaml.SafeLoader):
    """A reader that takes each key of a section once."""

    def construct_mapping(self, node, deep=False):
        keys = [str(key.value) for key, _ in node.value]
        if len(set(keys)) < len(keys):
            raise Repeated
        return super().construct_mapping(node, deep)


def repeats_a_key(path):
    """Whether a file that can be read states a key twice."""
    try:
        yaml.load(path.read_bytes(), Loader=Strict)
    except Repeated:
        return True
    except (yaml.YAMLError, ValueError, RecursionError):
        pass
    return False


@cases(100)
@example(text="a: 1\na: 2\n")
@example(text="b: &x [1]\na: {c: *x, c: 3}\n")
@given(
    text=st.lists(st.sampled_from([*":-[]{}&*#'\"!|>%@~,?", "\n", "\t", " ", "a", "1", "&a", "*a", "<<"]) | TEXTS).map(
        "".join
    )
)
def test_fuzz_text_of_a_config_file(tmp_path_factory, text):
    path = tmp_path_factory.getbasetemp() / "mine.yaml"
    path.write_bytes(text.encode(errors="surrogatepass"))
    accepted = False
    with contextlib.suppress(StudyError):
        refuse_repeated_keys([path])
        accepted = True
    if accepted and "<<" not in text:  # a merged section may hold a key that replaces its own
        assert not repeats_a_key(path)
