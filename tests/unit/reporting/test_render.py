"""The whole report: its sources, its includes, both outputs, and the choice of an engine."""

import json
import re
import subprocess
import sys
from html.parser import HTMLParser
from itertools import pairwise

import pytest
import yaml
from unit.report_fixtures import ROOT, make_results, measure

from nli.base.errors import StudyError
from nli.reporting import render as report
from nli.reporting.figures.registry import FIGURES, make_figures
from nli.reporting.markup import code_block
from nli.reporting.results import load_results
from nli.reporting.tables.registry import FRAGMENTS, make_tables

SOURCE = ROOT / "report"


def make_fragments(folder):
    results = load_results(
        folder,
        folder / "study.json",
        SOURCE / "reported.yaml",
        folder / "data" / "description.json",
        folder / "report" / "ladders.json",
    )
    make_tables(results, folder / "report" / "tables")
    make_figures(results, folder / "report" / "figures")
    return folder / "report"


def build(folder):
    """Assemble and render with the embedded engine; returns the HTML text, and the path of the PDF."""
    study = report.assemble(SOURCE, make_fragments(folder), folder / "build")
    html, pdf = folder / "report.html", folder / "report.pdf"
    assert report.render(study, html, pdf, engine="embedded") == "embedded"
    return html.read_text(), pdf


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    return build(make_results(tmp_path_factory.mktemp("demo"), n=60))


class Page(HTMLParser):
    """Collects identifiers, targets of links inside the page, images' alternative texts, and addresses."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.ids, self.targets, self.alts, self.addresses = [], [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        self.ids += [given["id"]] if "id" in given else []
        if tag == "a" and given.get("href", "").startswith("#"):
            self.targets.append(given["href"][1:])
        if tag == "img":
            self.alts.append(given.get("alt"))
        if tag in ("img", "script", "link") and (address := given.get("src") or given.get("href")):
            self.addresses.append(address)


def test_every_cross_reference_leads_somewhere(demo):
    page = Page(demo[0])
    assert set(page.targets) <= set(page.ids)
    assert not re.search(r"@(fig|tbl|sec)-", demo[0])
    assert "???" not in demo[0]


def test_identifiers_are_unique_outside_the_drawings(demo):
    ids = Page(re.sub(r"<svg.*?</svg>", "", demo[0], flags=re.DOTALL)).ids
    assert len(ids) == len(set(ids))


def test_the_page_needs_no_other_file_and_no_network(demo):
    page = Page(demo[0])
    assert all(address.startswith("data:") for address in page.addresses)
    assert "@import" not in demo[0]
    assert "url(http" not in demo[0]


def test_every_figure_has_alternative_text(demo):
    alts = Page(demo[0]).alts
    ladders = len(json.loads((demo[1].parent / "report/ladders.json").read_text())["ladders"])
    assert len(alts) == len(FIGURES) + 2 * ladders  # each ladder has a finding with a small picture
    assert all(len(alt) > 30 for alt in alts)


def test_headings_skip_no_level_and_the_contents_name_each_section(demo):
    levels = [int(level) for level in re.findall(r"<h([1-6])[ >]", demo[0])]
    assert all(after <= before + 1 for before, after in pairwise(levels))
    listed = re.search(r'<nav id="contents".*?</nav>', demo[0], re.DOTALL)[0]
    headings = re.findall(r'<h([12])\s+(?:data-number="([\d.]+)"\s+)?(?:class="unnumbered"\s+)?id="([^"]+)"', demo[0])
    links = re.findall(r'href="#([^"]+)"[^>]*>\s*(?:<span\s+class="toc-section-number">([\d.]+)</span>)?', listed)
    assert [(name, number) for _, number, name in headings] == links
    assert len(links) > 30


def test_no_shortcode_and_no_group_mark_is_left(demo):
    assert "{{&lt;" not in demo[0]
    assert "{{<" not in demo[0]
    assert " › " not in demo[0]


def test_the_demo_notice_stands_above_the_page_and_on_each_page_of_the_pdf(demo):
    assert '<aside class="scale-bar" aria-label="Notice">Demo scale' in demo[0]
    typst = (demo[1].parent / "build" / "study.typ").read_text()
    assert "#let study-notice = [Demo scale" in typst
    assert demo[1].read_bytes().startswith(b"%PDF")


def test_a_paper_report_has_no_demo_notice(tmp_path):
    text, _ = build(make_results(tmp_path, scale="paper", n=40))
    assert "Demo scale" not in text
    assert 'class="scale-bar"' not in text


def test_a_report_is_made_when_nothing_ran(demo, tmp_path):
    full = demo[1].parent
    (tmp_path / "study.json").write_text((full / "study.json").read_text())
    measure(tmp_path)
    text, pdf = build(tmp_path)
    assert "not run" in text
    assert pdf.stat().st_size > 10_000


def test_equal_reports_are_equal_bytes(demo, tmp_path):
    folder = demo[1].parent
    study = report.assemble(SOURCE, folder / "report", tmp_path / "build")
    report.render(study, tmp_path / "a.html", tmp_path / "a.pdf", engine="embedded")
    assert (tmp_path / "a.html").read_text() == demo[0]
    assert (tmp_path / "a.pdf").read_bytes() == demo[1].read_bytes()


def included() -> set[str]:
    """Names of all files that the sources include."""
    files = [SOURCE / "study.qmd", *(SOURCE / "sections").glob("*.qmd")]
    return {name for path in files for name in report.INCLUDE.findall(path.read_text())}


def test_every_fragment_is_in_the_report_and_every_include_is_made():
    front = yaml.safe_load((SOURCE / "study.qmd").read_text().split("---\n")[1])
    by_format = front["format"]
    named = {*by_format["html"]["include-before-body"], *by_format["typst"]["include-in-header"], "tables/date.txt"}
    made = {f"tables/{name}" for name in FRAGMENTS} | {f"figures/{name}.md" for name in FIGURES}
    made |= {"tables/addresses.md", "figures/addresses.md"}
    sections = {f"sections/{path.name}" for path in (SOURCE / "sections").glob("*.qmd")}
    assert included() | {name for name in named if not name.startswith("theme/")} == made | sections


def test_no_result_is_typed_into_the_sources():
    """Decimal numbers belong in fragments; the sources have only those that explain a method."""
    for path in (SOURCE / "sections").glob("*.qmd"):
        prose = re.sub(r"\{\{<.*?>\}\}|@[\w-]+|`[^`]*`", "", path.read_text())
        assert not re.findall(r"\d+\.\d+", prose), path.name


def test_the_sources_run_no_code():
    for path in [SOURCE / "study.qmd", *(SOURCE / "sections").glob("*.qmd")]:
        assert not re.search(r"^```+\s*\{(python|r|julia|ojs)", path.read_text(), re.MULTILINE)


def test_a_missing_include_is_named(tmp_path):
    (tmp_path / "study.qmd").write_text("{{< include tables/none.md >}}\n")
    with pytest.raises(StudyError, match=r"study\.qmd includes tables/none\.md"):
        report.expand_includes(tmp_path / "study.qmd", (tmp_path,))


HOSTILE = "{{< include /etc/hostname >}}"


def test_text_of_a_model_includes_no_file_and_closes_no_block(tmp_path):
    """A prompt or an answer is shown in a code block: its lines are text, whatever they say."""
    answer = f"before\n{HOSTILE}\n```\n{HOSTILE}\n~~~~\n{{{{< env HOME >}}}}"
    (tmp_path / "study.qmd").write_text("{{< include tables/samples.md >}}\n\n{{< include tables/after.md >}}\n")
    (tmp_path / "tables").mkdir()
    (tmp_path / "tables/samples.md").write_text(code_block(answer))
    (tmp_path / "tables/after.md").write_text("After.\n")
    text = report.expand_includes(tmp_path / "study.qmd", (tmp_path,))
    assert text == f"{code_block(answer)}\nAfter.\n"
    shown = report.for_quarto(text)
    assert "{{{< include /etc/hostname >}}}" in shown
    assert "{{{< env HOME >}}}" in shown


@pytest.mark.parametrize("name", ["/etc/hostname", "../secret.md", "tables/../../secret.md"])
def test_an_include_leads_out_of_no_folder_of_the_report(tmp_path, name):
    (tmp_path / "secret.md").write_text("secret")
    source = tmp_path / "report"
    (source / "tables").mkdir(parents=True)
    (source / "study.qmd").write_text(f"{{{{< include {name} >}}}}\n")
    with pytest.raises(StudyError, match="is not in the report"):
        report.expand_includes(source / "study.qmd", (source,))


def test_a_circle_of_includes_is_refused(tmp_path):
    (tmp_path / "a.qmd").write_text("{{< include b.qmd >}}\n")
    (tmp_path / "b.qmd").write_text("{{< include a.qmd >}}\n")
    with pytest.raises(StudyError, match="includes itself"):
        report.expand_includes(tmp_path / "a.qmd", (tmp_path,))


def test_quarto_is_used_where_it_is_found_and_nothing_is_half_written(demo, tmp_path, monkeypatch):
    folder = demo[1].parent
    program = tmp_path / "quarto"
    program.write_text('#!/bin/sh\n[ "$4" = html ] && echo "<p>made</p>" > "$6" && exit 0\necho broken >&2; exit 3\n')
    program.chmod(0o755)
    monkeypatch.setattr(report, "find_quarto", lambda: str(program))
    study = report.assemble(SOURCE, folder / "report", tmp_path / "build")
    with pytest.raises(StudyError, match="quarto failed: broken"):
        report.render(study, tmp_path / "r.html", tmp_path / "r.pdf")
    assert (tmp_path / "build" / "study.html").exists()
    assert not list(tmp_path.glob("*.html"))
    assert not list(tmp_path.glob("*.pdf"))


@pytest.mark.parametrize(
    "warning",
    [
        "WARNING (/opt/quarto/share/filters/main.lua:14000) Unable to resolve crossref @tbl-nope",
        "\x1b[33mWARN: Unable to resolve crossref @tbl-nope\x1b[39m",
        "[WARNING] Duplicate identifier 'tbl-nope'",
        "warning: unknown font family: tbl-nope",
    ],
)
def test_a_warning_of_quarto_fails_the_render_with_its_text(demo, tmp_path, monkeypatch, warning):
    program = tmp_path / "quarto"
    program.write_text(f'#!/bin/sh\necho made > "$6"\necho "Output created: $6" >&2\necho "{warning}" >&2\n')
    program.chmod(0o755)
    monkeypatch.setattr(report, "find_quarto", lambda: str(program))
    study = report.assemble(SOURCE, demo[1].parent / "report", tmp_path / "build")
    with pytest.raises(StudyError, match=r"quarto warns: .*tbl-nope"):
        report.render(study, tmp_path / "r.html", tmp_path / "r.pdf")
    assert not list(tmp_path.glob("r.*"))


@pytest.mark.parametrize(
    ("added", "said"),
    [
        ("See @tbl-nope.", "tbl-nope"),
        ("See @nobody2024.", "nobody2024"),
        ('```{=typst}\n#text(font: "Nope")[a]\n```', "Typst warns .*unknown font family: nope"),
    ],
)
def test_a_warning_of_the_embedded_engine_fails_the_render_with_its_text(demo, tmp_path, added, said):
    study = report.assemble(SOURCE, demo[1].parent / "report", tmp_path / "build")
    with study.open("a") as text:
        text.write(f"\n\n{added}\n")
    with pytest.raises(StudyError, match=said):
        report.render(study, tmp_path / "r.html", tmp_path / "r.pdf", engine="embedded")
    assert not list(tmp_path.glob("r.*"))


def test_asking_for_quarto_without_it_is_a_clear_error(tmp_path, monkeypatch):
    monkeypatch.setattr(report, "find_quarto", lambda: None)
    with pytest.raises(StudyError, match="no quarto found"):
        report.render(tmp_path / "study.qmd", tmp_path / "a.html", tmp_path / "a.pdf", "quarto")


def test_the_script_renders_by_hand(demo, tmp_path):
    fragments = demo[1].parent / "report"
    options = {
        "--source": SOURCE,
        "--fragments": fragments,
        "--html": tmp_path / "r.html",
        "--pdf": tmp_path / "r.pdf",
        "--work-dir": tmp_path / "build",
        "--engine": "embedded",
    }
    command = [sys.executable, ROOT / "scripts" / "render_report.py"]
    command += [str(part) for pair in options.items() for part in pair]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "rendered with the embedded engine" in done.stdout
    assert (tmp_path / "r.html").stat().st_size > 100_000
