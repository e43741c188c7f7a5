"""A moment of a study as lines for the terminal, and as status.html: one file without requests that reloads itself."""

import html
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from nli.base.atomic import write_text
from nli.base.journal import Job, duration
from nli.launch.live import State

NAME = "status.html"
EVERY = 10  # seconds between two writes, and between two loads
STYLE = """
:root { color-scheme: light dark; --line: #8886; --bad: light-dark(#a40000, #ff9c8f); }
body { margin: 0 auto; max-width: 70rem; padding: 1rem 1.25rem 3rem; font: 1rem/1.5 system-ui, sans-serif; }
h1 { font-size: 1.5rem; margin: .5rem 0; } h2 { font-size: 1.1rem; margin: 1.6rem 0 .4rem; }
progress { width: 100%; height: 1rem; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-size: .9rem; font-variant-numeric: tabular-nums; }
th, td { text-align: left; vertical-align: top; padding: .25rem .75rem .25rem 0; border-bottom: 1px solid var(--line); }
.failed { color: var(--bad); }
"""


def status_lines(state: State, folder: str) -> list[str]:
    """The state for a terminal."""
    lines = [f"{folder}: {headline(state)}", f"  {counts(state)}"] if state.runs else [f"{folder}: {headline(state)}"]
    if state.active:
        lines.append("Running:")
        lines += [
            f"  {each.job.name}, {rule(each.job)}: {each.doing or since(state, each.job)}" for each in state.active
        ]
    if state.failed:
        lines.append("Failed:")
        lines += [f"  {job.name}, {rule(job)}: {why} ({folder}/{job.log})" for job, why in state.failed]
    return lines


def headline(state: State) -> str:
    """ "running since 10:07 UTC, 142 of 323 jobs done"."""
    journal = state.journal
    if journal.begun is None:
        return "no job has started"
    done = f"{journal.finished:,} of {journal.planned:,} jobs done"
    if state.running:
        return f"running since {clock(journal.begun)} ({duration(state.at - journal.begun)}), {done}"
    if journal.ended is None:
        return f"interrupted; started at {clock(journal.begun)}, {done}"
    return f"ended at {clock(journal.ended)} after {duration(journal.ended - journal.begun)}, {done}"


def counts(state: State) -> str:
    """ "experiments and seeds: 26 done, 2 running, 1 failed, 44 waiting"."""
    found = state.counts
    shown = [f"{found[name]} {name}" for name in ("done", "running", "failed", "waiting") if found[name]]
    return f"experiments and seeds: {', '.join(shown)}"


def rule(job: Job) -> str:
    return job.rule.replace("_", " ")


def since(state: State, job: Job) -> str:
    return f"for {duration(state.at - job.started)}"


def clock(at: float) -> str:
    return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d %H:%M} UTC"


# ---------------------------------------------------------------------------------------------- the page


def write_page(folder: Path, state: State) -> None:
    """Write status.html of a results folder, whole or not at all."""
    write_text(folder / NAME, page(state))


def page(state: State) -> str:
    """The whole page; it reloads itself as long as the study runs."""
    title = f"Scale {state.scale}: {counts(state).partition(': ')[2] or 'nothing yet'}"
    reload = f'<meta http-equiv="refresh" content="{EVERY}">\n' if state.running else ""
    report = '<p><a href="report.html">The report</a> is made when all is done.</p>' if state.running else ""
    active = [[each.job.name, rule(each.job), since(state, each.job), each.doing] for each in state.active]
    failed = [[job.name, rule(job), why, job.log] for job, why in state.failed]
    parts = [
        f"<h1>{html.escape(title)}</h1>",
        f"<p>{html.escape(headline(state))}. Written at {datetime.fromtimestamp(state.at, UTC):%H:%M:%S} UTC.</p>",
        f'<progress aria-label="Jobs done" value="{state.journal.finished}" max="{max(1, state.journal.planned)}">'
        "</progress>",
        report,
        *table("Running", ["Run", "Job", "Since", "How far"], active),
        *table("Failed", ["Run", "Job", "Why", "Log"], failed, "failed"),
        *table("Experiments and seeds", ["Run", "State"], [[name, is_now] for name, is_now in state.runs.items()]),
    ]
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">\n{reload}'
        f"<title>{html.escape(title)}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<main>\n"
        + "\n".join(part for part in parts if part)
        + "\n</main>\n</body>\n</html>\n"
    )


def table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]], kind: str = "") -> Iterable[str]:
    """A heading and a table; nothing without rows."""
    if not rows:
        return []
    head = "".join(f'<th scope="col">{column}</th>' for column in columns)
    lines = ["".join(f"<td>{html.escape(cell)}</td>" for cell in row) for row in rows]
    body = "\n".join(f"<tr>{line}</tr>" for line in lines)
    shown = f' class="{kind}"' if kind else ""
    return [
        f"<h2{shown}>{title}</h2>",
        f'<div class="wide" tabindex="0" role="region" aria-label="{title}"><table>\n<thead><tr>{head}</tr></thead>\n'
        f"<tbody>\n{body}\n</tbody>\n</table></div>",
    ]
