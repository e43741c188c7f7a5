"""Numbers and tables as Pandoc Markdown, with one format for percentages, intervals and missing values.

theme/study.lua sets two conventions alike in HTML and PDF: a header "Group › Column" puts neighbouring columns of a
group under one heading, and a column called "reported" is set apart from ours.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

MISSING = "–"
GROUP = " › "
SPECIAL = str.maketrans({character: "\\" + character for character in "\\`*_{}[]<>$@#|^~\"'&"})
SMART = re.compile(r"-{2,}|\.{3,}")  # Pandoc makes dashes and an ellipsis of them
FENCE = re.compile(r"(`{3,}|~{3,})")
# Control characters, those that turn the direction of the text after them, and what is no character.
CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]")
MOST = 600  # characters of a text within a paragraph or a cell


def escape(text: Any) -> str:
    """Plain text for a paragraph or a table cell, with all Markdown characters escaped; � for control characters.

    A text of more than MOST characters is cut.
    """
    plain = CONTROL.sub("�", shortened(" ".join(str(text).split()), MOST))
    return SMART.sub(lambda run: "".join("\\" + character for character in run[0]), plain.translate(SPECIAL))


def shortened(text: str, most: int) -> str:
    """The first `most` characters of a text, with an ellipsis for the rest."""
    return text if len(text) <= most else f"{text[: most - 1]}…"


def code(text: Any) -> str:
    """Plain text as a code span, or escaped if it has what ends a span or a table cell."""
    text = str(text)
    unfit = re.search(r"[`|{<\n\t]|^$|^\s|\s$", text) or CONTROL.search(text) or len(text) > MOST
    return escape(text) if unfit else f"`{text}`"


def attribute(text: str) -> str:
    """Plain text as the value of an attribute, in quotation marks; Quarto reads shortcodes even there."""
    named = {"&": "&amp;", '"': "&quot;", "{": "&#123;", "<": "&lt;", "\\": "&#92;"}
    plain = CONTROL.sub("�", " ".join(text.split()))
    return '"' + re.sub('[&"{<\\\\]', lambda found: named[found[0]], plain) + '"'


def typst(text: str) -> str:
    """Plain text as Typst markup; quotation marks become typographic."""
    return re.sub(r"[\\#$*_`<>@\[\]~/=+.-]", r"\\\g<0>", CONTROL.sub("�", text))


def code_block(text: str, kind: str = "text") -> str:
    """A fenced block that shows `text` verbatim, even if it contains fences; � for control characters."""
    text = CONTROL.sub("�", text)
    longest = max((len(run) for run in _backtick_runs(text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence} {{.{kind}}}\n{text}\n{fence}\n"


def lines_with_code(text: str) -> Iterator[tuple[str, bool]]:
    """Each line of a Markdown text, and whether it belongs to a fenced code block, its fences included."""
    fence = ""
    for line in text.split("\n"):
        mark = FENCE.match(line)
        if fence:
            yield line, True
            if mark and mark[1].startswith(fence) and not line[mark.end() :].strip():
                fence = ""
        else:
            fence = mark[1] if mark else ""
            yield line, bool(fence)


def _backtick_runs(text: str) -> list[str]:
    marked = "".join(character if character == "`" else " " for character in text)
    return marked.split()


def percent(fraction: float | str | None, digits: int = 2) -> str:
    """0.87753, or the text "0.87753" -> "87.75". A text with words keeps them: "about 0.30" -> "about 30"."""
    if isinstance(fraction, str):
        words, _, value = fraction.rpartition(" ")
        return f"{words} {100 * float(value):.0f}" if words else percent(float(value), digits)
    return MISSING if fraction is None else f"{100 * fraction:.{digits}f}"


def setting(value: float) -> str:
    """0.00015 -> "1.5e-4": every digit of a setting, and no more."""
    return np.format_float_scientific(value, trim="-", exp_digits=1)


def interval(bounds: Sequence[float] | None, digits: int = 1) -> str:
    """[0.8709, 0.8839] -> "87.1 to 88.4" (percent)."""
    if not bounds:
        return MISSING
    low, high = bounds
    return f"{100 * low:.{digits}f} to {100 * high:.{digits}f}"


def integer(value: float | None) -> str:
    """355362819 -> "355,362,819"."""
    return MISSING if value is None else f"{round(value):,}"


def decimal(value: float | None, digits: int = 4) -> str:
    """1.8330 -> "1.8330"; thousands are separated."""
    return MISSING if value is None else f"{value:,.{digits}f}"


def scientific(value: float | None) -> str:
    """9.26e16 -> "9.26 × 10^16^"; 0 -> "0"."""
    if not value:
        return MISSING if value is None else "0"
    mantissa, exponent = f"{value:.2e}".split("e")
    return f"{mantissa} × 10^{int(exponent)}^"


def short_commit(commit: str) -> str:
    """The commit's first characters, with a "+" if the code had local changes."""
    return commit[:12] + ("+" if commit.endswith("+") else "")


def yes_no(value: bool | None) -> str:
    return MISSING if value is None else "yes" if value else "no"


def listing(names: Sequence[str]) -> str:
    """["a", "b", "c"] -> "a, b and c"."""
    if len(names) < 2:
        return "".join(names)
    return f"{', '.join(names[:-1])} and {names[-1]}"


def counted(n: int, one: str, many: str | None = None) -> str:
    """(1, "run") -> "1 run"; (2, "run") -> "2 runs"."""
    return f"{n:,} {one if n == 1 else many or one + 's'}"


def table(columns: Mapping[str, str], rows: Sequence[Sequence[str]], caption: str, label: str) -> str:
    """A pipe table with a caption and a cross-reference label.

    Args:
        columns: header -> "l", "r" or "c", in order.
        rows: cells that are already Markdown (see `escape`), one per column.
        label: "tbl-...", the target of @tbl-...
    """
    for row in rows:
        if len(row) != len(columns):
            raise ValueError(f"{label}: a row of {len(row)} cells for {len(columns)} columns: {row}")
    rules = {"l": ":---", "r": "---:", "c": ":---:"}
    lines = [
        _line(columns),
        _line([rules[side] for side in columns.values()]),
        *(_line(row) for row in rows),
    ]
    return "\n".join(lines) + f"\n\n: {caption} {{#{label}}}\n"


def _line(cells: Any) -> str:
    return f"| {' | '.join(cells)} |"
