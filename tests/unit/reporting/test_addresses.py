"""The address of each table and figure: what made it, the command for it alone, and its data as CSV."""

import base64
import csv
import html
import io
import re

import pytest
from unit.report_fixtures import load, make_results
from unit.reporting.test_markup import HOSTILE

from nli.base.errors import StudyError
from nli.reporting.addresses import LABEL, Maker, tables_in, tidy
from nli.reporting.figures.registry import FIGURES, address_of, make_figure, make_figures
from nli.reporting.markup import code_block, escape, table
from nli.reporting.results import reported_accuracy
from nli.reporting.tables.registry import make_table, make_tables

MAKER = Maker("make_tables", "scripts/make_tables.py", "0123456789abcdef+", f"snakemake r/<b>/{LABEL}.csv")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = make_results(tmp_path_factory.mktemp("results"), n=60)
    make_tables(load(folder), folder / "report/tables", MAKER)
    make_figures(load(folder), folder / "report/figures", MAKER)
    return folder


def read_csv(text):
    return list(csv.reader(io.StringIO(text)))


def test_text_in_a_table_is_in_its_data_as_it_was():
    texts = [" ".join(text.split()) for text in HOSTILE]
    source = table({"A": "l", "B": "l"}, [[escape(text), "x"] for text in texts], "C.", "tbl-x")
    (found,) = tables_in(source)
    assert [row[0] for row in found.data[1:]] == texts


def test_a_table_within_a_prompt_is_no_table_of_the_report():
    source = table({"A": "l"}, [["1"]], "C.", "tbl-x")
    assert [found.label for found in tables_in(code_block(source) + "\n" + source.replace("tbl-x", "tbl-y"))] == [
        "tbl-y"
    ]


def test_data_have_rows_of_one_kind_numbers_without_commas_and_the_ends_of_intervals():
    rows = [
        ["Name", "n", "95% interval", "Difference"],
        ["**RoBERTa**", "", "", ""],
        ["Full", "1,234", "87.1 to 88.4", "−1.5"],
        ["", "5", "–", "+2.0"],
        ["**Llama**", "", "", ""],
        ["Prompt\N{NO-BREAK SPACE}1", "*not run*", "−1.0 to +2.0", "9.26 × 10^16^"],
    ]
    assert tidy(rows) == [
        ["Group", "Name", "n", "95% interval, low", "95% interval, high", "Difference"],
        ["RoBERTa", "Full", "1234", "87.1", "88.4", "-1.5"],
        ["RoBERTa", "Full", "5", "", "", "2.0"],
        ["Llama", "Prompt 1", "not run", "-1.0", "2.0", "9.26e16"],
    ]


def test_every_table_and_figure_has_its_address_and_its_data_beside_it(folder):
    pages = {path: path.read_text() for path in (folder / "report").glob("*/*.md") if path.stem != "addresses"}
    labels = [label for text in pages.values() for label in re.findall(r"\{#((?:tbl|fig)-[\w-]+)[ }]", text)]
    shown = "\n".join(pages.values())
    links = dict(re.findall(r'<a download="([\w-]+)\.csv" href="data:text/csv;charset=utf-8;base64,([^"]+)"', shown))
    assert len(labels) > 60
    assert sorted(links) == sorted(labels)
    for label, data in links.items():
        kind = "tables" if label.startswith("tbl-") else "figures"
        rows = read_csv((folder / f"report/{kind}/{label}.csv").read_text())
        assert base64.b64decode(data).decode() == (folder / f"report/{kind}/{label}.csv").read_text()
        assert len({len(row) for row in rows}) == 1 < len(rows), label
        assert f"<code>snakemake r/&lt;b&gt;/{label}.csv</code>" in shown
    listed = "".join((folder / f"report/{kind}/addresses.md").read_text() for kind in ("tables", "figures"))
    assert sorted(re.findall(r"\[@([\w-]+)\]\{#adr-\1\}", listed)) == sorted(labels)


def test_the_address_names_function_rule_script_and_commit(folder):
    text = html.unescape((folder / "report/tables/all-results.md").read_text())
    assert "Made by <code>tables/overview.py, all_results</code>: rule <code>make_tables</code>" in text
    assert "<code>scripts/make_tables.py</code>, commit <code>0123456789ab+</code>" in text


def test_data_of_a_figure_are_the_numbers_that_it_draws(folder):
    results = load(folder)
    header, *body = address_of("accuracy", FIGURES["accuracy"], results).data
    rows = [dict(zip(header, row, strict=True)) for row in body]
    scores = results.experiments["roberta/full"].scores()
    full = next(row for row in rows if row["experiment"] == "roberta/full")
    assert full["accuracy"] == f"{scores['accuracy']:.7g}"
    assert [full["low"], full["high"]] == [f"{end:.7g}" for end in scores["clustered_interval"]]
    assert full["reported"] == reported_accuracy(results.reported, "roberta/full")
    assert len(rows) == len(results.experiments)


def test_one_table_or_figure_is_made_alone_and_is_the_same(folder, tmp_path):
    results = load(folder)
    make_table(results, "tbl-icl", tmp_path)
    make_figure(results, "fig-accuracy", tmp_path)
    for label, kind in (("tbl-icl", "tables"), ("fig-accuracy", "figures")):
        assert (tmp_path / f"{label}.csv").read_bytes() == (folder / f"report/{kind}/{label}.csv").read_bytes()
    assert (tmp_path / "tbl-icl.md").read_text().strip() in (folder / "report/tables/icl-summary.md").read_text()
    assert (tmp_path / "fig-accuracy.svg").read_bytes() == (folder / "report/figures/accuracy.svg").read_bytes()
    assert len(list(tmp_path.iterdir())) == 4


@pytest.mark.parametrize(("make", "label"), [(make_table, "tbl-nope"), (make_figure, "fig-nope")])
def test_what_the_report_does_not_have_is_refused(folder, tmp_path, make, label):
    with pytest.raises(StudyError, match=rf"the report has no \w+ {label}; it has "):
        make(load(folder), label, tmp_path)
