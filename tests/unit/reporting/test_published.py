"""The tables of docs/results.md."""

import pytest

from nli.base.errors import StudyError
from nli.reporting.published import published_page

REPORTED = {"experiments": {"roberta/full": {"accuracy": {"matched": {"classifier": "0.8775"}}}}}
OTHERS = {"elsewhere": {"source": "a page", "settings": "one seed\n", "accuracies": {"roberta/full": 32.5}}}


def scores(accuracy, seeds=("42",), parsed=100):
    return {
        "accuracy": accuracy,
        "interval": [accuracy - 0.05, accuracy + 0.05],
        "n": 100,
        "parsed": parsed,
        "by_seed": dict.fromkeys(seeds, accuracy),
    }


def claim(verdict, **changes):
    return {
        "ladder": "encoder",
        "title": "Encoders",
        "claim": "LoRA is behind",
        "experiment": "roberta/lora",
        "scorer": None,
        "counted": "all",
        "expects": "lower",
        "verdict": verdict,
        "difference": -0.123,
        "interval": [-0.15, -0.1],
        **changes,
    }


def summary(accuracy, verdict, **experiments):
    done = {"status": "done", "scorer": "classifier", "scores": {"matched": {"classifier": scores(accuracy)}}}
    return {
        "models": {"encoder": {"title": "MiniLM", "licence": "apache-2.0", "sha256": "ab" * 32}},
        "data": {"source": "files", "rows": {"train": 8000, "matched": 1000}},
        "commits": ["c" * 40],
        "experiments": {"roberta/full": done, **experiments},
        "claims": [claim(verdict)],
    }


def page(real, demo, text="Before\n<!-- results -->\nold\n<!-- end of results -->\nafter\n"):
    return published_page(text, real, demo, REPORTED, OTHERS)


def test_a_row_has_real_scores_next_to_the_originals_the_others_and_the_demos():
    made = page(summary(0.612, "supported"), summary(0.83, "refuted"))
    assert made.startswith("Before\n<!-- results -->\n")
    assert made.endswith("<!-- end of results -->\nafter\n")
    assert "old" not in made
    assert "| `roberta/full` | classifier | 61.2 [56.2, 66.2] | 1 | 0.0 | 87.8 | 32.5 | 83.0 |" in made
    assert "- encoder: MiniLM (apache-2.0, weights abababababab)" in made
    assert "- data: files; train 8,000, matched 1,000" in made
    assert "*elsewhere*: a page. one seed" in made


def test_a_claim_has_both_verdicts_and_the_difference():
    made = page(summary(0.6, "supported"), summary(0.8, "refuted"))
    assert "| Encoders | LoRA is behind | `roberta/lora` | -12.3 [-15.0, -10.0] | supported | refuted |" in made
    demo = {**summary(0.8, "refuted"), "claims": [claim("refuted", scorer="label_logp")]}
    assert "| supported | – |" in page(summary(0.6, "supported"), demo)
    untested = {**summary(0.6, None), "claims": [claim(None, difference=None)]}
    assert "| `roberta/lora` | – | not tested | refuted |" in page(untested, summary(0.8, "refuted"))


def test_an_experiment_without_results_says_so():
    made = page(summary(0.6, None, **{"qlora/attempt1": {"status": "failed"}}), summary(0.8, None))
    assert "| `qlora/attempt1` |  | *failed* |" in made


def test_a_page_without_its_marks_is_refused():
    with pytest.raises(StudyError, match="<!-- results -->"):
        page(summary(0.6, None), summary(0.8, None), text="no marks")


def test_families_stand_in_the_studys_order_whatever_the_configs():
    first = {"icl/prompt1": {"status": "not run"}, "baseline/majority": {"status": "not run"}}
    made = page(summary(0.612, "supported", **first), summary(0.83, "supported"))
    assert made.index("`baseline/majority`") < made.index("`roberta/full`") < made.index("`icl/prompt1`")
