"""The section Beyond the original: robustness and seeds, in tables and words."""

import dataclasses

import pytest
from unit.report_fixtures import load, make_results

from nli.reporting.markup import escape
from nli.reporting.tables import elsewhere, seeds

COMPARED = ["roberta/full", "roberta/lora", "roberta/prompt_tuning_repaired"]


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    only = ["baseline", *COMPARED, "icl/prompt1", "roberta/head_only"]
    return load(make_results(tmp_path_factory.mktemp("results"), only=only, overrides={"seeds": [1, 2]}))


def rows(text, *first):
    """The rows of a table that begin with these cells, as lists of cells."""
    lines = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line[:1] == "|"]
    return [line for line in lines if line[: len(first)] == list(first)]


def measured(results, **changes):
    """The results with other measurements of a set called hans."""
    step = {"n": 900, "difference": -0.2, "clustered_interval": [-0.25, -0.15], "p_holm": 0.0001}
    pair = {"first": "roberta/full", "second": "roberta/lora", **step, "on_matched": {"difference": 0.01}}
    pair |= {"excess": -0.21, "excess_interval": [-0.27, -0.15]}
    pair["on_matched"]["clustered_p"] = 0.4
    groups = [{"genre": "subsequence", "gold": "neutral", "n": 5000, "accuracies": {"roberta/full": 0.25}}]
    hans = {"title": "HANS", "n": 900, "accuracies": {}, "pairs": [pair], "groups": groups, "exchanged": [], **changes}
    return dataclasses.replace(results, ladders={**results.ladders, "elsewhere": {"hans": hans}})


def test_every_method_is_shown_on_the_pairs_that_hypotheses_do_not_give_away(results):
    text = elsewhere.accuracies(results)
    (full,) = rows(text, "Full fine-tuning")
    hard = results.ladders["elsewhere"]["hard"]
    assert full[2].startswith(f"{100 * hard['accuracies']['roberta/full']['value']:.2f} (")
    assert f"the {hard['n']} matched pairs that the hypothesis-only classifier gets wrong" in text
    assert rows(text, "Prompt 1")[0][3] == "–"  # it answers no mismatched pairs
    assert not rows(text, "Hypothesis only")  # right on none of them by construction


def test_every_two_compared_experiments_are_tested_on_every_set(results):
    text = elsewhere.comparisons(results)
    assert len(rows(text, "LoRA", "Full fine-tuning")) == 2  # the hard pairs and the mismatched ones
    assert len(rows(text, "Prompt tuning, repaired")) == 4


def test_a_difference_elsewhere_between_methods_level_on_matched_pairs_is_said(results):
    said = elsewhere.robustness(measured(results))
    assert said == (
        r"- **LoRA** is 20.0 points below **Full fine-tuning** on *HANS* (p \< 0.001), though no test tells the two "
        "apart on the matched pairs."
    )
    unlike = measured(results)
    unlike.ladders["elsewhere"]["hans"]["pairs"][0]["on_matched"]["clustered_p"] = 0.01
    assert elsewhere.robustness(unlike).startswith("On the matched pairs, a test tells every two")
    level = measured(results)
    level.ladders["elsewhere"]["hans"]["pairs"][0]["p_holm"] = 0.3
    assert elsewhere.robustness(level) == (
        "No test tells **Full fine-tuning** and **LoRA** apart on the matched pairs, and none does elsewhere."
    )


def test_hans_is_shown_by_heuristic_and_by_its_own_labels(results):
    text = elsewhere.groups(measured(results))
    assert rows(text, "subsequence", "non-entailment", "5,000") == [["subsequence", "non-entailment", "5,000", "25.00"]]


def test_labels_that_seem_exchanged_are_warned_of_with_their_key(results):
    found = {"experiment": "roberta/full", "accuracy": 0.1, "reordered": 0.8, "order": {"entailment": "contradiction"}}
    text = elsewhere.exchanged(measured(results, exchanged=[found]))
    assert text.startswith("**Warning: the labels of HANS may be exchanged.** Full fine-tuning is right on 10.0%")
    assert "80.0% with entailment for contradiction" in text
    assert "`data.sets.hans.source.labels`" in text


def test_several_seeds_have_intervals_and_verdicts_of_their_own(results):
    text = seeds.intervals(results)
    found = results.ladders["seeds"]["accuracies"]["roberta/full"]
    assert rows(text, "Full fine-tuning", "2")[0][2] == f"{100 * found['accuracy']:.2f}"
    text = seeds.verdicts(results)
    claims = results.ladders["seeds"]["verdicts"]
    assert f"of {len(claims)} claims have the same verdict under every seed alone." in text
    shown = [each for each in claims if each["ladder"] == "lora"]
    assert shown
    assert all(escape(each["claim"]) in text for each in shown)


def test_one_seed_says_so(tmp_path):
    results = load(make_results(tmp_path, n=60, only=["roberta/head_only"]))
    assert seeds.intervals(results) == seeds.NOTHING
    assert seeds.verdicts(results) == ""
