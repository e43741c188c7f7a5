"""The typed definition of config.yaml: every key of the study, its type, its bounds and what it means.

With the files whose sections it combines, this is the single source. `resolve` turns a file into a
`Study`; `make schema` generates the editors' JSON schema and the reference table in docs/ from these classes, and a
test fails if they drift.
"""

from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from nli.study.best import CHOSEN_ON, Best
from nli.study.experiments import (
    FAMILIES,
    ORIGINS,
    BaselineExperiment,
    Experiment,
    IclExperiment,
    LinearHeadExperiment,
    Prompt,
    QloraExperiment,
    RobertaExperiment,
)
from nli.study.ladders import Ladder, Rung
from nli.study.methods import METHODS
from nli.study.sources import Data, Models, SetRows
from nli.study.sweeps import Sweep, new_points
from nli.study.tasks import Tasks
from nli.study.types import (
    CommandPath,
    LocalPath,
    NonNegative,
    NonNegativeFloat,
    Positive,
    Seed,
    SetName,
    Strict,
    Title,
    each_once,
    unknown,
)


class Rehearsal(Strict):
    measured: Positive = Field(description="optimizer steps that are timed")
    warmup: NonNegative = Field(description="untimed steps before them")
    answering_batches: Positive = Field(description="batches of validation rows to answer and time")
    on_cpu: bool = Field(description="rehearse on the CPU if there is no GPU, as far as memory allows")


class Containers(Strict):
    """Where the images of `--use-singularity` come from. Set it in a profile or with `--config`, not in config.yaml."""

    study: str = Field("build", description="image that trains and scores: `build`, a .sif file, docker:// or oras://")
    report: str = Field("build", description="image that renders the report; the same choices")
    base: str | None = Field(
        None, description="base image of a build: a directory, a SIF file or docker://...; null: the definition's"
    )
    torch: Literal["auto", "cpu", "cuda"] = Field(
        "auto", description="torch in a built image: the one that pip's settings prefer, the CPU or the CUDA build"
    )


class JobClass(Strict):
    """What a job of a class requests at its first attempt; each retry adds the same memory and time."""

    mem_mb: Positive = Field(description="memory, in MB")
    runtime: Positive = Field(description="run time, in minutes")
    gpu: NonNegative = Field(description="GPUs")


class Machine(Strict):
    """What a scale needs from the machine: the checks before a run compare it, and the jobs request it."""

    threads: Positive = Field(description="CPU threads of a job that trains or answers")
    memory: Positive = Field(description="memory of such a job, in GiB")
    merge_memory: Positive = Field(description="memory of a merge into 16-bit weights, in GiB")
    gpu_memory: dict[Literal["roberta", "icl", "qlora", "linear_head"], Positive] | None = Field(
        description="GPU memory of each family's largest experiment, in GiB; null: no GPU is used"
    )
    run_disk: dict[str, Annotated[list[NonNegativeFloat], Field(min_length=2, max_length=2)]] | None = Field(
        description="disk in GB that a run of a family (or family/method) leaves, and that its checkpoints take during "
        "training; null: next to nothing"
    )
    jobs: dict[Literal["cpu", "gpu_small", "gpu_large"], JobClass] = Field(description="the job classes")
    fork_server: bool = Field(
        description="run each job in a fork of one process that has imported the libraries, which saves seconds per "
        "job; only on this machine, without a GPU and without containers"
    )

    @property
    def has_gpu(self) -> bool:
        """Whether any job requests a GPU."""
        return any(job.gpu for job in self.jobs.values())

    @model_validator(mode="after")
    def _memory_of_the_gpu_is_known(self) -> "Machine":
        if self.has_gpu and (self.gpu_memory is None or len(self.gpu_memory) < 4):
            raise ValueError("gpu_memory: jobs request a GPU; set the GPU memory of each of the four families")
        if len(self.jobs) < 3:
            raise ValueError("jobs: set all of cpu, gpu_small and gpu_large")
        return self


class Notice(Strict):
    """What the report says about its scale: `title` on every page, `detail` below it at the top of the report."""

    title: Title
    detail: str = Field(min_length=1)


class Elsewhere(Strict):
    """Whether results hold elsewhere: on further sets, and for which experiments that is tested."""

    also: list[SetName] = Field(
        default_factory=list, description="sets of `data.sets` that every experiment answers, next to its own splits"
    )
    compared: list[str] = Field(
        default_factory=list, description="experiments that are tested against each other on every set"
    )


class Study(Strict):
    """The whole study, resolved for one scale; every rule of the workflow is computed from it."""

    scale: Annotated[str, Field(pattern=r"^\w+$")] = Field(
        description="entry of `scales:` that is merged over the file's body"
    )
    results: CommandPath = Field(description="output folder, with one subfolder per scale")
    cache: LocalPath = Field(min_length=1, description="folder for files fetched from the hub, shared by all scales")
    seeds: list[Seed] = Field(min_length=1, description="an experiment that sets no seeds runs once for each of these")
    only: list[str] = Field(description="experiments, families, origins, sweeps or `tasks` to run; empty: all")
    rungs: Literal["core", "all"] = Field(
        description="`core` leaves out the experiments marked `extra: true`, here and in the ladders"
    )
    speed: Literal["plain", "fast"] = Field(
        "fast",
        description="`fast` saves padding, passes and kernel calls; the results are those of `plain` but for rounding",
    )
    finished_only: bool = Field(description="report on the finished runs, and start no others")
    containers: Containers = Field(
        default=Containers(), exclude=True, description="the images of --use-singularity; part of no result"
    )
    data: Data
    models: Models
    evaluation: Elsewhere = Field(Elsewhere(), description="whether results hold elsewhere")
    rehearsal: Rehearsal
    machine: Machine
    notice: Notice | None = Field(
        None, description="what the report says about this scale on every page; null: nothing"
    )
    prompts: dict[str, Prompt]
    experiments: dict[
        str,
        Annotated[
            BaselineExperiment | RobertaExperiment | IclExperiment | QloraExperiment | LinearHeadExperiment,
            Field(discriminator="family"),
        ],
    ]
    ladders: dict[Annotated[str, Field(pattern=r"^\w+$")], Ladder] = Field(
        default_factory=dict, description="step-by-step explanations of failures, by name"
    )
    sweeps: dict[Annotated[str, Field(pattern=r"^[a-z]\w*$", max_length=40)], Sweep] = Field(
        default_factory=dict, description="curves of accuracy against the value of one key, by name"
    )
    best: dict[Annotated[str, Field(pattern=r"^[a-z]\w*$", max_length=40)], Best] = Field(
        default_factory=dict, description="the best that each method can do, by name of the method"
    )
    tasks: Tasks | None = Field(
        None, description="several tasks on one encoder; they run with `rungs: all`, or alone as `only: [tasks]`"
    )

    @field_validator("seeds")
    @classmethod
    def _each_seed_once(cls, seeds: list[int]) -> list[int]:
        return each_once(seeds)

    @model_validator(mode="after")
    def _consistent(self) -> "Study":
        for name in self.only:
            known = [*FAMILIES, *ORIGINS, *self.sweeps, *self.experiments, *(["tasks"] if self.tasks else [])]
            if name not in known:
                raise ValueError(f"only: {unknown(name, known)}")
        titles: dict[str, str] = {}
        for key, experiment in self.experiments.items():
            if (other := titles.setdefault(" ".join(experiment.title.casefold().split()), key)) != key:
                raise ValueError(f"experiments.{key}.title: '{experiment.title}' is that of {other}")
            if isinstance(experiment, IclExperiment) and experiment.prompt not in self.prompts:
                raise ValueError(f"experiments.{key}.prompt: {unknown(experiment.prompt, self.prompts)}")
            for split in experiment.evaluation.splits:
                if split not in self.data.sets:
                    raise ValueError(f"experiments.{key}.evaluation.splits: {unknown(split, self.data.sets)}")
            self._check_seeds_of_adapter(experiment)
            draws = getattr(experiment, "draws", 1)
            if draws > 1 and self.prompts[experiment.prompt].drawn is None:
                raise ValueError(f"experiments.{key}.draws: '{experiment.prompt}' draws no examples; leave it out")
            if experiment.compared_with not in (None, *self.experiments.keys() - {key}):
                raise ValueError(
                    f"experiments.{key}.compared_with: {unknown(experiment.compared_with, self.experiments)}"
                )
            source = self.experiments.get(getattr(experiment, "adapter", None) or key)
            if source is not experiment and (source is None or getattr(source, "adapter", None)):
                raise ValueError(
                    f"experiments.{key}.adapter: '{experiment.adapter}' trains no adapter; name one that does"
                )
        for name, ladder in self.ladders.items():
            for i, rung in enumerate(ladder.rungs):
                self._check_rung(f"ladders.{name}.rungs.{i}", rung, ladder.split)
        for key in self.evaluation.compared:
            if key not in self.experiments or self.experiments[key].model is None:
                known = [key for key, experiment in self.experiments.items() if experiment.model]
                raise ValueError(f"evaluation.compared: {unknown(key, known)}")
        for key in self.tasks.experiments if self.tasks else ():
            if key not in self.experiments:
                raise ValueError(f"tasks.experiments: {unknown(key, self.experiments)}")
            if METHODS[self.experiments[key].method].masked:
                raise ValueError(f"tasks.experiments: '{key}' has no head for other classes; choose another")
        for name, best in self.best.items():
            self._check_best(f"best.{name}", best)
        for name, sweep in self.sweeps.items():
            if name in (*FAMILIES, *ORIGINS, "tasks"):
                raise ValueError(f"sweeps.{name}: '{name}' means other experiments in `only`; choose another name")
            for key in sweep.experiments:
                if sweep.split not in self.experiments[key].evaluation.splits:
                    raise ValueError(f"sweeps.{name}.split: '{key}' does not answer '{sweep.split}'")
        return self

    def tasks_run(self) -> bool:
        """Whether the several tasks are trained: with every extra step, or if `only` names them."""
        return self.tasks is not None and ("tasks" in self.only or (self.rungs == "all" and not self.only))

    @property
    def points(self) -> dict[str, tuple[str, str]]:
        """The experiments that a sweep adds: point -> the sweep's name and the experiment that it varies."""
        sweeps = {name: sweep.model_dump() for name, sweep in self.sweeps.items()}
        bases = {key for sweep in self.sweeps.values() for key in sweep.experiments}
        return new_points(sweeps, {key: e.model_dump() if key in bases else {} for key, e in self.experiments.items()})

    def named_in_only(self) -> set[str]:
        """What `only` names, with the experiments of `tasks` and of the sweeps among it: points, and what they vary."""
        named = {*self.only, *(self.tasks.experiments if self.tasks and "tasks" in self.only else ())}
        for key, (name, base) in self.points.items():
            named |= {key, base} if name in self.only else set()
        return named

    def seeds_of(self, experiment: Experiment) -> list[int]:
        """The seeds of an experiment: its own, or the study's."""
        return experiment.seeds or self.seeds

    def _check_seeds_of_adapter(self, experiment: Experiment) -> None:
        """A merge needs the adapter that was trained with its own seed."""
        adapter = self.experiments.get(getattr(experiment, "adapter", None))
        if adapter is None:
            return
        lacking = [seed for seed in self.seeds_of(experiment) if seed not in self.seeds_of(adapter)]
        if lacking:
            raise ValueError(
                f"experiments.{experiment.key}.seeds: {', '.join(map(str, lacking))}: no adapter is trained with it; "
                f"use seeds of {adapter.key}: {', '.join(map(str, self.seeds_of(adapter)))}"
            )

    def _check_best(self, where: str, best: Best) -> None:
        if best.split == CHOSEN_ON:
            raise ValueError(f"{where}.split: '{CHOSEN_ON}' chooses; compare on another split")
        own = [key for key in self.experiments if key not in self.points]
        for key in (best.as_reported, *best.candidates):
            if key not in own:
                raise ValueError(f"{where}: {unknown(key, own)}")
            splits, scorers = self.experiments[key].evaluation.splits, self.experiments[key].scorer_names
            for split in (best.split, *([CHOSEN_ON] if key in best.candidates else [])):
                if split not in splits:
                    raise ValueError(f"{where}: '{key}' does not answer '{split}'")
            if best.scorer not in (None, *scorers):
                raise ValueError(f"{where}.scorer: of '{key}': {unknown(best.scorer, scorers)}")

    def _check_rung(self, where: str, rung: Rung, split: str) -> None:
        if rung.experiment not in self.experiments:
            raise ValueError(f"{where}.experiment: {unknown(rung.experiment, self.experiments)}")
        experiment = self.experiments[rung.experiment]
        if rung.scorer is not None and rung.scorer not in experiment.scorer_names:
            raise ValueError(f"{where}.scorer: {unknown(rung.scorer, experiment.scorer_names)}")
        if split not in experiment.evaluation.splits:
            raise ValueError(f"{where}.experiment: '{rung.experiment}' does not answer the ladder's split '{split}'")

    def without_rungs(self) -> "Study":
        """The study without skipped experiments and, with `rungs: core`, extra ones, except those that `only` names.

        The ladders lose their steps (`Ladder.without`); a ladder that then compares nothing is removed.
        """
        core, named, points = self.rungs == "core", self.named_in_only(), self.points
        wanted = {key for key, e in self.experiments.items() if not (e.skip or (core and e.extra)) or key in named}
        wanted -= {key for key, (_, base) in points.items() if self.experiments[base].skip and base not in named}
        wanted |= {points[key][1] for key in wanted & points.keys()}
        wanted |= set(self.tasks.experiments) if self.tasks_run() else set()
        wanted |= {getattr(self.experiments[key], "adapter", None) for key in wanted}  # its training is needed
        kept = {key: e for key, e in self.experiments.items() if key in wanted}
        shorter = {name: ladder.without(self.experiments.keys() - kept) for name, ladder in self.ladders.items()}
        ladders = {
            name: ladder
            for name, ladder in shorter.items()
            if len(ladder.rungs) == len(self.ladders[name].rungs) or any(rung.against for rung in ladder.rungs)
        }
        best = {name: stated.among(kept) for name, stated in self.best.items()}
        swept = {name for key, (name, _) in points.items() if key in kept}
        sweeps = {
            name: sweep.model_copy(update={"experiments": [key for key in sweep.experiments if key in kept]})
            for name, sweep in self.sweeps.items()
            if name in swept
        }
        compared = [key for key in self.evaluation.compared if key in kept]
        evaluation = self.evaluation.model_copy(update={"compared": compared})
        return self.model_copy(
            update={
                "experiments": kept,
                "ladders": ladders,
                "sweeps": sweeps,
                "best": {name: stated for name, stated in best.items() if stated},
                "evaluation": evaluation,
                "tasks": self.tasks if self.tasks_run() else None,
            }
        )

    def selected(self) -> list[Experiment]:
        """The experiments that `only` selects, in the file's order."""
        named = self.named_in_only()
        return [
            experiment
            for key, experiment in self.experiments.items()
            if not self.only or {key, experiment.family, experiment.origin} & named
        ]

    def answered_sets(self) -> dict[str, SetRows]:
        """The sets with their own rows that a selected experiment answers."""
        answered = {split for experiment in self.selected() for split in experiment.evaluation.splits}
        return {name: rows for name, rows in self.data.own_sets.items() if name in answered}

    def using_models(self) -> list[Experiment]:
        """The selected experiments that use a base model: all but the chance baselines."""
        return [experiment for experiment in self.selected() if experiment.model]
