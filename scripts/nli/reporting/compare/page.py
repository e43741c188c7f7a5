"""A comparison as text for the terminal and as Markdown for the report's engine."""

import textwrap
from collections.abc import Iterator, Sequence

from nli.reporting.compare.sections import Section
from nli.reporting.markup import escape, table

WIDEST = 44  # characters of a column in the terminal


def as_text(title: str, lines: Sequence[str], parts: Sequence[Section]) -> str:
    """The comparison for a terminal."""
    paragraphs = [title, "\n".join(lines)]
    for part in parts:
        paragraphs.append(f"{part.title.upper()}\n{textwrap.fill(part.text, 100)}")
        if part.rows:
            paragraphs.append("\n".join(aligned(part)))
    return "\n\n".join(paragraphs)


def aligned(part: Section) -> Iterator[str]:
    """The lines of a table with aligned columns; long cells are wrapped."""
    cells = [[textwrap.wrap(cell, WIDEST) or [""] for cell in row] for row in ([*part.columns], *part.rows)]
    widths = [max(len(line) for row in cells for line in row[i]) for i in range(len(part.columns))]
    sides = ["rjust" if side == "r" else "ljust" for side in part.columns.values()]
    for place, row in enumerate(cells):
        for line in range(max(map(len, row))):
            shown = (cell[line] if line < len(cell) else "" for cell in row)
            yield "  ".join(
                getattr(text, side)(width) for text, side, width in zip(shown, sides, widths, strict=True)
            ).rstrip()
        if not place:
            yield "  ".join("-" * width for width in widths)


def as_markdown(lines: Sequence[str], parts: Sequence[Section]) -> str:
    """The comparison for the report's engine, without its title."""
    blocks = ["::: {.contents}\n:::", "\n".join(f"- {escape(line)}" for line in lines)]
    for part in parts:
        blocks += [f"# {part.title}", escape(part.text)]
        if part.rows:
            rows = [[escape(cell) for cell in row] for row in part.rows]
            blocks.append(
                table(dict(part.columns), rows, f"{part.title}.", f"tbl-{part.title.lower().replace(' ', '-')}")
            )
    return "\n\n".join(blocks) + "\n"
