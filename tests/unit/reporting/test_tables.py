"""Tables and computed sentences: values next to the original's, and experiments without values."""

import dataclasses
import json
import re
import shutil

import numpy as np
import pytest
import yaml
from unit.report_fixtures import ROOT, load, make_results, make_run, measure, rewrite

from nli.base.errors import StudyError
from nli.reporting import markup, original, prose
from nli.reporting.markup import MISSING, percent
from nli.reporting.results import (
    Experiment,
    Results,
    Run,
    load_results,
    reported_accuracy,
    reported_entry,
    reported_training,
)
from nli.reporting.tables import data, llama, overview, registry, roberta
from nli.study.resolve import load_study

REPORTED = ROOT / "report" / "reported.yaml"
FIGURE = re.compile(r"[-+]?\d+(\.\d*)?(e[-+]?\d+)?", re.IGNORECASE)


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
    study = json.loads((folder / "study.json").read_text())
    (folder / "study.json").write_text(json.dumps({**study, "finished_only": True}))
    for path in (folder / "roberta/full/seed42").iterdir():
        path.unlink()
    (folder / "icl/prompt1/seed42/run.json").unlink()
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
    paths = registry.make_tables(results, tmp_path)
    assert [path.name for path in paths] == list(registry.FRAGMENTS)
    empty = [path.name for path in paths if not path.read_text().strip()]
    # the study has no further sets and one seed, and its records do not say what the heads read
    assert empty == [
        "linear-head-conclusion.md",
        "elsewhere-exchanged.md",
        "elsewhere-groups.md",
        "seed-verdicts.md",
    ]


def test_scores_on_further_sets_are_a_table_that_says_which_have_two_classes(results):
    source = {"labels": {"entailment": "entailment", "non-entailment": ["neutral", "contradiction"]}}
    sets = {
        **results.sets,
        "hans": {"title": "HANS", "role": "validation", "source": source},
        "snli": {"title": "SNLI", "role": "validation", "source": {"labels": {}}},
        "mine": {"title": "Mine", "role": "tuning", "source": {"labels": {}}},
    }
    experiments = dict(results.experiments)
    for key, split in (("roberta/full", "hans"), ("roberta/full", "mine"), ("icl/prompt1", "snli")):
        (run, *_), scores = experiments[key].runs, experiments[key].first.metrics["results"]
        metrics = {"results": {**scores, split: scores["matched"]}}
        experiments[key] = dataclasses.replace(experiments[key], runs=(dataclasses.replace(run, metrics=metrics),))
    study = {**results.study, "data": {**results.study["data"], "sets": sets}}
    text = overview.set_scores(dataclasses.replace(results, study=study, experiments=experiments))
    full = percent(experiments["roberta/full"].scores()["accuracy"])
    assert cells(text, "Full fine-tuning")[1].startswith(f"{full} (")
    assert cells(text, "Full fine-tuning")[2] == MISSING
    assert cells(text, "Prompt 1")[1] == MISSING
    assert "Mine" not in text
    assert "HANS: two classes." in text


def test_every_fragment_is_written_when_experiments_are_missing(broken, tmp_path):
    registry.make_tables(broken, tmp_path)
    text = (tmp_path / "experiments.md").read_text()
    assert cells(text, "Full fine-tuning") == ["Full fine-tuning", "reported", "not run", ""]
    assert cells(text, "Prompt 1")[2:] == [
        "failed",
        "icl/prompt1/seed42/run.json: no such file; run the rule that creates it",
    ]
    assert cells(text, "Attempt 3: SFTTrainer, longer and faster")[2] == "failed"
    assert "metrics.json: no such file" in text
    assert "run.json, line 1: not JSON" in text


def test_every_fragment_is_written_when_nothing_ran(folder, tmp_path):
    (tmp_path / "study.json").write_text((folder / "study.json").read_text())
    empty = load(tmp_path)
    registry.make_tables(empty, tmp_path / "tables")
    assert f"0 of {len(empty.experiments)} experiments ran" in prose.summary(empty)
    assert all(experiment.status == "not run" for experiment in empty.experiments.values())


def test_without_a_study_there_is_nothing_to_report(tmp_path):
    with pytest.raises(StudyError, match=r"study\.json: no such file"):
        load(tmp_path)


def test_reported_values_are_those_of_the_earlier_report(results):
    reported = results.reported
    assert reported_accuracy(reported, "roberta/full", "mismatched") == "0.8746948738812043"
    assert reported_accuracy(reported, "roberta/prompt_tuning") == "0.354457"
    assert reported_accuracy(reported, "roberta/prompt_tuning", "mismatched") is None
    assert reported_accuracy(reported, "icl/prompt5") == "0.5591836734693878"
    assert reported_accuracy(reported, "qlora/attempt1", scorer="first_label") == "about 0.30"
    assert reported_accuracy(reported, "qlora/attempt1_label_loss") is None
    assert reported_accuracy(reported, "linear_head/first_token") == "0.3429"
    assert reported_training(reported, "qlora/attempt1")["total_flops"] == 9.2619946328064e16


# What the original says about each prompt: its strength, its weakness, and a note ("" if there is none).
VERDICTS = {
    "prompt1": (
        "higher accuracy than some others",
        "telling the labels apart (neutral and contradiction above all)",
        "",
    ),
    "prompt2": (
        "better than the first prompt",
        "no neutral found at all",
        "asks the question in the reverse direction: whether the premise follows from the hypothesis",
    ),
    "prompt3": (
        "simple, finds neutral better than prompt 2",
        "lower accuracy overall",
        "asks in the reverse direction too",
    ),
    "prompt4": (
        "mean accuracy up, neutral found",
        "needs more examples",
        "the page cuts the example's premise off where it ends here",
    ),
    "prompt5": ("the best of the five", "needs more examples", "asks in the right direction"),
}


@pytest.mark.parametrize("name", VERDICTS)
def test_every_text_on_a_prompt_is_read_whole_and_shown(results, name):
    entry = reported_entry(results.reported, f"icl/{name}")
    assert tuple(entry.get(key, "") for key in ("strength", "weakness", "note")) == VERDICTS[name]
    assert set(entry) <= {*["approach", "shots", "accuracy", "fits", "text", "example", "strength", "weakness", "note"]}
    shown = llama.prompts(results)
    assert all(markup.escape(text) in shown for text in VERDICTS[name])


def leaves(value, path=""):
    """(path, value) of every leaf of nested mappings and lists."""
    if isinstance(value, dict | list):
        for key, child in value.items() if isinstance(value, dict) else enumerate(value):
            yield from leaves(child, f"{path}/{key}")
    else:
        yield path, value


def test_no_value_of_the_original_is_lost_to_yaml(results):
    """In YAML, a comma in braces leaves a key without a value, and an exponent without a sign makes a number text."""
    found = dict(leaves(results.reported))
    assert [path for path, value in found.items() if value is None] == []
    texts = [path for path, value in found.items() if isinstance(value, str) and FIGURE.fullmatch(value)]
    assert {path.split("/")[4] for path in texts} == {"accuracy", "epochs"}  # which keep their digits
    flops = found["/experiments/qlora/attempt1/train/total_flops"]
    assert isinstance(flops, float)
    assert flops == 92_619_946_328_064_000


def test_what_the_original_says_in_words_stands_next_to_ours(results):
    warm = {}
    for n in range(1, 6):
        experiment = results.experiments[f"icl/prompt{n}"]
        spec = {**experiment.spec, "title": f"Prompt {n}, temperature 0.5"}
        warm[f"{experiment.key}_warm"] = dataclasses.replace(experiment, key=f"{experiment.key}_warm", spec=spec)
    results = dataclasses.replace(results, experiments={**results.experiments, **warm})
    text = original.words(results)
    row = cells(text, "Prompting, temperature")
    assert row[1] == "At temperature 0.5 the accuracy of every prompt falls."
    ours = [results.experiments[f"icl/prompt{n}_warm"].scores()["accuracy"] for n in range(1, 6)]
    assert row[2] == "; ".join(f"Prompt {n}, temperature 0.5: {100 * ours[n - 1]:.2f}" for n in range(1, 6))
    assert cells(text, "Prompt tuning")[1] == "With other parameters it is no better."
    assert cells(text, "QLoRA, learning rate")[1:] == ["Learning rates of 3e-5 and 4e-5 were tried too.", "–"]
    assert cells(text, "QLoRA, steps")[1] == r"Trials ran for 250 steps (max\_steps)."
    assert "512 is too slow; 256 is no different from 128" in cells(text, "Attempt 1, length")[1]
    assert "a small trial, about 51% by the most frequent label and about 30% by the first." in text
    assert "Its full evaluation gives 53.88% by the most frequent label, and nothing by the first." in text
    assert "pros and cons of full fine-tuning, tuning several layers and LoRA in tables" in text
    assert "not printed here: their cells are not known" in text


def test_words_say_which_experiments_a_run_left_out_and_which_failed(results, broken):
    assert cells(original.words(results), "Prompting, temperature")[2] == "*not in this run*"
    assert cells(original.words(broken), "Attempt 3")[2] == f"{broken.experiments['qlora/attempt3'].title}: *failed*"


def test_the_words_name_experiments_that_there_are(results):
    config = yaml.safe_load((ROOT / "config.yaml").read_text())
    named = {key for entry in results.reported["words"] for key in entry.get("see", [])}
    assert named <= set(config["experiments"])
    assert len(named) == 12


def test_epoch_table_sets_ours_beside_the_reported(results):
    text = roberta.epochs(results)
    ours = results.experiments["roberta/full"].first.history["epochs"][2]
    accuracy = f"{100 * ours['accuracy']:.2f}"
    row = cells(text, "3")
    assert row[2] == "0.2181"
    assert row[4] == "0.6189"
    assert row[5:] == [accuracy, "87.75"]


def test_epoch_table_of_an_experiment_that_did_not_run_keeps_the_reported_values(broken):
    text = roberta.epochs(broken)
    assert cells(text, "1") == ["1", "–", "0.5107", "–", "0.4740", "–", "84.07"]
    assert "Our run: not run." in text


def test_layer_table_adds_up_to_the_reported_total(results):
    assert cells(roberta.layers(results), "**Total**")[2] == "**355,362,819**"


def test_comparison_keeps_the_printed_rows(results):
    row = cells(overview.comparison(results), "SFT Trainer - 256")
    scores = results.experiments["qlora/attempt3"].scores()
    assert row[2] == "0.2387"
    assert row[3:5] == [f"{100 * scores['accuracy']:.2f}", "51.25"]
    assert row[6] == "5,475"


def test_prompt_summary_shows_both_ways_of_counting_and_the_fraction(results):
    assert all(name in llama.icl_scorers(results) for name in ("parsed answer", "label words", "the same, calibrated"))
    row = cells(llama.icl_summary(results), "Prompt 1")
    scores = results.experiments["icl/prompt1"].scores()
    assert row[3] == f"{100 * scores['correct'] / scores['parsed']:.2f}"
    assert row[5] == f"{100 * scores['correct'] / scores['n']:.2f}"
    assert row[7:] == ["47.17‡", "25/53 to 100/212"]  # 25/53 could be chance, 100/212 not


@pytest.mark.parametrize(
    ("variance", "said"),
    [
        (0.0, "reads is exactly the same for every pair, over 600 pairs."),
        (2e-8, "the same for every pair, up to rounding: over 600 pairs, its variance is 1.00 × 10^-8^ of its mean"),
        (0.3, "different for every pair: over 600 pairs, its variance is 15.0% of its mean square."),
    ],
)
def test_states_that_a_head_reads_are_said_to_differ_or_not(results, variance, said):
    experiment = results.experiments["linear_head/first_token"]
    states = {"examples": 600, "variance": variance, "mean_square": 2.0}
    run = dataclasses.replace(experiment.first, run={**experiment.first.run, "states_read": states})
    text = prose.states_read(dataclasses.replace(experiment, runs=(run,)))
    assert said in text
    assert prose.states_read(experiment) == ""


def test_a_prompt_has_one_card_with_its_shots_and_examples(tmp_path):
    config = yaml.safe_load((ROOT / "config.yaml").read_text())
    study = load_study(config, {"rungs": "all"}).model_dump(mode="json")
    make_results(tmp_path, n=60)
    (tmp_path / "study.json").write_text(json.dumps(study))
    files = "study.json", "data/description.json"
    results = load_results(tmp_path, tmp_path / files[0], ROOT / "report/reported.yaml", tmp_path / files[1])
    cards = re.split(r"^### ", llama.prompts(results), flags=re.MULTILINE)[1:]
    used = {spec["prompt"] for spec in study["experiments"].values() if spec["family"] == "icl"}
    assert len(cards) == len(used)
    three = next(card for card in cards if card.startswith("Prompt 1, three shots"))
    assert "**Shots.** 3" in three
    assert "{answer}" in three
    assert "drawn 3 times from the training pairs" in three
    whole = {card.split(" {")[0] for card in cards if "the original's, letter for letter" in card}
    assert whole == {f"Prompt {number}" for number in range(1, 6)}


def test_prompt_texts_stand_in_the_report_letter_for_letter(results):
    text = llama.prompts(results)
    named = [experiment.spec["prompt"] for experiment in results.family("icl")]
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
    cards = re.split(r"^### ", llama.prompts(dataclasses.replace(results, study=study)), flags=re.MULTILINE)
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
    assert cells(overview.experiments(results), "Prompt 1")[1] == "reported"
    for origin, word, settings in (
        ("described", "described", "described only"),
        ("repaired", "repair (ours)", "no: our repair"),
        ("ours", "ours", "no: ours"),
    ):
        experiment = results.experiments["roberta/full"]
        changed = {
            **results.experiments,
            "roberta/full": dataclasses.replace(experiment, spec={**experiment.spec, "origin": origin}),
        }
        changed = dataclasses.replace(results, experiments=changed)
        assert cells(overview.experiments(changed), experiment.title)[1] == word
        assert cells(roberta.settings(changed), experiment.title)[-1] == settings


def test_samples_show_the_raw_answers(results):
    sample = results.experiments["qlora/attempt1"].first.samples
    text = llama.samples(results)
    assert sample["after"] in text
    assert sample["before"].strip() in text


def section(text: str, title: str) -> str:
    """The text below a heading of level 4."""
    return next(part for part in text.split("\n### ") if part.removeprefix("### ").startswith(f"{title} {{"))


def test_the_originals_samples_stand_with_the_attempts_they_are_of(results):
    text = llama.samples(results)
    first, second = (section(text, results.experiments[f"qlora/attempt{n}"].title) for n in (1, 2))
    pair = "Product and geography are what make cream skimming work."
    assert pair in first
    assert "After training: several labels are written." in first
    assert "a pair about the Etruscans, whose sentences are not known; the right label is *neutral*" in first
    assert "six labels are written, the first of them Neutral; read as *neutral*" in first
    assert pair in second
    assert r"After training: Neutral\\n\<\|end\_of\_text\|\>; read as *neutral*." in second
    assert results.experiments["qlora/attempt2"].first.samples["after"] in second
    assert "In the original" not in section(text, results.experiments["qlora/attempt1_label_loss"].title)


def test_a_prompt_that_several_samples_share_stands_once(results):
    text = llama.samples(results)
    prompts = {
        experiment.first.samples["prompt"] for experiment in results.family("qlora") if experiment.spec.get("sample")
    }
    assert text.count("*Prompt:*") == len(prompts) == 1  # the fixtures have one for all


def test_the_originals_samples_stand_without_ours(results):
    experiment = dataclasses.replace(results.experiments["qlora/attempt2"], status="failed", runs=())
    text = llama.samples(dataclasses.replace(results, experiments={experiment.key: experiment}))
    assert "*failed*" in text
    assert "In the original: “Conceptually cream skimming" in text


def test_both_attempts_are_shown_the_pair_that_the_original_shows(results):
    for name in ("attempt1", "attempt2"):
        pair = results.reported["experiments"][f"qlora/{name}"]["samples"][0]["pair"]
        assert results.experiments[f"qlora/{name}"].spec["sample"] == {**pair, "label": "neutral"}
        assert pair["premise"].startswith("Conceptually cream skimming")


@pytest.mark.parametrize("number", range(1, 6))
def test_every_prompt_is_asked_at_temperature_one_half_too(demo_study, number):
    warm, plain = (demo_study.experiments[f"icl/prompt{number}{end}"].model_dump() for end in ("_warm", ""))
    assert warm["generation"] == {**plain["generation"], "temperature": 0.5}
    assert warm["origin"] == "described"
    own = {"name", "title", "origin", "extra", "generation"}
    assert {key: warm[key] for key in set(warm) - own} == {key: plain[key] for key in set(plain) - own}


def test_operations_that_the_trainer_does_not_count_are_called_so():
    show = llama.FIGURES["total_flops"][1]
    assert show(0) == show(0.0) == "not counted"
    assert show(9.2619946328064e16) == "9.26 × 10^16^"
    assert show(None) == "–"


def prompt_scores(correct: int, parsed: int, n: int) -> dict:
    return {"n": n, "parsed": parsed, "parsed_accuracy": correct / parsed if parsed else None}


def test_a_prompt_with_few_parsed_answers_does_not_lead_by_them():
    experiments = [Experiment(f"icl/{name}", {"title": name}, "done", "", ()) for name in ("A", "B", "C")]
    scored = list(
        zip(
            experiments, [prompt_scores(2, 4, 100), prompt_scores(24, 60, 100), prompt_scores(20, 50, 100)], strict=True
        )
    )
    said = prose.best_parsed(scored)
    assert said.startswith("Counting parsed answers only, the highest is **B** with 40.00% of 60 parsed answers;")
    assert said.endswith("; 1 prompt with under 50% of the answers parsed is left out.")
    assert prose.best_parsed(scored[2:]) == (
        "Counting parsed answers only, the highest is **C** with 40.00% of 50 parsed answers."  # half is enough
    )
    silent = [(experiments[0], prompt_scores(0, 0, 100)), scored[0]]
    assert prose.best_parsed(silent) == (
        "By parsed answers only, no prompt is ranked: for none of them could 50% of the answers be parsed."
    )


def test_dropped_rows_and_label_shares_come_from_the_description(results):
    assert cells(data.counts(results), "Validation, matched") == [
        "Validation, matched",
        "1,500",
        "9,815",
        "500",
        "3",
    ]
    entailment = results.description["splits"]["train"]["labels"]["entailment"]
    assert cells(data.labels(results), "Training")[1:3] == [
        f"{entailment:,}",
        f"{100 * entailment / 6000:.1f}",
    ]


def test_what_training_shares_with_the_evaluation_is_counted(results):
    shown = data.leakage(results)
    assert cells(shown, "Validation, matched")[1:] == ["1,500", "0", "2", "6"]
    assert cells(shown, "Tuning")[1:] == ["1,000", "0", "1", "3"]
    assert "runs of an earlier version" in shown  # the fixture's records say nothing of worked examples
    unknown = dataclasses.replace(results, description={"splits": {}})
    assert data.leakage(unknown).startswith("*What the splits share with the training pairs was not counted")


def with_examples(results: Results, premises: int) -> Results:
    """The results as if prompt 4 alone showed an example, which has the premise of so many of its pairs."""
    changed = {}
    for key, experiment in results.experiments.items():
        among = {"matched": {"pairs": 0, "premises": premises if key == "icl/prompt4" else 0}}
        record = {"shown": int(key == "icl/prompt4"), "sha256": "ab", "among": among}
        runs = tuple(dataclasses.replace(run, run={**run.run, "examples": record}) for run in experiment.runs)
        changed[key] = dataclasses.replace(experiment, runs=runs)
    return dataclasses.replace(results, experiments=changed)


def test_worked_example_among_the_pairs_is_named(results):
    assert data.examples(with_examples(results, 0)).startswith("Experiments that show worked examples: 1. No pair")
    assert "icl/prompt4 shows 0 pairs, and the premises of 2." in data.examples(with_examples(results, 2))


def test_runs_on_the_same_pairs_are_grouped_by_hash(results):
    found = data.same_pairs(results)
    runs = {experiment.key: experiment.first.metrics for experiment in results.experiments.values() if experiment.runs}
    digest = runs["roberta/full"]["pairs"]["matched"]
    same = sum(metrics["pairs"].get("matched") == digest for metrics in runs.values())
    assert f"Validation, matched: {runs['roberta/full']['results']['matched']['classifier']['n']} pairs" in found
    assert f"in {same} runs (`{digest[:12]}`)" in found


def test_labels_lost_to_the_limit_on_tokens_are_counted():
    run = Run(1, {}, {}, {"texts": {"rows": 2000, "lost_labels": 31}}, {})
    experiment = Experiment("qlora/attempt2", {"title": "Attempt 2"}, "done", "", (run,))
    assert "cuts the label off 31 of 2,000 training texts of **Attempt 2**" in prose.lost_labels(experiment)
    assert prose.lost_labels(Experiment("qlora/attempt2", {}, "not run", "", ())) == ""


def test_report_says_how_much_of_the_two_losses_padding_explains(results):
    closing = {"texts": 64, "tokens": 32.0, "loss_on_text": 3.2, "loss_on_padded": 0.5}
    spec = {"title": "Padded", "loss_on": "padded", "tokenization": {"max_length": 256}}
    experiment = Experiment(
        "qlora/attempt3_padding_loss", spec, "done", "", (Run(1, {}, {}, {"texts": {"closing": closing}}, {}),)
    )
    said = prose.padding_in_loss(experiment, results.reported)
    assert "its loss is 0.500 over all 256 positions and 3.200 over the texts' own tokens, 32 on average" in said
    assert "3.3145 and 0.2387, differ by a factor of 13.9." in said  # 3.3145 / 0.2387 = 13.886
    assert said.endswith("divides a loss of such texts by 8.0, so it cannot explain that alone.")
    closing["tokens"] = 16.0
    assert "by 16.0, so it could explain all of that." in prose.padding_in_loss(experiment, results.reported)
    assert (
        prose.padding_in_loss(Experiment(experiment.key, {**spec, "loss_on": "all"}, "done", "", experiment.runs), {})
        == ""
    )


def test_a_commit_keeps_the_mark_of_local_changes():
    assert markup.short_commit("0123456789abcdef+") == "0123456789ab+"


def test_demo_reports_carry_the_notice_and_paper_reports_do_not(results, folder, tmp_path):
    assert "not the study's results" in prose.notice(results)
    assert "scale-bar" in prose.notice_html(results)
    assert prose.notice_typst(results).startswith("#let study-notice = [Demo scale")
    study = json.loads((folder / "study.json").read_text())
    (tmp_path / "study.json").write_text(json.dumps({**study, "notice": None}))
    paper = load(tmp_path)
    assert prose.notice(paper) == prose.notice_html(paper) == ""
    assert prose.notice_typst(paper) == "#let study-notice = none\n"


def test_several_seeds_show_mean_and_spread(results, folder, tmp_path):
    assert "one seed" in overview.seeds(results)
    study = json.loads((folder / "study.json").read_text())
    study["seeds"] = [1, 2]
    (tmp_path / "study.json").write_text(json.dumps(study))
    shutil.copytree(folder / "data", tmp_path / "data")
    make_seeds(tmp_path, study)
    for seed, accuracy in ((1, 0.5), (2, 0.6)):
        path = tmp_path / f"roberta/full/seed{seed}/metrics.json"
        scores = json.loads(path.read_text())["results"]
        scores["matched"]["classifier"]["accuracy"] = accuracy
        rewrite(path, results=scores)
    row = cells(overview.seeds(load(tmp_path)), "Full fine-tuning")
    assert row[1:] == ["2", "55.00", "7.07", "50.00 to 60.00"]


def make_seeds(folder, study, seeds=(1, 2)):
    """Runs of full fine-tuning, one for each seed."""
    spec, rng = study["experiments"]["roberta/full"], np.random.default_rng(0)
    for seed in seeds:
        make_run(folder / f"roberta/full/seed{seed}", "roberta/full", spec, "demo", 240, rng)


def test_seeds_of_a_family_are_read_and_named(folder, tmp_path):
    study = json.loads((folder / "study.json").read_text())
    study["seeds"] = [42]
    for key, spec in study["experiments"].items():
        spec["seeds"] = [1, 2] if key.startswith("roberta/") else None
    (tmp_path / "study.json").write_text(json.dumps(study))
    shutil.copytree(folder / "data", tmp_path / "data")
    make_seeds(tmp_path, study, (1, 2, 42))
    results = load(tmp_path)
    assert [run.seed for run in results.experiments["roberta/full"].runs] == [1, 2]
    assert cells(overview.seeds(results), "Full fine-tuning")[1] == "2"
    named = cells(overview.provenance(results), "Seeds")[1]
    assert named == "1, 2 for RoBERTa; 42 for all others"
    study["experiments"]["roberta/lora"]["seeds"] = None
    (tmp_path / "study.json").write_text(json.dumps(study))
    named = cells(overview.provenance(load(tmp_path)), "Seeds")[1]
    assert named.startswith("1, 2 for `roberta/full` and `roberta/prompt_tuning` and ")
    assert named.endswith("; 42 for all others")


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        (
            {"method": "lora", "lora": {"target_modules": ["query", "value"]}},
            "low-rank updates of queries and values, and",
        ),
        (
            {
                "method": "lora",
                "lora": {"target_modules": ["query", "key", "value", "intermediate.dense", "output.dense"]},
            },
            "low-rank updates of every linear layer, and the head",
        ),
        (
            {"method": "lora", "lora": {"target_modules": ["q_lin", "value"]}},
            "low-rank updates of `q_lin` and values, and",
        ),
        (
            {"method": "ia3", "ia3": {"target_modules": ["key", "value", "output.dense"]}},
            "factors of keys, values and feed-forward activations, and the head",
        ),
        (
            {"method": "ia3", "ia3": {"target_modules": ["query", "value"]}},
            "factors of queries and values, and the head",
        ),
        (
            {"method": "ia3", "ia3": {"target_modules": None}},
            "factors of keys, values and feed-forward activations, and",
        ),
    ],
)
def test_what_trains_names_the_layers_that_the_config_states(spec, words):
    assert roberta.what_trains(spec).startswith(words)


def test_a_setting_is_printed_with_all_its_digits():
    assert [markup.setting(value) for value in (3e-5, 1.5e-4, 0.015, 1e-2)] == ["3e-5", "1.5e-4", "1.5e-2", "1e-2"]


def test_model_of_another_name_is_called_by_it(results):
    models = {**results.study["models"], "encoder": {"title": None, "name": "models/bert_tiny"}}
    other = dataclasses.replace(results, study={**results.study, "models": models})
    assert "**RoBERTa**" in overview.all_results(results)
    text = overview.all_results(other) + roberta.settings(other) + roberta.accuracy(other)
    assert "**bert\\_tiny**" in text
    assert "RoBERTa" not in text


def test_premises_are_counted_and_pairs_to_a_premise_computed(results):
    # 6,000 pairs of 2,000 premises, as in the fixture
    assert cells(data.counts(results), "Training")[1:4] == ["6,000", "39,270", "2,000"]
    said = data.premises(results)
    assert "premise, on average: Training 3.0; Validation, matched 3.0; Validation, mismatched 3.0; Tuning 3.0." in said


def test_merge_conclusion_says_what_the_merge_did_to_the_next_token(folder, tmp_path):
    shutil.copytree(folder, tmp_path / "study")
    path = tmp_path / "study/qlora/attempt2_merged/seed42/run.json"
    error = {"into": "4bit", "rows": 1600, "kl_adapter_merged": 0.0123, "kl_adapter_base": 0.0492, "kl_ratio": 0.25}
    rewrite(path, merge=error)
    said = prose.merge(load(tmp_path / "study"))
    assert "are 0.012 nats from the adapter's" in said
    assert "mean over the 1,600 pairs answered), 25.00% of the 0.049 nats between the adapter's and its base's" in said
    rewrite(path, merge={**error, "kl_adapter_merged": 2.5e-9})
    assert "are 2.50 × 10^-9^ nats from" in prose.merge(load(tmp_path / "study"))
    rewrite(path, merge={**error, "kl_ratio": 151.83})
    assert "151.8 times the 0.049 nats" in prose.merge(load(tmp_path / "study"))


def test_draws_of_worked_examples_show_mean_and_range(folder, tmp_path):
    assert llama.icl_draws(load(folder)) == llama.NO_DRAWS
    shutil.copytree(folder, tmp_path / "study")
    path = tmp_path / "study/icl/prompt1/seed42/metrics.json"
    draws = {"n": [200, 199, 199], "accuracy": [0.3, 0.45, 0.36], "p_value": 0.0062}
    rewrite(path, by_draw={"matched": {"parsed": draws}})
    row = cells(llama.icl_draws(load(tmp_path / "study")), "Prompt 1")
    assert row[1:] == ["parsed answer", "3", "199", "37.00", "30.00 to 45.00", "0.006"]


def test_audits_sentence_says_how_many_steps_it_covers():
    audit = {"trainable": 8, "trainable_tensors": ["a", "b"], "gradient_tensors": ["b"], "audited_steps": 5}
    assert "of which 1 had a non-zero gradient within the first 5 training steps;" in prose.gradient(audit)
    assert "had a non-zero gradient; 8 trainable" in prose.gradient({**audit, "audited_steps": None})


SETTINGS = {"do_sample": True, "temperature": 0.6, "top_k": 50, "top_p": 0.9, "max_new_tokens": 20}


def test_report_says_how_answers_were_drawn_and_who_decided():
    assert prose.way_of_drawing({**SETTINGS, "source": "the model's generation_config"}) == (
        "Sampled at temperature 0.6, from the 50 most probable tokens within a top_p of 0.9, at most 20 tokens "
        "(set by the model's generation_config)"
    )
    greedy = {"do_sample": False, "temperature": None, "top_k": None, "top_p": None, "max_new_tokens": 8}
    assert prose.way_of_drawing({**greedy, "source": "the study"}) == (
        "Answered greedily, at most 8 tokens (set by the study)"
    )


def test_report_shows_what_was_asked_where_it_is_not_the_training_texts_beginning(results):
    text = llama.qlora_texts(results)
    asked = text.split("Asked with a different text:")
    assert len(asked) == 2  # attempts 2 and 3 as reported share it
    assert asked[1].lstrip("\n").startswith("```")
