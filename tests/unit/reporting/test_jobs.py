"""The jobs' times in the report: a table by rule, and the numbers in the picture of the workflow."""

import dataclasses

import matplotlib.pyplot as plt
import pytest
from matplotlib.text import Text
from unit.report_fixtures import load, make_results

from nli.base.journal import Job
from nli.reporting.figures.workflow import MODEL, PLACES, label, workflow
from nli.reporting.tables.jobs import jobs

MADE = (
    Job("score", "roberta/full/seed42", "", 100, "finished", 101),
    Job("finetune_roberta", "roberta/full/seed42", "", 0, "finished", 60),
    Job("finetune_roberta", "roberta/lora/seed42", "", 0, "finished", 180),
    Job("write_spec", "write_spec roberta lora", "", 0, "finished", 1),
    Job("link_model", "link_model encoder", "", 0, "finished", 2),
)


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    made = load(make_results(tmp_path_factory.mktemp("results"), n=20, only=("roberta/full",)))
    return dataclasses.replace(made, jobs=MADE)


def test_rules_are_listed_by_their_time_with_the_longest_job(results):
    rows = [line for line in jobs(results).splitlines() if line.startswith("| `")]
    assert rows == [
        "| `finetune_roberta` | 2 | 4 min | 2 min | 3 min | roberta/lora/seed42 |",
        "| `link_model` | 1 | 2 s | 2 s | 2 s | encoder |",
        "| `score` | 1 | 1 s | 1 s | 1 s | roberta/full/seed42 |",
    ]
    assert "not recorded" in jobs(dataclasses.replace(results, jobs=()))


def test_picture_has_every_rule_with_its_jobs_and_no_box_over_another(results):
    assert label(results, "finetune_roberta") == "finetune roberta\n2 jobs, 4 min"
    assert label(results, MODEL) == "base models\n1 job, 2 s"
    assert label(results, "predict_icl") == "predict icl"
    figure, alt = workflow(results)
    figure.draw_without_rendering()
    boxes = [text.get_window_extent() for text in figure.findobj(Text) if text.get_text()]
    assert len(boxes) == len(PLACES)
    assert not [1 for i, box in enumerate(boxes) for other in boxes[:i] if box.overlaps(other)]
    assert "finetune roberta, 2 jobs, 4 min" in alt
    plt.close(figure)
