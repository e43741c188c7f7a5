"""The address of every table and figure: what made it, the command that remakes it alone, and its data as CSV.

The HTML has it folded below each table and figure, with the data inside. The PDF has a table of all addresses in the
appendix, to which each caption links; its data are the CSV files beside the tables and figures.
"""

import base64
import csv
import html
import io
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nli.reporting.markup import GROUP, MISSING, lines_with_code, short_commit, table

CAPTION = re.compile(r": .+ \{#(tbl-[\w-]+)\}")  # what `markup.table` ends with
HEADING = re.compile(r"\*\*.+\*\*")
RANGE = re.compile(r"([+−-]?[\d,.]+) to ([+−-]?[\d,.]+)")
NUMBER = re.compile(r"[+−-]?[\d,]*\d(\.\d+)?(e-?\d+)?")


LABEL = "LABEL"  # stands for the label of a table or figure in a command
COMMAND = f"snakemake --cores 1 results/demo/report/single/{LABEL}.csv"


@dataclass(frozen=True)
class Maker:
    """What makes the fragments: a rule and its script at a commit, and the command for one that is called `LABEL`."""

    rule: str
    script: str
    commit: str | None
    command: str = COMMAND

    def remakes(self, label: str) -> str:
        """The command that makes the table or figure alone, with its data."""
        return self.command.replace(LABEL, label)


@dataclass(frozen=True)
class Address:
    """One table or figure: its label, the function that makes it, and its data, the header first."""

    label: str
    function: str
    data: Sequence[Sequence[str]]

    @property
    def file(self) -> str:
        """The file of its data in the folder of the fragments."""
        return f"{'tables' if self.label.startswith('tbl-') else 'figures'}/{self.label}.csv"


def name_of(function: Callable[..., Any]) -> str:
    """A function of the library as one looks it up: "tables/overview.py, all_results"."""
    module = function.__module__.removeprefix("nli.reporting.").replace(".", "/")
    return f"{module}.py, {function.__qualname__.split('.')[0]}"


# ------------------------------------------------------------------------------------------------ data


@dataclass(frozen=True)
class Found:
    """A table in a fragment: its lines, its label and its data."""

    start: int
    end: int
    label: str
    data: list[list[str]]


def tables_in(text: str) -> list[Found]:
    """The tables of a fragment outside its code blocks."""
    found, rows, start = [], [], 0
    for i, (line, code) in enumerate(lines_with_code(text)):
        caption = None if code else CAPTION.fullmatch(line)
        if caption:
            data = tidy([cells(row) for j, row in enumerate(rows) if j != 1])
            found.append(Found(start, i + 1, caption[1], data))
            rows = []
        elif not code and line.startswith("| "):
            start = start if rows else i
            rows.append(line)
    return found


def cells(line: str) -> list[str]:
    """The Markdown cells of a row of a pipe table: `markup.table` escapes every bar in them."""
    return line.removeprefix("| ").removesuffix(" |").split(" | ")


def tidy(rows: Sequence[Sequence[str]]) -> list[list[str]]:
    """A table's Markdown cells as plain text in rows of the same kind, the header first.

    A heading over rows becomes a column of its own, and an empty first cell repeats the one above. An interval becomes
    two columns. Numbers have no thousands separators, and missing values are empty.
    """
    header, *body = [list(row) for row in rows]
    grouped = any(HEADING.fullmatch(row[0]) and not any(row[1:]) for row in body)
    group, above, filled = "", "", []
    for row in body:
        if HEADING.fullmatch(row[0]) and not any(row[1:]):
            group = row[0]
            continue
        above = row[0] or above
        filled.append([*([group] if grouped else []), above, *row[1:]])
    columns = list(zip(*[["Group", *header] if grouped else header, *filled], strict=True))
    return [list(row) for row in zip(*(part for column in columns for part in split_ranges(column)), strict=True)]


def split_ranges(column: Sequence[str]) -> list[list[str]]:
    """A column as plain text, or the low and the high ends of its intervals."""
    head, *values = map(plain, column)
    head = head.replace(GROUP, ": ")
    found = [RANGE.fullmatch(value) for value in values]
    if not any(found) or any(value and not match for value, match in zip(values, found, strict=True)):
        return [[head, *(number(value) for value in values)]]
    ends = [[number(match[i]) if match else "" for match in found] for i in (1, 2)]
    return [[f"{head}, low", *ends[0]], [f"{head}, high", *ends[1]]]


def plain(cell: str) -> str:
    """A Markdown cell as text: the inverse of `markup.escape`, without emphasis, code marks and links."""
    text = re.sub(r" × 10\^(-?\d+)\^", r"e\1", cell.strip())
    text = re.sub(r"(?<!\\)\[([^\]]*)\]\([^)]*\)", r"\1", text)
    text = re.sub(r"\\(.)|[*`]", lambda match: match[1] or "", text)
    return "" if text == MISSING else text.replace("\N{NO-BREAK SPACE}", " ")


def number(text: str) -> str:
    """ "−1,234.5" -> "-1234.5"; what is no number stays."""
    return text.replace("−", "-").replace(",", "").lstrip("+") if NUMBER.fullmatch(text) else text


def rows_of(records: Sequence[Mapping[str, Any]]) -> list[list[str]]:
    """Records as rows with a header: every key of theirs, in the order in which they come.

    None is empty, and a number has seven digits: the page has these rows inside, and nobody reads more from a figure.
    """
    header = list(dict.fromkeys(key for record in records for key in record))
    body = [[record.get(key) for key in header] for record in records]
    return [header, *([cell_of(value) for value in row] for row in body)]


def cell_of(value: Any) -> str:
    if value is None:
        return ""
    return f"{value:.7g}" if isinstance(value, float) else str(value)


def as_csv(rows: Sequence[Sequence[str]]) -> str:
    stream = io.StringIO()
    csv.writer(stream, lineterminator="\n").writerows(rows)
    return stream.getvalue()


# ------------------------------------------------------------------------------------------------ shown


def folded(address: Address, maker: Maker) -> str:
    """What unfolds below a table or figure of the page; the PDF leaves it out."""
    code = {name: f"<code>{html.escape(text)}</code>" for name, text in shown(address, maker).items()}
    link = f"data:text/csv;charset=utf-8;base64,{base64.b64encode(as_csv(address.data).encode()).decode()}"
    return (
        '```{=html}\n<details class="address"><summary>Source and data</summary>\n'
        f"<p>Made by {code['function']}: rule {code['rule']}, {code['script']}, commit {code['commit']}.\n"
        f'Data: <a download="{address.label}.csv" href="{link}">{address.label}.csv</a>. To make it alone:</p>\n'
        f"<pre><code>{html.escape(maker.remakes(address.label))}</code></pre>\n</details>\n```\n"
    )


def shown(address: Address, maker: Maker) -> dict[str, str]:
    return {
        "function": address.function,
        "rule": maker.rule,
        "script": maker.script,
        "commit": short_commit(maker.commit or "unknown"),
    }


def with_addresses(text: str, function: Callable[..., Any], maker: Maker) -> tuple[str, list[Address]]:
    """A fragment with the folded address below each of its tables, and these addresses."""
    lines, addresses = text.split("\n"), []
    for found in reversed(tables_in(text)):
        address = Address(found.label, name_of(function), found.data)
        addresses.insert(0, address)
        lines[found.end : found.end] = ["", folded(address, maker)]
    return "\n".join(lines), addresses


def listed(addresses: Sequence[Address], maker: Maker, what: str) -> str:
    """The appendix's table of the addresses of all tables or figures; the captions of the PDF link to its rows."""
    known = shown(addresses[0], maker)
    rows = [
        [f"[@{address.label}]{{#adr-{address.label}}}", f"`{address.function}`", f"`{address.file}`"]
        for address in addresses
    ]
    caption = (
        f"The functions that make the {what}, and the files of their data. Rule `{known['rule']}`, "
        f"`{known['script']}`, commit `{known['commit']}`. `{maker.remakes(LABEL)}` makes one alone, with its data; "
        f"{LABEL} is the name of the file without its ending."
    )
    columns = {what.capitalize(): "l", "Function": "l", "Data": "l"}
    return table(columns, rows, caption, f"tbl-addresses-of-{what}")
