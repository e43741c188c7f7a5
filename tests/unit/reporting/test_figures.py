"""Figures: drawn for complete and missing results, with the same bytes each time and alternative texts."""

import json
import re
import textwrap
from itertools import combinations, pairwise

import matplotlib.pyplot as plt
import pytest
from matplotlib.text import Text
from unit.report_fixtures import ROOT, load, make_results

from nli.reporting.figures import registry
from nli.reporting.figures.comparison import costs, frontier, hours, reliability
from nli.reporting.figures.confusion import confusion
from nli.reporting.figures.ladders import SMALLEST, draw_ladder, pairs
from nli.reporting.figures.learning import learning_roberta
from nli.reporting.figures.registry import FIGURES, image_markdown, make_figures, prompts
from nli.reporting.figures.style import LINES, STYLE, WIDTH, add_legend, log_axis
from nli.reporting.results import load_results


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return make_results(tmp_path_factory.mktemp("results"), n=60)


@pytest.fixture(scope="module")
def drawn(folder):
    return make_figures(load(folder), folder / "figures")


def test_every_figure_is_drawn_with_caption_label_and_alternative_text(drawn):
    ladders = [path.stem for path in drawn if path.stem.startswith("ladder-")]
    assert "ladder-prompt-tuning" in ladders
    assert [path.stem for path in drawn] == [*FIGURES, *ladders]
    for path in drawn:
        assert path.read_text().startswith("<?xml")
        text = path.with_suffix(".md").read_text()
        pattern = rf'!\[.+\]\(figures/{path.stem}\.svg\)\{{#fig-{path.stem} width=\d+% fig-alt=".+"\}}'
        assert re.fullmatch(pattern, text.splitlines()[0])


def test_the_figure_of_the_guide_is_drawn_as_printed(folder, tmp_path, monkeypatch):
    guide = (ROOT / "docs/adding.md").read_text()
    function = next(text for text in re.findall(r"```python\n(.*?)```", guide, re.DOTALL) if "def unparsed" in text)
    exec(textwrap.dedent(function), vars(registry))
    entry = eval("{" + re.search(r'`("unparsed": Plot\(.*?\))`', guide)[1] + "}", vars(registry))
    monkeypatch.setattr(registry, "FIGURES", entry)
    results = load(folder)
    make_figures(results, tmp_path)
    monkeypatch.delattr(registry, "unparsed")
    assert "no label could be read" in (tmp_path / "unparsed.md").read_text()
    numbers = entry["unparsed"].data(results)
    assert {record["experiment"] for record in numbers} == {each.key for each in results.family("icl")}


def test_every_figure_of_the_whole_study_fits_on_a_page(tmp_path):
    results = load(make_results(tmp_path, n=60, rungs="all"))
    assert len(results.done()) > 50
    for path in make_figures(results, tmp_path / "figures"):
        width, height = re.search(r'width="([\d.]+)pt" height="([\d.]+)pt"', path.read_text()).groups()
        assert float(height) / float(width) < 9.2 / 6.3, (
            path.stem
        )  # inches left on an A4 page with a caption, at full width


def test_titles_and_labels_of_confusion_matrices_do_not_touch_each_other(tmp_path):
    results = load(make_results(tmp_path, n=60, rungs="all"))
    for family in ("roberta", "icl", "qlora", "linear_head"):
        figure, _ = confusion(family)(results)
        figure.draw_without_rendering()
        panels = [panel for panel in figure.axes if panel.get_visible()]
        titles = [next(t for t in p.findobj(Text) if t.get_text() == p.get_title("left")) for p in panels]
        for first, second in combinations([title.get_window_extent() for title in titles], 2):
            assert not first.overlaps(second), family
        for panel in panels:
            assert_labels_apart(panel)
        plt.close(figure)


@pytest.mark.parametrize("rungs", ["core", "all"])
def test_names_of_prompts_do_not_touch_each_other(tmp_path, rungs):
    figure, _ = prompts(load(make_results(tmp_path, n=60, rungs=rungs)))
    figure.draw_without_rendering()
    assert_labels_apart(figure.axes[1])
    plt.close(figure)


def test_no_lettering_of_a_ladder_stands_on_a_line_or_on_other_lettering(folder):
    for name, ladder in load(folder).ladders["ladders"].items():
        with plt.rc_context(STYLE):
            figure, _ = draw_ladder(ladder)
            figure.draw_without_rendering()
        axes, page = figure.axes[0], figure.bbox
        boxes = [text.get_window_extent() for text in axes.texts if text.get_text()]
        assert len(boxes) >= 3 * len(ladder["rungs"]) - 1
        for box in boxes:
            assert not box.overlaps(axes.get_window_extent()), name
            assert page.x0 - 1 < box.x0 < box.x1 < page.x1 + 1, name
        for first, second in combinations(boxes, 2):
            assert not first.overlaps(second), name
        plt.close(figure)


@pytest.mark.parametrize("long", [0, 1, 3])
def test_a_legend_of_long_names_takes_more_rows_and_stays_within_its_figure(long):
    names = ["a model of a name that takes half of the figure's width, no less"] * long + ["short"] * 4
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(figsize=(WIDTH, 3))
        add_legend(figure, [axes.plot([], [], label=name)[0] for name in names])
        figure.draw_without_rendering()
    (legend,) = figure.legends
    box = legend.get_window_extent()
    assert [text.get_text() for text in legend.get_texts()] == names
    assert figure.bbox.x0 <= box.x0 < box.x1 <= figure.bbox.x1
    assert (box.height > 2 * legend.get_texts()[0].get_window_extent().height) == (long > 0)
    plt.close(figure)


def test_the_frontier_has_no_point_that_a_cheaper_one_beats():
    points = [("a", 0, 60.0), ("b", 1, 50.0), ("c", 2, 70.0), ("d", 2, 65.0), ("e", 3, 70.0), ("f", 4, 71.0)]
    assert [name for name, *_ in frontier(points)] == ["a", "c", "f"]


def test_costs_are_read_from_the_runs(folder):
    results = load(folder)
    found = {experiment.key: cost for experiment, cost, _ in costs(results, hours)}
    assert found["icl/prompt1"] == 0
    assert found["roberta/full"] == pytest.approx(31.5 / 3600)
    assert found.keys().isdisjoint({"baseline/majority", "baseline/hypothesis_only"})


def test_reliability_has_every_model_with_label_probabilities_and_its_error(folder):
    results = load(folder)
    _, alt = reliability(results)
    error = results.experiments["roberta/lora"].scores()["calibration_error"]
    assert f"LoRA {error:.3f}" in alt
    bins = results.ladders["reliability"]["roberta/lora"]["classifier"]["bins"]
    assert sum(found["n"] for found in bins) == 60
    assert "merged" not in alt


def test_no_two_curves_look_the_same(folder):
    assert len({(colour, dashes) for colour, _, dashes in LINES}) == len(LINES) == 40
    figure, _ = learning_roberta(load(folder))
    for panel in figure.axes:
        looks = [(line.get_color(), line.get_linestyle()) for line in panel.lines]
        assert len(looks) == len(set(looks))
    plt.close(figure)


def test_a_training_of_one_epoch_has_whole_epochs_on_its_axis(folder):
    results = load(folder)
    for experiment in results.family("roberta"):
        if experiment.first:
            del experiment.first.history["epochs"][1:]
    figure, _ = learning_roberta(results)
    figure.draw_without_rendering()
    for panel in figure.axes:
        assert_labels_apart(panel)
    assert all(tick == int(tick) for panel in figure.axes[1:] for tick in panel.get_xticks())
    plt.close(figure)


def test_the_matrix_of_pairs_has_no_lettering_too_small_to_read(folder):
    with plt.rc_context(STYLE):
        figure, _ = pairs(load(folder))
        figure.draw_without_rendering()
    texts = [text for text in figure.findobj(Text) if text.get_text()]
    assert len(texts) > 300
    assert min(text.get_fontsize() for text in texts) >= SMALLEST
    cell = figure.axes[0].get_window_extent().width / len(figure.axes[0].get_xticks())
    assert max(text.get_window_extent().width for text in figure.axes[0].texts) < cell
    plt.close(figure)


def assert_labels_apart(panel):
    """Horizontal labels do not touch; slanted ones start below their own ticks and cannot."""
    for left, right in pairwise(panel.get_xticklabels()):
        if not left.get_rotation():
            assert left.get_window_extent().x1 < right.get_window_extent().x0, left.get_text()


def test_dollar_signs_in_a_title_are_drawn_as_they_are(folder, tmp_path, monkeypatch):
    study = json.loads((folder / "study.json").read_text())
    study["experiments"]["roberta/full"]["title"] = "$x^{$ of \\$5"
    (tmp_path / "study.json").write_text(json.dumps(study))
    results = load_results(folder, tmp_path / "study.json", ROOT / "report/reported.yaml", folder / "data/none.json")
    monkeypatch.setattr(registry, "FIGURES", dict([next(iter(FIGURES.items()))]))
    (path,) = make_figures(results, tmp_path)
    assert path.read_text().startswith("<?xml")  # as mathematics it could not be drawn


def test_same_results_give_the_same_bytes(drawn, folder, tmp_path):
    for first, second in zip(drawn, make_figures(load(folder), tmp_path), strict=True):
        assert first.read_bytes() == second.read_bytes()


def test_alternative_text_holds_the_numbers(drawn, folder):
    results = load(folder)
    accuracy = results.experiments["roberta/full"].scores()["accuracy"]
    text = (folder / "figures" / "accuracy.md").read_text()
    assert f"Full fine-tuning {100 * accuracy:.1f}" in text


def test_figures_are_drawn_when_nothing_ran(folder, tmp_path):
    (tmp_path / "study.json").write_text((folder / "study.json").read_text())
    make_figures(load(tmp_path), tmp_path / "figures")
    assert "Full fine-tuning not run" in (tmp_path / "figures" / "accuracy.md").read_text()


def test_quotes_in_alternative_text_do_not_end_it():
    assert 'fig-alt="a &quot;b&quot; c"' in image_markdown("x", "Caption", 'a "b" c')


def test_a_logarithmic_axis_has_plain_labels():
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots()
        axes.set_xscale("log")
        log_axis(axes.xaxis)
        axes.set_xticks([0.01, 1, 100, 20_000, 1_000_000])
        figure.canvas.draw()
        assert [label.get_text() for label in axes.get_xticklabels()] == ["0.01", "1", "100", "20k", "1M"]
        assert all(label.get_text() == "" for label in axes.get_xticklabels(minor=True))
        plt.close(figure)
