"""Tables and computed sentences: values beside the report's, and experiments that have none."""

import dataclasses
import json
import re
import shutil

import pytest
import yaml
from unit.report_fixtures import ROOT, make_results, measure

from nli.config import load_study
from nli.errors import StudyError
from nli.reporting import markup, prose, tables, tables_data, tables_llama, tables_overview, tables_roberta
from nli.reporting.results import (
    Arm,
    Run,
    load_results,
    reported_accuracy,
    reported_prompt,
    reported_training,
)

REPORTED = ROOT / "report" / "reported.yaml"


def load(folder):
    ladders = folder / "report/ladders.json"
    return load_results(
        folder,
        folder / "study.json",
        REPORTED,
        folder / "data" / "description.json",
        ladders if ladders.exists() else None,
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return make_results(tmp_path_factory.mktemp("results"))


@pytest.fixture(scope="module")
def results(folder):
    return load(folder)


@pytest.fixture(scope="module")
def broken(tmp_path_factory):
    """Results in which experiments are missing, failed, half written or unreadable."""
    folder = make_results(tmp_path_factory.mktemp("broken"))
    for path in (folder / "roberta/full/seed42").iterdir():
        path.unlink()
    (folder / "icl/prompt1/seed42/failed.json").write_text('{"message": "out of memory"}')
    (folder / "qlora/attempt3/seed42/metrics.json").unlink()
    (folder / "linear_head/last_token/seed42/run.json").write_text("{")
    (folder / "data/description.json").unlink()
    measure(folder)
    return load(folder)


def cells(table: str, row: str) -> list[str]:
    """The cells of the first row that begins with `row`."""
    line = next(line for line in table.splitlines() if line.startswith(f"| {row} "))
    return [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]


def test_numbers_are_written_one_way():
    assert markup.percent(0.8775343861436576) == "87.75"
    assert markup.percent("about 0.30") == "about 30"
    assert markup.percent(None) == "–"
    assert markup.interval([0.8709, 0.8839]) == "87.1 to 88.4"
    assert markup.integer(355362819) == "355,362,819"
    assert markup.scientific(9.2619946328064e16) == "9.26 × 10^16^"
    assert markup.listing(["a", "b", "c"]) == "a, b and c"


def test_text_from_models_cannot_become_markup():
    assert markup.escape("a | *b* <c> @fig-x\n$d$") == r"a \| \*b\* \<c\> \@fig-x \$d\$"
    block = markup.code_block("```\nfence\n```")
    assert block.startswith("````")
    assert block.rstrip().endswith("````")


def test_a_row_of_the_wrong_width_is_refused():
    with pytest.raises(ValueError, match="a row of 1 cells for 2 columns"):
        markup.table({"a": "l", "b": "r"}, [["1"]], "caption", "tbl-x")


def test_every_fragment_is_written_for_complete_results(results, tmp_path):
    paths = tables.make_tables(results, tmp_path)
    assert [path.name for path in paths] == list(tables.FRAGMENTS)
    assert all(path.read_text().strip() for path in paths)


def test_every_fragment_is_written_when_experiments_are_missing(broken, tmp_path):
    tables.make_tables(broken, tmp_path)
    text = (tmp_path / "experiments.md").read_text()
    assert cells(text, "Full fine-tuning") == ["Full fine-tuning", "reported", "not run", ""]
    assert cells(text, "Prompt 1")[2:] == ["failed", "seed 42: out of memory"]
    assert cells(text, "Attempt 3: SFTTrainer, length 256")[2] == "failed"
    assert "metrics.json missing" in text
    assert "run.json: not readable" in text


def test_every_fragment_is_written_when_nothing_ran(folder, tmp_path):
    (tmp_path / "study.json").write_text((folder / "study.json").read_text())
    empty = load(tmp_path)
    tables.make_tables(empty, tmp_path / "tables")
    assert f"0 of {len(empty.arms)} experiments ran" in prose.summary(empty)
    assert all(arm.status == "not run" for arm in empty.arms.values())


def test_without_a_study_there_is_nothing_to_report(tmp_path):
    with pytest.raises(StudyError, match=r"study\.json: no such file"):
        load(tmp_path)


def test_reported_values_are_those_of_the_earlier_report(results):
    reported = results.reported
    assert reported_accuracy(reported, "roberta/full", "mismatched") == 0.8746948738812043
    assert reported_accuracy(reported, "roberta/prompt_tuning") == 0.354457
    assert reported_accuracy(reported, "roberta/prompt_tuning", "mismatched") is None
    assert reported_accuracy(reported, "icl/prompt5") == 0.5591836734693878
    assert reported_accuracy(reported, "qlora/attempt1", scorer="first_label") == "about 0.30"
    assert reported_accuracy(reported, "qlora/attempt1_label_loss") is None
    assert reported_accuracy(reported, "linear_head/first_token") == 0.3429
    assert reported_training(reported, "qlora/attempt1")["total_flops"] == 9.2619946328064e16


def test_a_strength_with_a_comma_is_read_whole(results):
    assert reported_prompt(results.reported, "prompt3")["strength"] == ("simple, finds neutral better than prompt 2")


def test_epoch_table_sets_ours_beside_the_reported(results):
    text = tables_roberta.epochs(results)
    ours = results.arms["roberta/full"].first.history["epochs"][2]
    accuracy = f"{100 * ours['accuracy']:.2f}"
    row = cells(text, "3")
    assert row[2] == "0.2181"
    assert row[4] == "0.6189"
    assert row[5:] == [accuracy, "87.75"]


def test_epoch_table_of_an_experiment_that_did_not_run_keeps_the_reported_values(broken):
    text = tables_roberta.epochs(broken)
    assert cells(text, "1") == ["1", "–", "0.5107", "–", "0.4740", "–", "84.07"]
    assert "Our run: not run." in text


def test_layer_table_adds_up_to_the_reported_total(results):
    assert cells(tables_roberta.layers(results), "**Total**")[2] == "**355,362,819**"


def test_comparison_keeps_the_printed_rows(results):
    row = cells(tables_overview.comparison(results), "SFT Trainer - 256")
    scores = results.arms["qlora/attempt3"].scores()
    assert row[2] == "0.2387"
    assert row[3:5] == [f"{100 * scores['accuracy']:.2f}", "51.25"]
    assert row[6] == "5,475"


def test_prompt_summary_shows_both_ways_of_counting_and_the_fraction(results):
    row = cells(tables_llama.icl_summary(results), "Prompt 1")
    scores = results.arms["icl/prompt1"].scores()
    assert row[3] == f"{100 * scores['correct'] / scores['parsed']:.2f}"
    assert row[5] == f"{100 * scores['correct'] / scores['n']:.2f}"
    assert row[7:] == ["47.17‡", "25/53 to 100/212"]  # 25/53 could be chance, 100/212 not


@pytest.mark.parametrize(("variance", "said"), [(0.0, "the same for every pair"), (0.3, "another for every pair")])
def test_states_that_a_head_reads_are_said_to_differ_or_not(results, variance, said):
    arm = results.arms["linear_head/first_token"]
    states = {"examples": 600, "variance": variance, "mean_square": 2.0}
    run = dataclasses.replace(arm.first, run={**arm.first.run, "states_read": states})
    text = prose.states_read(dataclasses.replace(arm, runs=(run,)))
    assert said in text
    assert f"over 600 pairs its variance is {variance / 2:.1e}" in text
    assert prose.states_read(arm) == ""


def test_a_prompt_has_one_card_with_its_shots_and_examples(tmp_path):
    config = yaml.safe_load((ROOT / "config.yaml").read_text())
    study = load_study(config, {"rungs": "all"}).model_dump(mode="json")
    make_results(tmp_path, n=60)
    (tmp_path / "study.json").write_text(json.dumps(study))
    files = "study.json", "data/description.json"
    results = load_results(tmp_path, tmp_path / files[0], ROOT / "report/reported.yaml", tmp_path / files[1])
    cards = re.split(r"^#### ", tables_llama.prompts(results), flags=re.MULTILINE)[1:]
    used = {spec["prompt"] for spec in study["experiments"].values() if spec["family"] == "icl"}
    assert len(cards) == len(used) == 9
    three = next(card for card in cards if card.startswith("Prompt 1, three shots"))
    assert "**Shots.** 3" in three
    assert "{answer}" in three
    assert ["the original's, letter for letter" in card for card in cards] == [True] * 5 + [False] * 4


def test_prompt_texts_stand_in_the_report_letter_for_letter(results):
    text = tables_llama.prompts(results)
    named = [arm.spec["prompt"] for arm in results.family("icl")]
    assert len(named) >= 5
    for name in named:
        assert results.study["prompts"][name]["text"] in text


@pytest.mark.parametrize(
    ("name", "change", "said"),
    [
        ("prompt5", {}, "the original's, letter for letter"),
        ("prompt2", {"text": "{premise} {hypothesis} Answer:"}, "ours, changed from the original's"),
        (
            "prompt5",
            {"example": {"premise": "P.", "hypothesis": "H.", "answer": "No"}},
            "ours, changed from the original's",
        ),
        ("prompt1", {"drawn": "{premise} {hypothesis} {answer}"}, "ours, changed from the original's"),
    ],
)
def test_prompt_is_the_originals_only_where_it_says_the_same(results, name, change, said):
    prompts = results.study["prompts"]
    study = {**results.study, "prompts": {**prompts, name: {**prompts[name], **change}}}
    cards = re.split(r"^#### ", tables_llama.prompts(dataclasses.replace(results, study=study)), flags=re.MULTILINE)
    card = next(card for card in cards if f"{{#sec-icl-{name} " in card)
    assert re.findall(r"^\*\*Text\.\*\* (.*?) *$", card, flags=re.MULTILINE) == [said]


@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        ("hub nyu-mll/multi_nli", "The pairs come from the hub's `nyu-mll/multi_nli`, at revision `0123456789ab`. "),
        ("files", "The pairs come from **files** given to the study. "),
        ("synthetic", "The study's own **generator** made the pairs: their labels are right by construction. "),
    ],
)
def test_report_says_where_the_pairs_are_from(results, source, sentence):
    revision = "0123456789abcdef" if source.startswith("hub") else None
    description = {**results.description, "source": source, "revision": revision}
    assert prose.data_source(dataclasses.replace(results, description=description)).startswith(sentence)


def test_every_origin_has_its_word_in_the_tables(results):
    assert cells(tables_overview.experiments(results), "Prompt 1")[1] == "reported"
    for origin, word, settings in (
        ("described", "described", "described only"),
        ("repaired", "repair (ours)", "no: our repair"),
        ("ours", "ours", "no: ours"),
    ):
        arm = results.arms["roberta/full"]
        changed = {**results.arms, "roberta/full": dataclasses.replace(arm, spec={**arm.spec, "origin": origin})}
        changed = dataclasses.replace(results, arms=changed)
        assert cells(tables_overview.experiments(changed), arm.title)[1] == word
        assert cells(tables_roberta.settings(changed), arm.title)[-1] == settings


def test_samples_show_the_raw_answers(results):
    sample = results.arms["qlora/attempt1"].first.samples
    text = tables_llama.samples(results)
    assert sample["after"] in text
    assert sample["before"].strip() in text


def test_dropped_rows_and_label_shares_come_from_the_description(results):
    assert cells(tables_data.counts(results), "Validation, matched") == [
        "Validation, matched",
        "1,500",
        "9,815",
        "3",
    ]
    entailment = results.description["splits"]["train"]["labels"]["entailment"]
    assert cells(tables_data.labels(results), "Training")[1:3] == [
        f"{entailment:,}",
        f"{100 * entailment / 6000:.1f}",
    ]


def scores(accuracy: float, interval: list[float], majority: float = 0.35) -> dict:
    return {"accuracy": accuracy, "interval": interval, "majority_accuracy": majority}


def test_sentences_claim_only_what_the_interval_allows():
    assert prose.standing(scores(0.5, [0.4, 0.6])) == "above the majority baseline of 35.0%"
    assert prose.standing(scores(0.2, [0.1, 0.3])) == "below the majority baseline of 35.0%"
    assert prose.standing(scores(0.36, [0.3, 0.42])).startswith("not separable")


def test_labels_lost_to_the_limit_on_tokens_are_counted():
    run = Run(1, {}, {}, {"texts": {"rows": 2000, "lost_labels": 31}}, {})
    arm = Arm("qlora/attempt2", {"title": "Attempt 2"}, "done", "", (run,))
    assert "31 of 2,000 texts lose their label" in prose.lost_labels(arm)
    assert prose.lost_labels(Arm("qlora/attempt2", {}, "not run", "", ())) == ""


def test_a_commit_keeps_the_mark_of_local_changes():
    assert tables_overview.short_commit("0123456789abcdef+") == "0123456789ab+"


def test_a_collapsed_experiment_is_called_so(results):
    text = prose.statement(results, "linear_head/first_token")
    assert "it has collapsed: 100.0% of its answers are *entailment*" in text


def test_demo_reports_carry_the_notice_and_paper_reports_do_not(results, folder, tmp_path):
    assert "not the study's results" in prose.notice(results)
    assert "demo-bar" in prose.notice_html(results)
    assert prose.notice_typst(results).startswith("#let study-notice = [Demo scale")
    study = json.loads((folder / "study.json").read_text())
    (tmp_path / "study.json").write_text(json.dumps({**study, "scale": "paper"}))
    paper = load(tmp_path)
    assert prose.notice(paper) == prose.notice_html(paper) == ""
    assert prose.notice_typst(paper) == "#let study-notice = none\n"


def test_several_seeds_show_mean_and_spread(results, folder, tmp_path):
    assert "one seed" in tables_overview.seeds(results)
    study = json.loads((folder / "study.json").read_text())
    study["seeds"] = [1, 2]
    (tmp_path / "study.json").write_text(json.dumps(study))
    for seed, accuracy in ((1, 0.5), (2, 0.6)):
        run = tmp_path / "roberta/full" / f"seed{seed}"
        run.mkdir(parents=True)
        (run / "run.json").write_text("{}")
        matched = {"classifier": {"accuracy": accuracy}}
        (run / "metrics.json").write_text(json.dumps({"results": {"matched": matched}}))
    row = cells(tables_overview.seeds(load(tmp_path)), "Full fine-tuning")
    assert row[1:] == ["2", "55.00", "7.07", "50.00 to 60.00"]


def test_merge_conclusion_says_what_the_merge_did_to_the_logits(folder, tmp_path):
    shutil.copytree(folder, tmp_path / "study")
    path = tmp_path / "study/qlora/attempt2_merged/seed42/run.json"
    error = {"into": "4bit", "rows": 32, "error": 1.0, "effect": 4.0, "relative_error": 0.25}
    path.write_text(json.dumps({**json.loads(path.read_text()), "merge": error}))
    said = prose.merge(load(tmp_path / "study"))
    assert "away from the adapter's by 25.0% of what the adapter itself moves them (over 32 pairs)" in said
