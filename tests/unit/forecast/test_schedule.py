"""Wall times of plans small enough to schedule by hand."""

import pytest
import yaml

from nli.base.errors import StudyError
from nli.forecast.schedule import Job, gpu_seconds, jobs_of_rehearsal, jobs_of_report, makespan, schedule_table, tails


def test_independent_jobs_fill_the_gpus_longest_first():
    jobs = {"a": Job(2), "b": Job(3), "c": Job(4), "d": Job(5)}
    assert makespan(jobs, 1) == 14
    assert makespan(jobs, 2) == 7  # 5 + 2 in parallel with 4 + 3
    assert makespan(jobs, 4) == 5


def test_job_waits_for_all_that_it_needs():
    jobs = {"left": Job(4), "right": Job(10), "last": Job(3, needs=("left", "right"))}
    assert makespan(jobs, 2) == 13


def test_longest_chain_starts_first():
    # By its own length `train` would be last on one GPU, but its chain of 1 + 6 is the longest.
    jobs = {"train": Job(1), "predict": Job(6, needs=("train",)), "x": Job(3), "y": Job(2)}
    assert tails(jobs) == {"train": 7, "predict": 6, "x": 3, "y": 2}
    assert makespan(jobs, 2) == 7
    assert makespan(jobs, 1) == 12


def test_more_gpus_than_work_leave_the_longest_chain():
    jobs = {"train": Job(5), "predict": Job(2, needs=("train",)), "score": Job(1, needs=("predict",), gpu=False)}
    assert makespan(jobs, 16) == 8


def test_cpu_jobs_take_no_gpu():
    jobs = {"gpu": Job(5), "one": Job(4, gpu=False), "two": Job(3, gpu=False)}
    assert makespan(jobs, 1) == 5
    assert gpu_seconds(jobs) == 5


def test_cpu_job_runs_while_a_gpu_job_waits_for_the_gpu():
    jobs = {"first": Job(5), "second": Job(4), "cpu": Job(1, gpu=False), "after": Job(1, needs=("cpu",), gpu=False)}
    assert makespan(jobs, 1) == 9


def test_plan_without_jobs_takes_no_time():
    assert makespan({}, 1) == 0


@pytest.mark.parametrize(
    ("jobs", "message"),
    [
        ({"a": Job(1, needs=("b",))}, "job a: needs b, which is not in the plan"),
        ({"a": Job(1, needs=("b",)), "b": Job(1, needs=("a",))}, "circular dependencies between jobs: a, b"),
    ],
)
def test_impossible_plan_is_refused(jobs, message):
    with pytest.raises(StudyError, match=message):
        makespan(jobs, 1)


def test_gpu_jobs_without_a_gpu_are_refused():
    with pytest.raises(StudyError, match="at least one"):
        makespan({"a": Job(1)}, 0)


def test_table_states_wall_time_gpu_hours_and_use():
    jobs = {"a": Job(7200), "b": Job(3600), "score": Job(60, needs=("b",), gpu=False)}
    assert schedule_table(jobs, [1, 2]).splitlines()[2:] == [
        "| 1 | 3.0 h | 3.0 | 99% |",  # 10,800 s of 10,860: scoring b comes last
        "| 2 | 2.0 h | 3.0 | 75% |",
    ]


def test_rehearsal_gives_its_jobs_in_seconds():
    planned = [{"name": "train a", "hours": 0.5, "needs": []}, {"name": "answer a", "hours": 2, "needs": ["train a"]}]
    jobs = jobs_of_rehearsal({"jobs": planned})
    assert jobs == {"train a": Job(1800), "answer a": Job(7200, needs=("train a",))}


def test_rehearsal_without_a_time_is_refused():
    with pytest.raises(StudyError, match="job answer a: the rehearsal has no time"):
        jobs_of_rehearsal({"jobs": [{"name": "answer a", "hours": None, "needs": []}]})


def test_report_times_every_training_and_variants_as_what_they_extend(root, config):
    reported = yaml.safe_load((root / "report/reported.yaml").read_text())
    jobs = jobs_of_report(reported, config, seeds=[1], rungs="all")
    seconds = {name.removeprefix("train ").removesuffix(" seed 1"): round(job.seconds) for name, job in jobs.items()}
    assert seconds["roberta/full"] == seconds["roberta/head_only"] == 5570
    assert seconds["roberta/prompt_tuning_repaired"] == seconds["roberta/prompt_tuning"] == 4466
    assert seconds["qlora/attempt1_label_loss"] == seconds["qlora/attempt1"] == 14542
    assert seconds["qlora/attempt3"] == 5476
    assert seconds["linear_head/last_token"] == 12133
    # another's adapter, merged or answering, directly or indirectly: nothing trains
    assert not {"qlora/attempt2_merged", "qlora/attempt2_as_trained", "qlora/attempt2_greedy"} & seconds.keys()
    assert not any(name.startswith("icl/") for name in seconds)
    assert "roberta/cloze_zero_shot" not in seconds
    assert len(jobs_of_report(reported, config, seeds=[1, 2, 3, 4, 5], rungs="all")) == 5 * len(jobs)
    core = {name for name in jobs if not config["experiments"][name[len("train ") : -len(" seed 1")]].get("extra")}
    assert set(jobs_of_report(reported, config, seeds=[1])) == core < set(jobs)


def test_encoders_of_the_paper_scale_are_trained_with_three_seeds(root, config):
    reported = yaml.safe_load((root / "report/reported.yaml").read_text())
    one, stated = (jobs_of_report(reported, config, seeds) for seeds in ([42], None))
    encoders = sum(job.seconds for name, job in one.items() if name.startswith("train roberta/"))
    assert gpu_seconds(stated) == pytest.approx(gpu_seconds(one) + 2 * encoders)
    assert {name for name in stated if name.startswith("train roberta/lora ")} == {
        f"train roberta/lora seed {seed}" for seed in (42, 43, 44)
    }
    assert [name for name in stated if "qlora/attempt1 " in name] == ["train qlora/attempt1 seed 42"]


@pytest.mark.parametrize("gpus", [1, 4, 16])
def test_docs_state_the_wall_times_of_the_seeds_in_config_of_one_and_of_five(root, config, gpus):
    reported = yaml.safe_load((root / "report/reported.yaml").read_text())
    seeds = (None, [1], [1, 2, 3, 4, 5])
    plans = [jobs_of_report(reported, config, each, rungs) for rungs in ("core", "all") for each in seeds]
    row = " | ".join(f"{makespan(jobs, gpus) / 3600:.1f} h" for jobs in plans)
    assert f"| {gpus} | {row} |" in (root / "docs/cluster.md").read_text()
