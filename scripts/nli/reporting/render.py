"""Renders report/study.qmd to one HTML file and one PDF, with Quarto or with the environment's own tools.

The sources and the computed fragments are combined in a build folder, with all includes expanded, and one of two
engines renders them:

quarto    the real one, if it is on PATH or next to the running Python
embedded  Pandoc for HTML; Pandoc, then Typst, for PDF (both are wheels from PyPI)

The sources use only what both understand. theme/study.lua serves both; theme/embedded.lua adds Quarto's built-in
cross-references to Pandoc.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

import yaml

from nli.base.atomic import whole_file
from nli.base.errors import StudyError
from nli.reporting.markup import escape, lines_with_code

ENGINES = ("auto", "quarto", "embedded")
INCLUDE = re.compile(r"\{\{<\s*include\s+(\S+)\s*>\}\}[ \t]*")
WARNING = re.compile(r"^(?:\x1b\[[\d;]*m)*(\[?warn(?:ing)?\b.*)", re.IGNORECASE | re.MULTILINE)  # Quarto's, its tools'
UNDATED = "2000-01-01"  # the PDF's date if the runs have none: equal reports have equal bytes


def find_quarto() -> str | None:
    """Path of the quarto program next to the running Python, else on PATH; None if there is none."""
    beside = Path(sys.executable).parent / "quarto"
    return str(beside) if beside.exists() else shutil.which("quarto")


def assemble(source: Path, fragments: Path, build: Path) -> Path:
    """Fill the build folder and return its study.qmd, with all includes expanded.

    Args:
        source: the folder with study.qmd, sections/, theme/ and references.bib.
        fragments: the folder with tables/ and figures/, written by make_tables and make_figures.
        build: the build folder, emptied first.
    """
    for name, folder in (("tables", fragments), ("figures", fragments), ("theme", source)):
        if not (folder / name).is_dir():
            raise StudyError(f"report: no folder {name}/ in {folder}; make tables and figures first")
    shutil.rmtree(build, ignore_errors=True)
    build.mkdir(parents=True)
    shutil.copytree(source / "theme", build / "theme")
    shutil.copytree(fragments / "figures", build / "figures")
    shutil.copytree(fragments / "tables", build / "tables")
    shutil.copy(source / "references.bib", build)
    text = expand_includes(source / "study.qmd", (source, fragments))
    study = build / "study.qmd"
    study.write_text(text, encoding="utf-8")
    return study


def expand_includes(path: Path, roots: tuple[Path, ...], inside: tuple[Path, ...] = ()) -> str:
    """The text of a file with each include shortcode replaced by its file, as in Quarto.

    Paths are relative to the main document, not to the including file; here they are looked up in each of `roots` in
    turn, and lead out of none. A line of a code block is text of a prompt or a model, and includes nothing. Raises
    StudyError for a missing file or a circular include.
    """
    if path in inside:
        raise StudyError(f"report: {path.name} includes itself, by way of {inside[-1].name}")
    lines = []
    for line, code in lines_with_code(path.read_text(encoding="utf-8")):
        match = None if code else INCLUDE.fullmatch(line)
        lines.append(included(match[1], path, roots, (*inside, path)) if match else line)
    return "\n".join(lines)


def included(name: str, path: Path, roots: tuple[Path, ...], inside: tuple[Path, ...]) -> str:
    """The text of a file that `path` includes."""
    for root in roots:
        file = (root / name).resolve()
        if file.is_file() and file.is_relative_to(root.resolve()):
            return expand_includes(root / name, roots, inside).rstrip("\n")
    raise StudyError(f"report: {path.name} includes {name}, which is not in the report; create it there")


def for_quarto(text: str) -> str:
    """The text with code blocks that Quarto takes for nothing but code.

    Quarto reads shortcodes in them, and cuts what looks like an HTML comment before it looks for metadata, even if that
    begins in one block and ends in another.
    """

    def shown(line: str) -> str:
        line = re.sub(r">(\}{2,})", r">\1}", re.sub(r"(\{{2,})<", r"{\1<", line))
        return line.replace("<!--", "<!\N{ZERO WIDTH SPACE}--")

    return "\n".join(shown(line) if code else line for line, code in lines_with_code(text))


def render(study: Path, html: Path, pdf: Path, engine: str = "auto") -> str:
    """Render an assembled study.qmd; both files appear whole or not at all. Returns the engine's name."""
    quarto = find_quarto() if engine in ("auto", "quarto") else None
    if engine == "quarto" and quarto is None:
        raise StudyError("report: no quarto found; install it, or use --engine embedded")
    with whole_file(html) as html_file, whole_file(pdf) as pdf_file:
        if quarto:
            _render_quarto(quarto, study, html_file, pdf_file)
        else:
            _render_html(study, html_file)
            _render_pdf(study, pdf_file)
    return "quarto" if quarto else "embedded"


def _render_quarto(quarto: str, study: Path, html: Path, pdf: Path) -> None:
    study.write_text(for_quarto(study.read_text(encoding="utf-8")), encoding="utf-8")
    for to, made, target in (("html", "study.html", html), ("typst", "study.pdf", pdf)):
        command = [quarto, "render", study.name, "--to", to, "--output", made, *_dated(study)]
        _run(command, study.parent, {**os.environ, "SOURCE_DATE_EPOCH": str(timestamp(study))})
        shutil.copyfile(study.parent / made, target)


def _render_html(study: Path, html: Path) -> None:
    """Render with Pandoc to one self-contained HTML file."""
    settings = _settings(study)["format"]["html"]
    page = study.parent / "study.html"
    options = [
        "--to=html5",
        "--standalone",
        "--embed-resources",
        "--number-sections",
        f"--css={settings['css']}",
        *(f"--include-before-body={name}" for name in settings["include-before-body"]),
        f"--include-after-body={settings['include-after-body']}",
    ]
    _pandoc(study, page, options)
    shutil.copyfile(page, html)


def _render_pdf(study: Path, pdf: Path) -> None:
    """Render with Pandoc to Typst and with Typst to PDF, with Typst's built-in fonts."""
    import typst

    page = study.parent / "study.typ"
    settings = _settings(study)["format"]["typst"]
    (study.parent / "typst.yml").write_text(yaml.safe_dump(settings), encoding="utf-8")
    options = ["--to=typst", "--standalone", "--template=theme/embedded.typst", "--metadata-file=typst.yml"]
    options += [f"--include-in-header={name}" for name in settings["include-in-header"]]
    _pandoc(study, page, [*options, *_dated(study)])
    try:
        made, warnings = typst.compile_with_warnings(
            page, root=study.parent, ignore_system_fonts=True, timestamp=timestamp(study)
        )
    except typst.TypstError as error:
        raise StudyError(f"report: Typst cannot set {page.name}: {error}") from error
    if warnings:
        raise StudyError(f"report: Typst warns about {page.name}: {'; '.join(w.message for w in warnings)}")
    pdf.write_bytes(made)


def render_page(title: str, subtitle: str, text: str, html: Path, source: Path) -> None:
    """Render Markdown of its own, with the report's look, to one self-contained HTML file.

    Args:
        title, subtitle: plain text.
        source: the report's folder, with study.qmd and theme/.
    """
    settings = dict(_settings(source / "study.qmd")["format"]["html"])
    settings["include-before-body"] = [name for name in settings["include-before-body"] if name.startswith("theme/")]
    front = {"title": escape(title), "subtitle": escape(subtitle), "lang": "en", "format": {"html": settings}}
    with tempfile.TemporaryDirectory() as folder, whole_file(html) as html_file:
        study = Path(folder, "study.qmd")
        shutil.copytree(source / "theme", study.parent / "theme")
        study.write_text(f"---\n{yaml.safe_dump(front, allow_unicode=True)}---\n\n{text}", encoding="utf-8")
        _render_html(study, html_file)


def _run_date(study: Path) -> str:
    """The day on which the last of the runs ended, from the fragments: "2026-11-28"; "" if the runs have none."""
    return (study.parent / "tables" / "date.txt").read_text(encoding="utf-8").strip()


def _dated(study: Path) -> list[str]:
    """The option that prints the date of the runs below the PDF's title."""
    date = _run_date(study)
    return [f"--metadata=run-date:{date}"] if date else []


def timestamp(study: Path) -> int:
    """The PDF's date in seconds since 1970: SOURCE_DATE_EPOCH if it is set, else the date of the runs at midnight, UTC.

    Raises StudyError if SOURCE_DATE_EPOCH is not a number.
    """
    given = os.environ.get("SOURCE_DATE_EPOCH", "")
    if given and not given.isdecimal():
        raise StudyError(f"report: SOURCE_DATE_EPOCH is {given!r}; set it to seconds since 1970, or unset it")
    date = datetime.fromisoformat(_run_date(study) or UNDATED).replace(tzinfo=UTC)
    return int(given or date.timestamp())


def _settings(study: Path) -> dict:
    """The front matter of a document."""
    return yaml.safe_load(study.read_text(encoding="utf-8").split("---\n")[1])


def _pandoc(study: Path, output: Path, options: list[str]) -> None:
    import pypandoc

    command = [
        pypandoc.get_pandoc_path(),
        study.name,
        "--from=markdown",
        f"--output={output.name}",
        "--lua-filter=theme/study.lua",
        "--lua-filter=theme/embedded.lua",
        "--citeproc",
        "--fail-if-warnings",
        *options,
    ]
    _run(command, study.parent)


def _run(command: list[str], folder: Path, environment: dict[str, str] | None = None) -> None:
    """Run a renderer in the build folder; raise StudyError with its text if it fails or warns."""
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    name = Path(command[0]).name
    if done.returncode:
        said = " ".join((done.stderr or done.stdout).split())[-600:]
        raise StudyError(f"report: {name} failed: {said}")
    if warnings := WARNING.findall(f"{done.stderr}\n{done.stdout}"):
        raise StudyError(f"report: {name} warns: {'; '.join(warnings)[:600]}")
