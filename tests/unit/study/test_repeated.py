"""Keys that a config file states twice."""

import pytest
import yaml
from conftest import ROOT

from nli.base.errors import StudyError
from nli.study.repeated import refuse_repeated_keys, repeated_keys


def test_a_repeated_key_is_named_with_its_section_and_both_lines():
    text = "a: 1\nb:\n  c: {d: 1, d: 2}\n  e: [{f: 1}, {f: 2}]\na: 3\n"
    assert repeated_keys(text) == [("b.c.d", 3, 3), ("a", 1, 5)]


def test_a_file_that_is_no_yaml_is_left_to_snakemake():
    assert repeated_keys("a: [1") == repeated_keys("") == []


def test_an_anchor_is_no_repetition():
    assert repeated_keys("a: &x {b: 1}\nc: *x\n") == []


@pytest.mark.parametrize("text", ["a: &x {b: *x}\n", "a: &x [1, *x]\n", "a: " + "[" * 5000 + "]" * 5000 + "\n"])
def test_a_file_without_end_is_refused(tmp_path, text):
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    with pytest.raises(StudyError, match=r"mine\.yaml: nested too deep, or an alias"):
        refuse_repeated_keys([path])


def test_aliases_of_aliases_are_visited_once():
    lists = "\n".join(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 40))
    assert repeated_keys(f"a0: &a0 {{b: 1, b: 2}}\n{lists}\n") == [("a0.b", 1, 1)]


def test_the_study_s_own_files_repeat_no_key():
    paths = [ROOT / "config.yaml", ROOT / "report/reported.yaml", *sorted((ROOT / "docs").glob("*.yaml"))]
    assert len(paths) == 4
    refuse_repeated_keys(paths)


def test_additions_pasted_below_config_yaml_are_refused(tmp_path):
    pasted = tmp_path / "config.yaml"
    pasted.write_text((ROOT / "config.yaml").read_text() + "\nexperiments:\n  icl/mine: {extends: icl/prompt1}\n")
    with pytest.raises(StudyError, match=r"experiments is stated twice, in lines \d+ and \d+.*\n.*--configfile mine"):
        refuse_repeated_keys([pasted])
    assert list(yaml.safe_load(pasted.read_text())["experiments"]) == ["icl/mine"]  # all that would have been left
