"""The tables of docs/results.md: scores and verdicts of real models, next to others' and the demo's."""

from collections.abc import Iterator, Mapping
from typing import Any

from nli.base.errors import StudyError
from nli.reporting.markup import percent
from nli.reporting.results import reported_accuracy
from nli.study.experiments import FAMILIES
from nli.study.ladders import COMPARING

START, END = "<!-- results -->", "<!-- end of results -->"
NONE = "–"


def published_page(
    page: str,
    summary: Mapping[str, Any],
    demo: Mapping[str, Any],
    reported: Mapping[str, Any],
    others: Mapping[str, Any],
) -> str:
    """`page` with everything between its marks replaced by the tables.

    Args:
        summary: summary.json of the real models' run.
        demo: summary.json of a demo.
        reported: reported.yaml.
        others: run -> source, settings and accuracies in percent by experiment.

    Raises StudyError for a page without its marks.
    """
    before, start, rest = page.partition(START)
    _, end, after = rest.partition(END)
    if not start or not end:
        raise StudyError(f"the page has no '{START}' followed by '{END}'; put both where the tables belong")
    parts = [
        *_made_from(summary),
        "",
        "### Accuracy on matched pairs",
        "",
        *_experiments(summary, demo, reported, others),
        "",
        *_sources(others),
        "",
        "### The claims",
        "",
        *_claims(summary, demo),
    ]
    return "\n".join([before + START, *parts, END]) + after


def _made_from(summary: Mapping[str, Any]) -> Iterator[str]:
    """Models, data and code of the run."""
    for role, model in summary["models"].items():
        digest = f", weights {model['sha256'][:12]}" if model.get("sha256") else ""
        yield f"- {role}: {model['title']} ({model['licence']}{digest})"
    rows = ", ".join(f"{name} {count:,}" for name, count in summary["data"]["rows"].items())
    yield f"- data: {summary['data']['source']}; {rows}"
    yield f"- code: {', '.join(commit[:12] for commit in summary['commits'])}"


def _experiments(
    summary: Mapping[str, Any], demo: Mapping[str, Any], reported: Mapping[str, Any], others: Mapping[str, Any]
) -> Iterator[str]:
    """A row per experiment and scorer: accuracy with interval and spread, the original's, other runs', the demo's."""
    columns = ["experiment", "read by", "accuracy, %", "seeds", "without a label, %", "original", *others, "demo"]
    yield f"| {' | '.join(columns)} |"
    yield f"|---|---|{'---:|' * (len(columns) - 2)}"
    order = list(FAMILIES)
    found = sorted(summary["experiments"].items(), key=lambda each: order.index(each[0].partition("/")[0]))
    for key, experiment in found:
        if experiment["status"] != "done":
            cells = [f"`{key}`", "", f"*{experiment['status']}*", *[""] * (len(columns) - 3)]
            yield f"| {' | '.join(cells)} |"
            continue
        for scorer, scores in experiment["scores"]["matched"].items():
            own = scorer == experiment["scorer"]
            printed = reported_accuracy(reported, key, scorer=scorer)
            cells = [
                f"`{key}`",
                scorer.replace("_", " "),
                _accuracy(scores),
                str(len(scores["by_seed"])),
                f"{100 * (1 - scores['parsed'] / scores['n']):.1f}",
                percent(printed, 1) if printed else NONE,
                *(
                    f"{run['accuracies'][key]:g}" if own and key in run["accuracies"] else NONE
                    for run in others.values()
                ),
                _demo_accuracy(demo, key, scorer),
            ]
            yield f"| {' | '.join(cells)} |"


def _accuracy(scores: Mapping[str, Any]) -> str:
    """ "61.2 [58.1, 64.2]", in percent."""
    low, high = scores["interval"]
    return f"{100 * scores['accuracy']:.1f} [{100 * low:.1f}, {100 * high:.1f}]"


def _demo_accuracy(demo: Mapping[str, Any], key: str, scorer: str) -> str:
    scores = demo["experiments"].get(key, {}).get("scores", {}).get("matched", {}).get(scorer)
    return f"{100 * scores['accuracy']:.1f}" if scores else NONE


def _sources(others: Mapping[str, Any]) -> Iterator[str]:
    yield "*Original*: report/reported.yaml. Intervals are at 95% and account for pairs that share a premise."
    for name, run in others.items():
        yield ""
        yield f"*{name}*: {run['source']}. {run['settings'].strip()}"


def _claims(summary: Mapping[str, Any], demo: Mapping[str, Any]) -> Iterator[str]:
    """A row per claim of each ladder: the verdict on real models, and the demo's."""
    verdicts = {_identity(claim): claim["verdict"] for claim in demo["claims"]}
    yield "| ladder | claim | experiment | difference, points | real models | demo |"
    yield "|---|---|---|---:|---|---|"
    for claim in summary["claims"]:
        how = " ".join(filter(None, (claim["scorer"], "parsed only" if claim["counted"] == "parsed" else "")))
        experiment = f"`{claim['experiment']}`" + (f", {how.replace('_', ' ')}" if how else "")
        there = verdicts.get(_identity(claim)) or NONE
        cells = [
            claim["title"],
            claim["claim"],
            experiment,
            _difference(claim),
            claim["verdict"] or "not tested",
            there,
        ]
        yield f"| {' | '.join(cells)} |"


def _identity(claim: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(str(claim[key]) for key in ("ladder", "claim", "experiment", "scorer", "counted"))


def _difference(claim: Mapping[str, Any]) -> str:
    """ "+12.3 [9.9, 14.6]"; a dash where the claim compares with nothing."""
    if claim["difference"] is None or claim["expects"] not in COMPARING:
        return NONE
    interval = f" [{100 * claim['interval'][0]:.1f}, {100 * claim['interval'][1]:.1f}]" if claim["interval"] else ""
    return f"{100 * claim['difference']:+.1f}{interval}"
