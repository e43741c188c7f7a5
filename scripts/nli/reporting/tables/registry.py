"""Every fragment of the report that contains a number: tables, prompts, samples and computed sentences.

A fragment is a function from `Results` to Markdown, entered below under the file name by which the report
includes it. Adding one takes the function, its line here, and an include in report/sections/.
"""

from collections.abc import Callable
from pathlib import Path

from nli.base.atomic import write_text
from nli.base.errors import StudyError
from nli.reporting import findings, original, original_scores, prose
from nli.reporting.addresses import Maker, as_csv, listed, tables_in, with_addresses
from nli.reporting.results import Results
from nli.reporting.tables import best, data, elsewhere, jobs, ladders, llama, overview, roberta, seeds, sweeps, tasks

MAKER = Maker("make_tables", "scripts/make_tables.py", None)
FRAGMENTS: dict[str, Callable[[Results], str]] = {
    # the notice of the scale: in the text, above the page in HTML, in the page header in PDF; and the PDF's date
    "notice.md": prose.notice,
    "notice.html": prose.notice_html,
    "notice.typ": prose.notice_typst,
    "date.txt": overview.date,
    # findings, and all results
    "findings.md": findings.findings,
    "summary.md": prose.summary,
    "all-results.md": overview.all_results,
    # ladders
    "ladders.md": ladders.ladders,
    # data
    "data-source.md": prose.data_source,
    "data-counts.md": data.counts,
    "data-premises.md": data.premises,
    "data-labels.md": data.labels,
    "data-lengths.md": data.lengths,
    "data-genres.md": data.genres,
    "data-leakage.md": data.leakage,
    # RoBERTa
    "roberta-settings.md": roberta.settings,
    "roberta-layers.md": roberta.layers,
    "roberta-parameters.md": roberta.parameters,
    "roberta-epochs.md": roberta.epochs,
    "roberta-accuracy.md": roberta.accuracy,
    "roberta-conclusion.md": prose.roberta,
    "prompt-tuning-conclusion.md": prose.prompt_tuning,
    # Llama, prompted
    "icl-prompts.md": llama.prompts,
    "icl-summary.md": llama.icl_summary,
    "icl-scorers.md": llama.icl_scorers,
    "icl-draws.md": llama.icl_draws,
    "icl-conclusion.md": prose.icl,
    # Llama, QLoRA
    "qlora-settings.md": llama.qlora_settings,
    "qlora-texts.md": llama.qlora_texts,
    "qlora-training.md": llama.qlora_training,
    "qlora-accuracy.md": llama.qlora_accuracy,
    "qlora-samples.md": llama.samples,
    "qlora-conclusion.md": prose.qlora,
    "merge-conclusion.md": prose.merge,
    # Llama, linear head
    "linear-head.md": llama.linear_head,
    "linear-head-conclusion.md": prose.linear_head,
    # comparison
    "comparison.md": overview.comparison,
    "set-scores.md": overview.set_scores,
    "all-parameters.md": overview.all_parameters,
    "reported-scores.md": original_scores.reported_scores,
    "reported-conclusion.md": original_scores.reported_conclusion,
    "pairs-conclusion.md": ladders.pairs,
    # what the original says
    "original-words.md": original.words,
    # beyond the original
    "sweeps.md": sweeps.sweeps,
    "tasks.md": tasks.tasks,
    "best.md": best.best,
    "elsewhere-exchanged.md": elsewhere.exchanged,
    "elsewhere.md": elsewhere.accuracies,
    "elsewhere-pairs.md": elsewhere.comparisons,
    "elsewhere-groups.md": elsewhere.groups,
    "seed-intervals.md": seeds.intervals,
    "seed-verdicts.md": seeds.verdicts,
    # appendix
    "experiments.md": overview.experiments,
    "ladder-numbers.md": ladders.numbers,
    "class-scores.md": overview.class_scores,
    "genre-scores.md": overview.genre_scores,
    "seeds.md": overview.seeds,
    "costs.md": overview.costs,
    "jobs.md": jobs.jobs,
    "versions.md": overview.versions,
    "provenance.md": overview.provenance,
}


def make_tables(results: Results, folder: Path, maker: Maker = MAKER) -> list[Path]:
    """Write every fragment, and the data of every table, into `folder`; returns the fragments' paths.

    The tables' addresses are the table addresses.md.
    """
    paths, addresses = [], []
    for name, fragment in FRAGMENTS.items():
        path = Path(folder) / name
        text, own = with_addresses(fragment(results).rstrip("\n") + "\n", fragment, maker)
        write_text(path, text)
        paths.append(path)
        addresses += own
    for address in addresses:
        write_text(Path(folder) / f"{address.label}.csv", as_csv(address.data))
    write_text(Path(folder) / "addresses.md", listed(addresses, maker, "tables"))
    return paths


def make_table(results: Results, label: str, folder: Path) -> None:
    """Write one table, called "tbl-NAME", and its data into `folder`; StudyError if the report has no such table."""
    found = {
        table.label: ("\n".join(text.split("\n")[table.start : table.end]), table.data)
        for text in (fragment(results) for fragment in FRAGMENTS.values())
        for table in tables_in(text)
    }
    if label not in found:
        raise StudyError(f"the report has no table {label}; it has {', '.join(found)}")
    text, data = found[label]
    write_text(Path(folder) / f"{label}.md", f"{text}\n")
    write_text(Path(folder) / f"{label}.csv", as_csv(data))
