"""Text is data: what comes from data, models, configs and messages is plain text in both formats, by both engines."""

import json
import re
from html.parser import HTMLParser

import pytest
import typst
from unit import report_fixtures
from unit.report_fixtures import ROOT, make_results, measure, rewrite
from unit.reporting.test_pdf import assert_margins

from nli.base.files import read_json, sha256
from nli.reporting import render as report
from nli.reporting.figures.registry import make_figures
from nli.reporting.results import load_results
from nli.reporting.tables.registry import make_tables

LONG = "word" * 2500  # 10,000 characters without a space
TITLES = [  # of one line, without control characters, of 200 characters at most: the config refuses others
    "<script>alert(1)</script> & &lt;b&gt;",
    "{{< include /etc/passwd >}} {{< env HOME >}}",
    "[a](javascript:alert(1)) ![b](/etc/passwd)",
    '#read("/etc/passwd") /* $x$ */ // @fig-accuracy <label>',
    "مرحبا بالعالم | # _x_ *y* `z`",
    "</td></table> {#tbl-icl} ::: {.x} --- ...",
    "L" * 200,
]
TEXTS = [  # of the data and of models
    *TITLES,
    "\u202eturned\u202c \x00\x07 \x1b[31mred\x1b[0m \x85",
    LONG,
    "```\n---\nfilters: [evil.lua]\ninclude-before-body: /etc/passwd\n---\n````\n~~~",
    "<!-- \n$$\n: Caption {#tbl-icl}\n| a | b |\n{{< include /etc/passwd >}}\n-->",
]
KEYS = ("roberta/full", "icl/prompt1", "qlora/attempt1", "roberta/prompt_tuning", "icl/prompt2", "qlora/attempt2")
KEYS += ("linear_head/first_token",)
CONFIG = {
    "experiments": {key: {"title": title} for key, title in zip(KEYS, TITLES, strict=True)},
    "models": {"encoder": {"title": TITLES[0]}, "decoder": {"title": TITLES[3]}},
    "data": {"sets": {"matched": {"title": TITLES[1]}, "mismatched": {"title": TITLES[4]}}},
    "ladders": {"prompt_tuning": {"title": TITLES[2], "question": TITLES[5]}, "lora": {"title": TITLES[1]}},
    "prompts": {"prompt3": {"text": "{premise} {hypothesis}\n" + "\n".join(TEXTS[:7] + TEXTS[8:])}},
}


def plain(text: str) -> str:
    """A text as it is shown: � for what cannot be, and spaces for white space."""
    return " ".join(re.sub(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e]", "�", text).split())


def spoil(folder, monkeypatch):
    """Results in which every text that reaches the report is hostile."""
    monkeypatch.setattr(report_fixtures, "GENRES", TEXTS)
    make_results(folder, n=60, overrides=CONFIG)
    described = folder / "data/description.json"
    described.write_text(json.dumps({**read_json(described), "warnings": TEXTS}))
    answers = folder / "qlora/attempt1/seed42/samples.json"
    sample = {"premise": TEXTS[8], "hypothesis": TEXTS[7], "label": TITLES[0]}
    prompt, said = "\n".join(TEXTS[7:]), "\n".join(TEXTS)
    answers.write_text(json.dumps({"sample": sample, "prompt": prompt, "before": said, "after": TEXTS[9]}))
    run = folder / "qlora/attempt1/seed42/run.json"
    rewrite(run, trained={**read_json(run)["trained"], "samples.json": sha256(answers)})
    for key, text in (("icl/prompt4", TITLES[0]), ("icl/prompt5", LONG)):  # named in the reason of a failure
        rewrite(folder / key / "seed42/run.json", family=text)
    study = folder / "study.json"
    study.write_text(json.dumps({**read_json(study), "finished_only": True}))
    measure(folder)
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Hostile results with the report of the embedded engine."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        folder = spoil(tmp_path_factory.mktemp("hostile"), monkeypatch)
    files = ("study.json", ROOT / "report/reported.yaml", "data/description.json", "report/ladders.json")
    results = load_results(folder, *(folder / file for file in files))
    make_tables(results, folder / "report/tables")
    make_figures(results, folder / "report/figures")
    study = report.assemble(ROOT / "report", folder / "report", folder / "build")
    report.render(study, folder / "report.html", folder / "report.pdf", engine="embedded")
    return folder


class Page(HTMLParser):
    """The text of a page, its code blocks, its elements, and the addresses of its links and pictures."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags, self.addresses, self.said, self.blocks, self.inside = [], [], [], [], []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.inside = [*self.inside, tag] if tag in ("pre", "script", "style") else self.inside
        self.blocks += [""] if tag == "pre" else []
        self.addresses += [value for name, value in attrs if name in ("href", "src")]

    def handle_endtag(self, tag):
        self.inside = self.inside[:-1] if self.inside[-1:] == [tag] else self.inside

    def handle_data(self, data):
        if "script" not in self.inside and "style" not in self.inside:
            self.said.append(data)
        if "pre" in self.inside:
            self.blocks[-1] += data


def test_the_page_shows_every_text_and_does_nothing_else(folder):
    page = Page((folder / "report.html").read_text())
    said = plain(" ".join(page.said))
    for text in TITLES:
        assert plain(text) in said
    blocks = "\n".join(page.blocks)
    for text in TEXTS:
        assert re.sub(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e]", "�", text) in blocks
    assert page.tags.count("script") == 1
    assert [address for address in page.addresses if not address.startswith(("#", "data:", "https://"))] == []
    assert "root:" not in said


def text_of(content) -> str:
    """The text of Typst's content, as `typst.query` gives it."""
    if isinstance(content, dict):
        own = content.get("text", "")
        parts = [content.get(key) for key in ("body", "child", "children", "caption")]
        space = " " if content.get("func") == "space" else ""
        return space + (own if isinstance(own, str) else text_of(own)) + "".join(map(text_of, parts))
    return "".join(map(text_of, content)) if isinstance(content, list) else ""


def query(folder, selector):
    page = folder / "build/study.typ"
    return json.loads(typst.query(str(page), selector, root=str(page.parent), ignore_system_fonts=True))


def test_the_pdf_shows_every_text(folder):
    typographic = str.maketrans("“”‘’", "\"\"''")
    headings = [text_of(heading["body"]).translate(typographic) for heading in query(folder, "heading")]
    for text in TITLES[1:3]:  # of the prompts' cards and the ladders
        assert any(plain(text) in heading for heading in headings), text
    blocks = "\n".join(block["text"] for block in query(folder, "raw"))
    for text in TEXTS:
        assert re.sub(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e]", "�", text) in blocks
    assert (folder / "report.pdf").read_bytes().startswith(b"%PDF")


def test_quarto_finds_no_shortcode_and_no_metadata_in_a_text(folder):
    """What Quarto does to the source before Pandoc reads it: comments and code cut, then metadata wherever they are."""
    source = report.for_quarto((folder / "build/study.qmd").read_text())
    assert re.findall(r"(?<!\{)\{\{<", source) == []
    source = re.sub(r"<!--[\W\w]*?-->", "", source)
    source = re.sub(r"^([\t >]*`{3,})[^`\n]*\n[\W\w]*?\n\1\s*$", "", source, flags=re.MULTILINE)
    found = re.findall(r"^---[ \t]*\n(?![ \t]*\n)[\W\w]*?\n(?:---|\.\.\.)[ \t]*$", source, flags=re.MULTILINE)
    assert len(found) == 1
    assert found[0].startswith('---\ntitle: "Three ways')


def test_a_hostile_report_keeps_to_its_margins(folder):
    assert_margins(folder / "build/study.qmd")


def test_the_data_of_a_figure_have_the_titles_whole(folder):
    data = (folder / "report/figures/fig-accuracy.csv").read_text()
    assert "L" * 200 in data
    assert TITLES[2] in data
