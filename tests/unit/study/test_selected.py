"""What `only` selects in study.json is what it selects in the study."""

import pytest

from nli.study.resolve import load_study
from nli.study.selected import is_selected


@pytest.mark.parametrize("only", [[], ["roberta"], ["repaired", "icl/prompt1"], ["pairs"], ["tasks", "rank"]])
def test_plain_content_selects_what_the_study_selects(config, only):
    study = load_study(config, {"only": only})
    plan = study.model_dump(mode="json")
    found = [key for key, spec in plan["experiments"].items() if is_selected(plan, key, spec)]
    assert found == [experiment.key for experiment in study.selected()]
    assert found
