"""Ladders: what is compared with what, on which pairs, and every verdict on hand-made answers."""

import pandas as pd
import pytest

from nli.base.errors import StudyError
from nli.measure.answers import Answers, common_pairs
from nli.measure.comparisons import scores_of
from nli.measure.ladders import carries, changes, flatten, gradient_audit, measure_ladders
from nli.measure.paired import mcnemar
from nli.measure.verdicts import verdict, verdict_at_chance, verdict_difference, verdict_near
from nli.study.ladders import Ladder, Rung

E, N, C = "entailment", "neutral", "contradiction"
GOLD = [E, N, C] * 100
SPEC = {"family": "icl", "title": "T", "origin": "reported", "evaluation": {"splits": ["matched"]}}


def answers_of(pred, *, seed=1, ids=None, scorer="parsed", record=None, alike=1):
    """An experiment that answered `pred`; ids default to 0, 1, 2..., and `alike` consecutive ones share a premise."""
    ids = range(len(pred)) if ids is None else ids
    frame = pd.DataFrame(
        {
            "split": "matched",
            "scorer": scorer,
            "pair_id": [str(i) for i in ids],
            "premise_id": [f"p{i // alike}" for i in ids],
            "gold": [GOLD[i] for i in ids],
            "pred": pd.Series(pred, dtype=object),
        }
    )
    return Answers("done", "", {seed: frame}, record or {})


def right(n, wrong=E):
    """The right answer to the first n of 300 pairs, and always a wrong one to the others."""
    other = {E: N, N: C, C: E}
    return [gold if i < n else other[gold] for i, gold in enumerate(GOLD)]


BASELINE = {"baseline/hypothesis_only": {**SPEC, "family": "baseline", "method": "hypothesis_only"}}


def measure(rungs, experiments, answers, baseline=None):
    """One ladder over `experiments` ({key: spec}), with `answers` by key; rungs are compared with the previous one."""
    return measure_all(rungs, experiments, answers, baseline)["ladders"]["one"]


def measure_all(rungs, experiments, answers, baseline=None):
    """The whole ladders.json of a study with that one ladder."""
    specs = {**(BASELINE if baseline else {}), **experiments}
    defaults = {"claim": "A claim.", "expects": "higher", "margin": 0.02}
    steps = [{**defaults, **rung} for rung in rungs]
    for i, step in enumerate(steps):
        if i and step["expects"] in ("higher", "lower", "no_difference"):
            step.setdefault("against", steps[i - 1]["experiment"])
    stated = Ladder(title="T", question="Q", rungs=[Rung(**step) for step in steps])
    ladder = stated.without([]).model_dump()
    every = {key: Answers("not run") for key in specs} | answers
    if baseline:
        every["baseline/hypothesis_only"] = baseline
    study = {"experiments": specs, "ladders": {"one": ladder}}
    return measure_ladders(study, every, dict.fromkeys(specs, "parsed"))


TWO = {"icl/a": SPEC, "icl/b": SPEC}
A, B = {"experiment": "icl/a", "expects": None}, {"experiment": "icl/b"}


@pytest.mark.parametrize(
    ("expects", "before", "after", "expected"),
    [
        ("higher", 100, 200, "supported"),
        ("higher", 200, 100, "refuted"),
        ("higher", 100, 103, "no evidence"),
        ("lower", 200, 100, "supported"),
        ("lower", 100, 200, "refuted"),
        ("lower", 103, 100, "no evidence"),
        ("no_difference", 100, 100, "supported"),
        ("no_difference", 100, 200, "refuted"),
        ("no_difference", 100, 105, "no evidence"),  # not significant, but not within two points either
        ("no_difference", 100, 112, "no evidence"),  # a difference whose interval includes 2 points and less
    ],
)
def test_verdict_on_a_difference(expects, before, after, expected):
    answers = {"icl/a": answers_of(right(before)), "icl/b": answers_of(right(after))}
    rung = measure([A, {**B, "expects": expects}], TWO, answers)["rungs"][1]
    assert rung["step"]["difference"] == pytest.approx((after - before) / 300)
    assert rung["verdict"] == expected


@pytest.mark.parametrize(
    ("most", "expected"),
    # Wilson's interval of 300/300 is 98.7 to 100, of 288/300 93.1 to 97.7, of 150/300 44.4 to 55.6.
    [(300, "supported"), (288, "no evidence"), (150, "refuted")],
)
def test_verdict_on_one_class(most, expected):
    pred = [E] * most + [N] * (300 - most)
    rung = measure([{**A, "expects": "one_class"}, B], TWO, {"icl/a": answers_of(pred)})["rungs"][0]
    assert rung["verdict"] == expected
    assert rung["scores"]["classes"] == (1 if most == 300 else 2)


@pytest.mark.parametrize(
    ("correct", "margin", "expected"),
    # Each label is right for 100 of 300 pairs, so chance is a third. Of 100 right answers a constant one shares a
    # third: 67 pairs either way are discordant, and the interval reaches some 7.5 points to either side of zero.
    [
        (100, 0.09, "supported"),
        (100, 0.02, "no evidence"),
        (120, 0.02, "no evidence"),  # 7 points above, but the interval begins below 2
        (180, 0.02, "refuted"),
        (20, 0.02, "refuted"),
    ],
)
def test_verdict_on_being_at_chance(correct, margin, expected):
    rungs = [{**A, "expects": "at_chance", "margin": margin}, B]
    assert measure(rungs, TWO, {"icl/a": answers_of(right(correct))})["rungs"][0]["verdict"] == expected


@pytest.mark.parametrize(
    ("correct", "expected", "standing"),
    [(200, "supported", "above"), (30, "refuted", "below"), (101, "no evidence", "no evidence")],
)
def test_chance_is_the_best_constant_answer_on_the_same_pairs(correct, expected, standing):
    rung = measure([{**A, "expects": "above_chance"}, B], TWO, {"icl/a": answers_of(right(correct))})["rungs"][0]
    assert rung["verdict"] == expected
    assert rung["chance"]["standing"] == standing
    assert rung["chance"]["accuracy"] == pytest.approx(1 / 3)
    assert rung["chance"]["difference"] == pytest.approx((correct - 100) / 300)


def test_any_constant_answer_is_at_chance_and_not_below_it():
    gold = [E] * 160 + [N] * 80 + [C] * 60

    def frame(pred):
        left = answers_of([E] * 300)
        return Answers("done", "", {1: left.frames[1].assign(gold=gold, pred=pred)})

    rungs = [{**A, "expects": "at_chance", "margin": 0.06}, {**B, "expects": "above_chance"}]
    worst = measure(rungs, TWO, {"icl/a": frame([C] * 300), "icl/b": frame([C] * 300)})["rungs"]
    assert worst[0]["chance"]["difference"] == pytest.approx(-100 / 300)
    assert worst[0]["chance"]["worst"] == pytest.approx(60 / 300)
    assert [rung["chance"]["standing"] for rung in worst] == ["no evidence"] * 2
    never = measure(rungs, TWO, {"icl/a": frame([None] * 300), "icl/b": frame([None] * 300)})["rungs"]
    assert (never[0]["verdict"], never[1]["verdict"]) == ("refuted", "refuted")
    assert never[1]["chance"]["standing"] == "below"


def test_the_label_that_chance_answers_is_the_commonest_of_the_pairs_that_count():
    pred = [E if gold == E else None for gold in GOLD]  # parsed answers are those to entailment
    rungs = [{**A, "counted": "parsed", "expects": "above_chance"}, B]
    chance = measure(rungs, TWO, {"icl/a": answers_of(pred)})["rungs"][0]["chance"]
    assert (chance["label"], chance["accuracy"], chance["n"], chance["difference"]) == (E, 1.0, 100, 0.0)


def test_beating_chance_is_one_claim_and_beating_hypothesis_only_another():
    rungs = [{**A, "expects": "above_chance"}, {**B, "expects": "above_hypothesis_only"}]
    left = {"icl/a": answers_of(right(198)), "icl/b": answers_of(right(198))}
    one, two = measure(rungs, TWO, left, answers_of(right(200)))["rungs"]
    assert (one["verdict"], two["verdict"]) == ("supported", "no evidence")
    assert two["hypothesis_only"]["difference"] == pytest.approx(-2 / 300)
    assert measure(rungs, TWO, left)["rungs"][1]["verdict"] == "not tested"  # the baseline did not run
    better = measure(rungs, TWO, {**left, "icl/b": answers_of(right(280))}, answers_of(right(200)))["rungs"][1]
    assert better["verdict"] == "supported"


def test_an_experiment_has_one_test_against_chance_wherever_it_stands():
    rungs = [{**A, "expects": "above_chance"}, {**B, "expects": "above_chance"}]
    left = {"icl/a": answers_of(right(125)), "icl/b": answers_of(right(200))}
    found = measure_all(rungs, TWO, left)
    tests = {test["experiment"]: test["chance"] for test in found["standings"]}
    assert [rung["chance"] for rung in found["ladders"]["one"]["rungs"]] == [tests["icl/a"], tests["icl/b"]]
    assert tests["icl/a"]["p_holm"] == tests["icl/a"]["clustered_p"]  # the larger of two
    assert tests["icl/b"]["p_holm"] == 2 * tests["icl/b"]["clustered_p"]


def test_pairs_of_one_premise_carry_less_evidence():
    gold = dict(zip(range(300), GOLD, strict=True))
    better = [gold[i] if i < 100 or 150 <= i < 162 else p for i, p in enumerate(right(100))]
    apart, alike = (
        measure([A, B], TWO, {"icl/a": answers_of(right(100), alike=n), "icl/b": answers_of(better, alike=n)})
        for n in (1, 12)
    )
    assert apart["rungs"][1]["step"]["p"] == alike["rungs"][1]["step"]["p"] == mcnemar(0, 12)
    assert apart["rungs"][1]["verdict"] == "supported"
    assert alike["rungs"][1]["verdict"] == "no evidence"  # all twelve have one or two premises
    assert alike["rungs"][1]["step"]["design_effect"] > 5


def test_a_verdict_on_no_difference_does_not_turn_with_the_number_of_pairs():
    """For a true difference of 3 points and a margin of 2: open with few pairs, refuted with many."""
    wide, narrow = ({"clustered_interval": [0.03 - w, 0.03 + w], "difference": 0.03} for w in (0.025, 0.005))
    assert verdict_near(wide, 0.02) == "no evidence"
    assert verdict_near(narrow, 0.02) == "refuted"
    shares = {"accuracy": 0.4, "worst": 0.3}
    near_worst = {"clustered_interval": [-0.11, -0.09], **shares}
    assert verdict_at_chance(near_worst, 0.02) == "supported"
    assert verdict_at_chance({"clustered_interval": [-0.16, -0.13], **shares}, 0.02) == "refuted"
    inside = [{"clustered_interval": [0.01 - w, 0.01 + w], "difference": 0.01} for w in (0.025, 0.009, 0.001)]
    assert [verdict_near(step, 0.02) for step in inside] == ["no evidence", "supported", "supported"]


def test_a_missing_or_failed_rung_appears_and_its_claim_is_not_tested():
    ladder = measure([A, B], TWO, {"icl/a": answers_of(right(100)), "icl/b": Answers("failed", "out of memory")})
    first, second = ladder["rungs"]
    assert (second["status"], second["problem"], second["verdict"]) == ("failed", "out of memory", "not tested")
    assert second["scores"] is second["step"] is None
    assert first["scores"]["accuracy"] == pytest.approx(1 / 3)


def test_a_ladder_of_which_nothing_ran_is_measured_as_such():
    ladder = measure([A, B], TWO, {})
    assert ladder["n"] == 0
    assert [rung["verdict"] for rung in ladder["rungs"]] == ["no claim", "not tested"]


def test_all_rungs_are_measured_on_the_pairs_that_all_answered():
    answers = {"icl/a": answers_of(right(300)), "icl/b": answers_of([N, E], ids=[1, 5])}
    ladder = measure([A, B], TWO, answers)
    assert ladder["n"] == 2
    assert [rung["scores"]["accuracy"] for rung in ladder["rungs"]] == [1.0, 0.5]
    assert ladder["rungs"][1]["step"]["n"] == 2


def test_seeds_that_answered_other_pairs_are_judged_on_those_of_all():
    frames = {
        1: answers_of(right(300)).frames[1],
        2: answers_of(right(300)[:90][::-1], ids=range(89, -1, -1)).frames[1],
    }
    rungs = [{**A, "expects": "above_chance"}, B]
    found = measure(rungs, TWO, {"icl/a": Answers("done", "", frames)})["rungs"][0]
    assert (found["scores"]["n"], found["chance"]["n"], found["chance"]["difference"]) == (90, 90, pytest.approx(2 / 3))


def test_pairs_are_matched_by_their_id_not_by_their_place():
    answers = {"icl/a": answers_of(right(300)), "icl/b": answers_of(right(300)[::-1], ids=range(299, -1, -1))}
    assert measure([A, B], TWO, answers)["rungs"][1]["step"]["difference"] == 0
    assert list(common_pairs([pd.DataFrame(index=["b", "a"]), pd.DataFrame(index=["a", "b", "c"])])) == ["b", "a"]


def test_experiments_on_different_data_are_not_compared():
    other = answers_of(right(300))
    other.frames[1].loc[7, "gold"] = E  # pair 7 is neutral in the other
    with pytest.raises(StudyError, match=r"icl/a and icl/b: pair 7 has a different gold label"):
        measure([A, B], TWO, {"icl/a": answers_of(right(300)), "icl/b": other})


def test_unparsed_answers_are_wrong_or_left_out_as_the_rung_says():
    pred = right(100)[:200] + [None] * 100  # 100 right, 100 wrong, 100 without a label
    scores = scores_of(answers_of(pred).frames, parsed_only=True)
    assert (scores["n"], scores["accuracy"]) == (200, 0.5)
    scores = scores_of(answers_of(pred).frames, parsed_only=False)
    assert (scores["n"], scores["accuracy"]) == (300, pytest.approx(1 / 3))


def test_the_same_answers_counted_otherwise_are_arithmetic_and_not_a_test():
    pred = right(100)[:200] + [None] * 100
    rungs = [{**A, "counted": "parsed"}, {**A, "against": "icl/a", "expects": "no_difference", "margin": 0.1}]
    rung = measure(rungs, TWO, {"icl/a": answers_of(pred)})["rungs"][1]
    assert rung["step"]["difference"] == pytest.approx(1 / 3 - 1 / 2)
    assert rung["step"]["p"] is rung["step"]["p_holm"] is rung["step"]["interval"] is None
    assert rung["verdict"] == "refuted"
    assert rung["changed"] == [{"key": "counted", "before": "parsed", "after": "all"}]
    rung = measure(rungs, TWO, {"icl/a": answers_of(right(100))})["rungs"][1]  # every answer is parsed: no change
    assert rung["verdict"] == "supported"


@pytest.mark.parametrize("expects", ["lower", "higher"])
def test_a_claim_that_arithmetic_decides_is_refused(expects):
    rungs = [{**A, "counted": "parsed"}, {**A, "against": "icl/a", "expects": expects}]
    with pytest.raises(ValueError, match="cannot be refuted"):
        measure(rungs, TWO, {})


def test_a_rung_that_counts_parsed_answers_is_compared_on_them():
    answers = {"icl/a": answers_of(right(300)), "icl/b": answers_of(right(200)[:250] + [None] * 50)}
    step = measure([A, {**B, "counted": "parsed"}], TWO, answers)["rungs"][1]["step"]
    assert (step["n"], step["lost"], step["gained"]) == (250, 50, 0)


def test_p_values_are_adjusted_within_the_ladder():
    experiments = {**TWO, "icl/c": SPEC}
    answers = {"icl/a": answers_of(right(100)), "icl/b": answers_of(right(108)), "icl/c": answers_of(right(200))}
    steps = [rung["step"] for rung in measure([A, B, {"experiment": "icl/c"}], experiments, answers)["rungs"][1:]]
    assert steps[0]["p"] == pytest.approx(1 / 2**8)
    assert steps[0]["p_holm"] == steps[0]["clustered_p"]
    assert steps[1]["p_holm"] == pytest.approx(2 * steps[1]["clustered_p"])


def test_a_rung_can_be_compared_with_an_earlier_one():
    experiments = {**TWO, "icl/c": SPEC}
    answers = {"icl/a": answers_of(right(100)), "icl/b": answers_of(right(300)), "icl/c": answers_of(right(200))}
    rung = measure([A, B, {"experiment": "icl/c", "against": "icl/a"}], experiments, answers)["rungs"][2]
    assert rung["step"]["from"] == 0
    assert rung["verdict"] == "supported"


def seeds(**correct):
    """An experiment with the given number of right answers of 300 per seed: seeds(s1=100, s2=200)."""
    return Answers("done", "", {int(s[1:]): answers_of(right(n)).frames[1] for s, n in correct.items()})


def test_several_seeds_are_taken_together():
    rung = measure([A, B], TWO, {"icl/a": seeds(s1=100, s2=120), "icl/b": seeds(s1=200, s2=240)})["rungs"][1]
    assert rung["seeds"]["values"] == {"1": pytest.approx(2 / 3), "2": 0.8}
    assert rung["scores"]["accuracy"] == rung["seeds"]["mean"] == pytest.approx((2 / 3 + 0.8) / 2)
    assert rung["seeds"]["sd"] == pytest.approx((0.8 - 2 / 3) / 2**0.5)
    assert rung["step"]["difference"] == pytest.approx((1 / 3 + 0.4) / 2)
    assert rung["step"]["seeds"]["values"] == {"1": pytest.approx(1 / 3), "2": pytest.approx(0.4)}
    assert (rung["step"]["lost"], rung["step"]["gained"]) == (0, 110)
    assert rung["verdict"] == "supported"


def test_seeds_that_contradict_each_other_are_no_evidence():
    rung = measure([A, B], TWO, {"icl/a": seeds(s1=100, s2=240), "icl/b": seeds(s1=200, s2=120)})["rungs"][1]
    assert rung["verdict"] == "no evidence"
    assert rung["step"]["design_effect"] > 20


def test_one_seed_of_three_with_the_other_sign_does_not_hide_a_large_effect():
    """A sign test would find no evidence here, however many seeds agree."""
    first = seeds(s1=100, s2=100, s3=100, s4=100, s5=100, s6=100)
    second = seeds(s1=160, s2=165, s3=170, s4=160, s5=99, s6=170)
    rung = measure([A, B], TWO, {"icl/a": first, "icl/b": second})["rungs"][1]
    assert rung["step"]["seeds"]["values"]["5"] < 0
    assert rung["verdict"] == "supported"


@pytest.mark.parametrize(
    ("expects", "one", "two", "expected"),
    [
        ("above_chance", 280, 20, "no evidence"),
        ("above_chance", 200, 190, "supported"),
        ("at_chance", 20, 280, "no evidence"),
        ("at_chance", 100, 101, "supported"),
        ("one_class", 300, 150, "no evidence"),
        ("one_class", 300, 300, "supported"),
    ],
)
def test_a_claim_about_one_rung_is_judged_over_its_seeds(expects, one, two, expected):
    if expects == "one_class":
        frames = {s: answers_of([E] * n + [N] * (300 - n)).frames[1] for s, n in ((1, one), (2, two))}
        left = Answers("done", "", frames)
    else:
        left = seeds(s1=one, s2=two)
    rungs = [{**A, "expects": expects, "margin": 0.1}, B]
    assert measure(rungs, TWO, {"icl/a": left})["rungs"][0]["verdict"] == expected


def test_a_step_is_that_of_the_seeds_of_both():
    left = {"icl/a": seeds(s1=210, s2=100), "icl/b": seeds(s2=150, s3=160)}
    first, second = measure([A, B], TWO, left)["rungs"]
    assert (second["step"]["seeds"]["values"], second["step"]["n"]) == ({"2": pytest.approx(50 / 300)}, 300)
    assert first["scores"]["accuracy"] == pytest.approx(310 / 600)


def test_a_claim_about_a_rung_alone_is_not_compared_with_the_one_before():
    left = {"icl/a": answers_of(right(100)), "icl/b": answers_of(right(200)), "icl/c": answers_of(right(110))}
    rungs = [A, {**B, "expects": "above_chance"}, {"experiment": "icl/c", "against": "icl/a"}]
    middle, last = measure(rungs, {**TWO, "icl/c": SPEC}, left)["rungs"][1:]
    assert (middle["step"], middle["changed"]) == (None, [])
    assert last["step"]["p"] == pytest.approx(1 / 2**10)
    assert last["step"]["p_holm"] == last["step"]["clustered_p"]  # the only comparison of the ladder


def test_a_claim_about_one_change_gives_way_where_more_changed():
    specs = {"icl/a": {**SPEC, "x": 1, "y": 1}, "icl/b": {**SPEC, "x": 2, "y": 2}}
    left = {"icl/a": answers_of(right(100)), "icl/b": answers_of(right(200))}
    rung = measure([A, {**B, "claim": "A larger x helps."}], specs, left)["rungs"][1]
    assert rung["claim"] == "Together, these changes raise the accuracy."
    named = measure([A, {**B, "claim": "Larger x and y help.", "together": ["x", "y"]}], specs, left)["rungs"][1]
    assert named["claim"] == "Larger x and y help."
    specs["icl/b"]["y"] = 1
    alone = measure([A, {**B, "claim": "A larger x helps."}], specs, left)["rungs"][1]
    assert alone["claim"] == "A larger x helps."


def test_a_section_s_name_covers_its_keys_and_no_other():
    changed = [{"key": "training.learning_rate"}, {"key": "training.max_steps"}]
    assert carries({"together": ["training"]}, changed)
    assert not carries({"together": ["training.learning_rate"]}, changed)
    assert not carries({"together": ["train"]}, changed)


def test_what_changed_is_computed_from_the_resolved_experiments():
    before = {
        **SPEC,
        "extra": False,
        "training": {"learning_rate": 3e-5, "logging_steps": 1},
        "trainable": "word_embeddings",
        "lora": None,
    }
    after = {
        **before,
        "title": "Other",
        "extra": True,
        "training": {"learning_rate": 1e-2, "logging_steps": 2},
        "lora": {"r": 8},
    }
    experiments = {"icl/a": before, "icl/b": after}
    scorers = dict.fromkeys(experiments, "parsed")
    assert changes({"experiment": "icl/a"}, {"experiment": "icl/b"}, experiments, scorers) == [
        {"key": "training.learning_rate", "before": 3e-5, "after": 1e-2},
        {"key": "lora.r", "before": None, "after": 8},
    ]
    other = {"icl/a": before, "icl/b": {**after, "family": "qlora"}}
    assert [change["key"] for change in changes({"experiment": "icl/a"}, {"experiment": "icl/b"}, other, scorers)] == [
        "experiment"
    ]
    assert flatten({"a": {"b": 1, "c": None}, "d": [2]}) == {"a.b": 1, "d": [2]}


def test_another_scorer_of_the_same_answers_is_a_change():
    rungs = [{"experiment": "icl/a", "scorer": "most_frequent_label"}, {"experiment": "icl/a", "scorer": "first_label"}]
    assert changes(*rungs, TWO, dict.fromkeys(TWO, "parsed")) == [
        {"key": "scorer", "before": "most_frequent_label", "after": "first_label"}
    ]


BODY = "roberta.encoder.layer.0.attention.self.query"
HEAD = "base_model.model.classifier.modules_to_save.default.dense"
AUDITS = {  # method -> trainable tensors by part; None: a decoder's
    "lora": {
        "adapter": [f"{BODY}.lora_A.default.weight", f"{BODY}.lora_magnitude_vector.default.weight"],
        "head": [HEAD],
    },
    "ia3": {"adapter": [f"{BODY}.ia3_l.default"], "head": [HEAD]},
    "bitfit": {
        "biases": [f"{BODY}.bias", "roberta.embeddings.LayerNorm.bias"],
        "head": ["classifier.dense.weight", "classifier.dense.bias"],
    },
    "prompt_tuning": {"prompt": ["prompt_encoder.default.embedding.weight"], "head": [HEAD]},
    "full": {
        "head": ["classifier.dense.bias"],
        "word embeddings": ["roberta.embeddings.word_embeddings.weight"],
        "body": [f"{BODY}.weight", f"{BODY}.bias"],
    },
    None: {"adapter": ["model.layers.0.self_attn.q_proj.lora_B.default.weight"], "head": ["classifier.weight"]},
}


@pytest.mark.parametrize("method", AUDITS)
def test_audit_says_which_parts_train_and_which_of_them_got_a_gradient(method):
    names = [name for part in AUDITS[method].values() for name in part]
    spec = {} if method is None else {"method": method}
    record = {"spec": spec, "parameters": {"trainable_tensors": names, "gradient_tensors": names[:1]}}
    assert gradient_audit(record) == [
        {"part": part, "trainable": len(own), "with_gradient": int(own[0] == names[0])}
        for part, own in AUDITS[method].items()
    ]
    assert gradient_audit({}) is None


def test_every_pair_of_methods_is_tested_on_its_own_common_pairs():
    experiments = {**TWO, "icl/c": SPEC, "icl/d": SPEC}
    answers = {
        "icl/a": answers_of(right(100)),
        "icl/b": answers_of(right(110)),
        "icl/c": answers_of(right(200)[:150], ids=range(150)),
        "icl/d": Answers("not run"),
    }
    pairs = measure_ladders({"experiments": experiments}, answers, dict.fromkeys(experiments, "parsed"))["pairs"]
    assert pairs["experiments"] == ["icl/a", "icl/b", "icl/c"]
    assert [(c["first"][-1] + c["second"][-1], c["n"], c["gained"]) for c in pairs["comparisons"]] == [
        ("ab", 300, 10),
        ("ac", 150, 50),
        ("bc", 150, 40),
    ]
    assert pairs["comparisons"][0]["p"] == pytest.approx(1 / 2**10)
    assert pairs["comparisons"][0]["p_holm"] == pairs["comparisons"][0]["clustered_p"]  # the largest of three


def test_a_claim_without_expectation_has_no_verdict():
    assert verdict({"expects": None}) == "no claim"
    assert verdict_difference("higher", None, 0.02) == "not tested"


def test_further_evaluation_sets_and_batch_sizes_are_no_step_of_a_ladder():
    evaluation = {"splits": ["matched"], "batch_size": 16, "examples": 5}
    experiments = {
        "icl/a": {"family": "icl", "evaluation": evaluation},
        "icl/b": {"family": "icl", "evaluation": {**evaluation, "splits": ["matched", "hans"], "batch_size": 64}},
        "icl/c": {"family": "icl", "evaluation": {**evaluation, "examples": 9}},
    }
    scorers = dict.fromkeys(experiments, "parsed")
    assert changes({"experiment": "icl/a"}, {"experiment": "icl/b"}, experiments, scorers) == []
    assert changes({"experiment": "icl/a"}, {"experiment": "icl/c"}, experiments, scorers) == [
        {"key": "evaluation.examples", "before": 5, "after": 9}
    ]
