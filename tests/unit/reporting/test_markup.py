"""Text of data, models and configs is shown as it is, and nothing in it is read as Markdown, HTML or Typst."""

import html
import json
import re

import pypandoc
import typst

from nli.reporting import markup

HOSTILE = [
    "--flag",
    "a---b",
    "...",
    "&lt;b&gt; &amp; &#60;",
    "<script>alert(1)</script>",
    "$x^2$ and $",
    "[a](javascript:x) ![b](/etc/passwd)",
    "{{< include /etc/passwd >}}",
    "`{=html}` ```{=html}",
    "# one | two @sec-data ^[note]",
    "\\textbf{x} \\",
    'it\'s "quoted"',
    ":::{.x} ~~a~~ H~2~O",
    "1. first",
    '#read("/etc/passwd") /* */ // @ref <label>',
    "نص Ω 中文 🎉",
]


def cells(texts):
    """What HTML shows of `texts`, each in a row of a table."""
    source = markup.table({"A": "l", "B": "l"}, [[markup.escape(text), "x"] for text in texts], "C.", "tbl-x")
    page = pypandoc.convert_text(source, "html", "markdown", extra_args=["--wrap=none"])
    assert not re.findall(r"<(?!/?(?:table|caption|thead|tbody|tr|t[hd]|col|colgroup|style)\b)", page)
    return [html.unescape(cell) for cell in re.findall(r"<td[^>]*>(.*?)</td>", page, re.DOTALL)[::2]]


def test_every_text_is_shown_as_it_is():
    assert cells(HOSTILE) == HOSTILE


def test_no_control_character_reaches_the_page():
    assert cells(["a\x00b\x1bc\x7fd\x9be\ud800", " f\n g\x85"]) == ["a�b�c�d�e�", "f g"]
    assert markup.code_block("a\x1b[31m\tb\nc") == "``` {.text}\na�[31m\tb\nc\n```\n"


TEXT_OF = """
#let text-of(it) = if it == [ ] { " " } else if it.has("text") { it.text } else { it.children.map(text-of).join() }
"""


def test_typst_shows_a_title_as_it_is(tmp_path):
    texts = [re.sub("[\"']", "", text) for text in HOSTILE]  # quotation marks become typographic
    (tmp_path / "page.typ").write_text(
        TEXT_OF + "\n".join(f"#metadata(text-of([{markup.typst(text)}])) <shown>" for text in texts), encoding="utf-8"
    )
    shown = json.loads(typst.query(str(tmp_path / "page.typ"), "<shown>", field="value"))
    assert shown == texts
