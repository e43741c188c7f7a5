"""The rows that a training reads."""

from nli.data.splits import write_split
from nli.forecast.budget import training_budget
from nli.jobs.outline import read_training_rows
from nli.study.resolve import load_study
from nli.study.specs import training_spec


def sampled(examples: int | None, seed: int = 42) -> dict:
    return {"training": {"examples": examples}, "sample_seed": seed}


def test_training_reads_all_rows_or_a_sample_that_contains_every_smaller_one(rows, tmp_path):
    path = tmp_path / "train.parquet"
    write_split(rows, path)
    ids = {n: read_training_rows(path, sampled(n))["pair_id"].tolist() for n in (None, 10, 30, 48, 1000)}
    assert ids[None] == ids[48] == ids[1000] == rows["pair_id"].tolist()
    assert (len(ids[10]), len(ids[30])) == (10, 30)
    assert set(ids[10]) < set(ids[30])
    assert ids[30] == sorted(ids[30], key=rows["pair_id"].tolist().index)  # the data's order
    assert ids[30] != ids[None][:30]
    assert read_training_rows(path, sampled(30, seed=43))["pair_id"].tolist() != ids[30]


def test_sample_is_a_part_of_the_training_alone_and_shortens_it(config):
    experiments = {**config["experiments"]}
    experiments["roberta/full"] = {**experiments["roberta/full"], "training": {"examples": 100}}
    study = load_study({**config, "experiments": experiments})
    spec = training_spec(study, "roberta/full")
    assert (spec["training"]["examples"], spec["sample_seed"]) == (100, study.data.seed)
    assert "sample_seed" not in training_spec(study, "roberta/lora")
    whole = {**spec["training"], "examples": None}
    assert training_budget(spec["training"], 4500) == training_budget(whole, 100)
