"""Every fragment of the report that holds a number: tables, prompts, samples and computed sentences.

A fragment is a function from `Results` to Markdown, entered below under the file name by which the report
includes it. Adding one takes the function, its line here, and an include in report/sections/.
"""

from collections.abc import Callable
from pathlib import Path

from nli.atomic import write_text
from nli.reporting import (
    original,
    prose,
    reported,
    tables_data,
    tables_ladders,
    tables_llama,
    tables_overview,
    tables_roberta,
)
from nli.reporting.results import Results

FRAGMENTS: dict[str, Callable[[Results], str]] = {
    # the notice of the scale: in the text, above the page in HTML, in the page header in PDF
    "notice.md": prose.notice,
    "notice.html": prose.notice_html,
    "notice.typ": prose.notice_typst,
    # summary
    "summary.md": prose.summary,
    "experiments.md": tables_overview.experiments,
    "all-results.md": tables_overview.all_results,
    # ladders
    "ladders-summary.md": tables_ladders.summary,
    "ladders.md": tables_ladders.ladders,
    # data
    "data-source.md": prose.data_source,
    "data-counts.md": tables_data.counts,
    "data-premises.md": tables_data.premises,
    "data-labels.md": tables_data.labels,
    "data-lengths.md": tables_data.lengths,
    "data-genres.md": tables_data.genres,
    # RoBERTa
    "roberta-settings.md": tables_roberta.settings,
    "roberta-layers.md": tables_roberta.layers,
    "roberta-parameters.md": tables_roberta.parameters,
    "roberta-epochs.md": tables_roberta.epochs,
    "roberta-accuracy.md": tables_roberta.accuracy,
    "roberta-conclusion.md": prose.roberta,
    "prompt-tuning-conclusion.md": prose.prompt_tuning,
    # Llama, prompted
    "icl-prompts.md": tables_llama.prompts,
    "icl-summary.md": tables_llama.icl_summary,
    "icl-draws.md": tables_llama.icl_draws,
    "icl-conclusion.md": prose.icl,
    # Llama, QLoRA
    "qlora-settings.md": tables_llama.qlora_settings,
    "qlora-texts.md": tables_llama.qlora_texts,
    "qlora-training.md": tables_llama.qlora_training,
    "qlora-accuracy.md": tables_llama.qlora_accuracy,
    "qlora-samples.md": tables_llama.samples,
    "qlora-merge.md": tables_llama.merge,
    "qlora-conclusion.md": prose.qlora,
    "merge-conclusion.md": prose.merge,
    # Llama, linear head
    "linear-head.md": tables_llama.linear_head,
    "linear-head-conclusion.md": prose.linear_head,
    # comparison
    "comparison.md": tables_overview.comparison,
    "all-parameters.md": tables_overview.all_parameters,
    "reported-scores.md": reported.reported_scores,
    "reported-conclusion.md": reported.reported_conclusion,
    "pairs-conclusion.md": tables_ladders.pairs,
    "comparison-conclusion.md": prose.comparison,
    # what the original says
    "original-words.md": original.words,
    # appendix
    "class-scores.md": tables_overview.class_scores,
    "genre-scores.md": tables_overview.genre_scores,
    "seeds.md": tables_overview.seeds,
    "costs.md": tables_overview.costs,
    "versions.md": tables_overview.versions,
    "provenance.md": tables_overview.provenance,
}


def make_tables(results: Results, folder: Path) -> list[Path]:
    """Write every fragment into `folder`; returns their paths."""
    paths = []
    for name, fragment in FRAGMENTS.items():
        path = Path(folder) / name
        write_text(path, fragment(results).rstrip("\n") + "\n")
        paths.append(path)
    return paths
