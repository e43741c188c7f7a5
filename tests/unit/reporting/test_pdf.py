"""The PDF: its look (theme/study.typ), its pages, what a screen reader needs, and its date."""

import io
import json
import re

import numpy as np
import pytest
import typst
from PIL import Image
from unit.report_fixtures import ROOT, load, make_results

from nli.base.errors import StudyError
from nli.reporting import render as report
from nli.reporting.figures.registry import make_figures
from nli.reporting.tables.registry import make_tables

A4 = (21.0, 29.7)  # cm
SIDE, HEAD = 2.2, 2.4  # cm: the margins in study.qmd
POINTS_PER_CM = 72 / 2.54


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """The assembled study.qmd of a demo, with its PDF beside it."""
    folder = make_results(tmp_path_factory.mktemp("demo"), n=60)
    make_tables(load(folder), folder / "report" / "tables")
    make_figures(load(folder), folder / "report" / "figures")
    study = report.assemble(ROOT / "report", folder / "report", folder / "build")
    report.render(study, folder / "report.html", folder / "report.pdf", engine="embedded")
    return study


def compile_study(study, **options):
    """The study's Typst document as bytes, or as a list of them, one for each page."""
    return typst.compile(study.with_suffix(".typ"), root=study.parent, ignore_system_fonts=True, timestamp=0, **options)


def ink(page: bytes) -> np.ndarray:
    """Where a page's picture is dark, by row and column."""
    return np.asarray(Image.open(io.BytesIO(page)).convert("L")) < 200


def assert_margins(study) -> None:
    """Nothing stands left or right of the text, or below it but the page number."""
    pages = compile_study(study, format="png", ppi=36)
    assert len(pages) > 20
    for number, page in enumerate(pages, start=1):
        dark = ink(page)
        height, width = dark.shape
        assert width / height == pytest.approx(A4[0] / A4[1], abs=0.01)
        scale = width / A4[0]  # pixels per cm
        side, head = int(scale * SIDE) - 1, int(scale * HEAD)
        assert not dark[:, :side].any(), f"page {number}, left"
        assert not dark[:, width - side :].any(), f"page {number}, right"
        foot = dark[height - head :]
        middle = int(scale * 4)  # cm: the page number
        foot[:, width // 2 - middle // 2 : width // 2 + middle // 2] = False
        assert not foot[2:].any(), f"page {number}, foot"


def test_nothing_stands_in_the_margins(study):
    assert_margins(study)


def first_page_of_the_appendix(study) -> int:
    page = study.with_name("counted.typ")
    found = "query(<sec-appendix>).first().location().page()"
    page.write_text(f"{study.with_suffix('.typ').read_text()}\n#context [#metadata({found})<appendix>]\n")
    return json.loads(typst.query(str(page), "<appendix>", root=str(study.parent), field="value", one=True))


def test_the_body_has_at_most_25_pages_and_little_empty_room(study):
    """Of the core study: what grows with the number of experiments is in the appendix."""
    body = first_page_of_the_appendix(study) - 1
    assert 15 < body <= 25
    gaps = []  # the highest empty band of each page
    for page in compile_study(study, format="png", ppi=36)[:body]:
        dark = ink(page)
        head = int(HEAD / A4[1] * len(dark))
        height = len(dark) - 2 * head
        rows = np.flatnonzero(dark[head : head + height].any(axis=1))
        gaps.append((np.diff([-1, *rows, height]).max() - 1) / height)
    assert np.mean(gaps) < 0.15


def test_the_pdf_meets_the_standard_for_accessible_ones(study):
    """PDF/UA-1 asks for a title, a language, tags, headings that skip no level and alternative texts: Typst checks."""
    assert compile_study(study, pdf_standards=["ua-1"])


def test_every_picture_has_its_own_alternative_text(study):
    text = study.with_suffix(".typ").read_text()
    pictures = re.findall(r'#image\("figures/([\w-]+)\.svg", width: \d+%, alt: "(.+)"\)', text)
    assert len(pictures) == len(list((study.parent / "figures").glob("*.svg"))) == len({alt for _, alt in pictures})
    assert "image(" not in re.sub(r"#image\(", "", text)


def test_the_pdf_has_bookmarks(study):
    assert b"/Outlines" in (study.parent.parent / "report.pdf").read_bytes()


def test_the_pdf_is_dated_like_the_last_run(study):
    assert b"D:20261128" in (study.parent.parent / "report.pdf").read_bytes()
    assert "[2026-11-28]" in study.with_suffix(".typ").read_text()


def test_a_date_from_outside_comes_before_that_of_the_runs(study, monkeypatch):
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "86400")
    assert report.timestamp(study) == 86400
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "yesterday")
    with pytest.raises(StudyError, match="SOURCE_DATE_EPOCH is 'yesterday'"):
        report.timestamp(study)


def test_quarto_is_told_the_date_of_the_runs(study, tmp_path, monkeypatch):
    program = tmp_path / "quarto"
    program.write_text(f'#!/bin/sh\necho "$SOURCE_DATE_EPOCH $*" >> {tmp_path}/said; echo made > "$6"\n')
    program.chmod(0o755)
    monkeypatch.setattr(report, "find_quarto", lambda: str(program))
    monkeypatch.delenv("SOURCE_DATE_EPOCH", raising=False)
    report.render(study, tmp_path / "r.html", tmp_path / "r.pdf")
    said = (tmp_path / "said").read_text().splitlines()
    assert all(re.fullmatch(r"1795824000 render .*--metadata=run-date:2026-11-28", line) for line in said)


def pages_of(tmp_path, body: str) -> dict[str, list[int]]:
    """Mark -> the page, and the height on it in points, of each of its places in a document set like the report.

    A mark in `body` is `#metadata("name")<mark>`.
    """
    places = "query(<mark>).map(m => (m.value, m.location().page(), m.location().position().y.pt()))"
    page = tmp_path / "page.typ"
    page.write_text(
        f'#let study-notice = none\n#set page(paper: "a4", margin: (x: {SIDE}cm, y: {HEAD}cm))\n'
        f"{(ROOT / 'report/theme/study.typ').read_text()}\n{body}\n#context [#metadata({places})<places>]\n"
    )
    found = json.loads(typst.query(str(page), "<places>", field="value", one=True))
    marks = {}
    for name, number, height in found:
        marks.setdefault(name, []).append((number, height))
    return marks


def table_figure(kind: str, rows: int) -> str:
    """A table of two columns with a caption of three lines; the caption and each row are marked."""
    cells = "".join(f'[#metadata("row")<mark> {i}], [text],' for i in range(rows))
    caption = f'figure.caption(position: top, [#metadata("caption")<mark> {"A long caption. " * 25}])'
    body = f"table(columns: 2, table.header([A], [B]), {cells})"
    return f"#figure({body}, kind: {kind}, supplement: [T], caption: {caption})"


KINDS = {"table": ("table", "image"), "Quarto": ('"quarto-float-tbl"', '"quarto-float-fig"')}


@pytest.mark.parametrize("kind", [kinds[0] for kinds in KINDS.values()], ids=KINDS)
@pytest.mark.parametrize("above", [18, 21, 23, 24])
def test_a_table_stays_with_its_caption_and_a_short_one_in_one_piece(tmp_path, kind, above):
    short = pages_of(tmp_path, f"#v({above}cm)\n{table_figure(kind, 15)}")
    assert len({number for number, _ in short["caption"] + short["row"]}) == 1
    long = pages_of(tmp_path, f"#v({above}cm)\n{table_figure(kind, 90)}")
    assert long["caption"][0][0] == long["row"][0][0]
    assert len({number for number, _ in long["row"]}) > 1


@pytest.mark.parametrize("kind", [kinds[1] for kinds in KINDS.values()], ids=KINDS)
@pytest.mark.parametrize(("above", "page"), [(1, 1), (12, 1), (20, 2)])
def test_a_picture_never_stands_above_its_text_and_leaves_no_gap(tmp_path, kind, above, page):
    picture = f'#figure([#metadata("picture")<mark>#rect(height: 8cm)], kind: {kind}, supplement: [F], caption: [C])<p>'
    paragraph = '#metadata("text")<mark>' + "Text. " * 60
    body = f'#v({above}cm)\n#metadata("before")<mark>Text.\n\n{picture}\n\n' + f"{paragraph}\n\n" * 12
    marks = pages_of(tmp_path, f"{body}\n= Next\n")
    assert marks["picture"][0][0] == page
    assert marks["picture"][0] > marks["before"][0]
    assert marks["text"][0][0] == 1
    assert marks["picture"][0][1] > (A4[1] - HEAD - 8 - 2) * POINTS_PER_CM  # at the foot: 8 cm, and the caption
