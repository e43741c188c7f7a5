"""The typed definition of config.yaml: every key of the study, its type, its bounds and what it means.

This is the single source, with `schema_sources` and `schema_experiments`, whose sections it puts together. `nli.config`
resolves a file into a `Study`; the JSON schema that editors use and the reference table in docs/ are generated from
these classes (`make schema`), and a test fails when they drift. Imports nothing heavy: Snakemake loads it at a start.
"""

from collections.abc import Collection
from typing import Annotated, Literal

from pydantic import Field, model_validator

from nli.schema_experiments import (
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
from nli.schema_sources import Data, Models
from nli.schema_types import CommandPath, LocalPath, NonNegative, Positive, PositiveFloat, Split, Strict, unknown


class Rehearsal(Strict):
    measured: Positive = Field(description="optimizer steps that are timed")
    warmup: NonNegative = Field(description="steps before them that are not")
    answering_batches: Positive = Field(description="batches of validation rows that are answered and timed")
    on_cpu: bool = Field(description="without a GPU, rehearse what fits in memory on the CPU")


class Containers(Strict):
    """Where the images of `--use-singularity` come from. Set it in a profile or by `--config`, not in config.yaml."""

    study: str = Field("build", description="image that trains and scores: `build`, a .sif file, docker:// or oras://")
    report: str = Field("build", description="image that makes the report: the same")
    base: str | None = Field(
        None, description="base image of a build: a directory, a SIF file or docker://...; null: the definition's"
    )
    torch: Literal["auto", "cpu", "cuda"] = Field(
        "auto", description="torch in a build: what pip's settings prefer, or the CPU or CUDA build"
    )


class Rung(Strict):
    """One step of a ladder: an experiment, how its answers are counted, and a claim that the data can refute."""

    experiment: str = Field(description="a key of `experiments:`")
    scorer: str | None = Field(None, description="one of the experiment's scorers; null: its first")
    counted: Literal["all", "parsed"] = Field(
        "all", description="an unparsed answer is wrong, or is left out as the report did"
    )
    claim: str = Field(description="one sentence that the data can refute")
    expects: Literal["higher", "lower", "no_difference", "one_class", "at_chance", "above_chance"] | None = Field(
        None, description="what the claim says, of the difference from the rung before or of the rung itself"
    )
    against: str | Positive | None = Field(
        None,
        description="earlier rung to compare with: its number, or its experiment (the last rung of it); null: the rung "
        "before, for a claim of a difference",
    )
    margin: PositiveFloat = Field(
        0.02, lt=1, description="difference that `no_difference` and `at_chance` take for none, as a share"
    )


# Claims about the difference from another rung, and what each says once steps between the two are left out.
COMPARING = {
    "higher": "Together, these changes raise the accuracy.",
    "lower": "Together, these changes lower the accuracy.",
    "no_difference": "Together, these changes leave the accuracy as it was.",
}


class Ladder(Strict):
    """A failure explained: the experiment as reported, then one factor changed at a time."""

    title: str
    question: str = Field(description="what the ladder answers")
    split: Split = "matched"
    rungs: list[Rung] = Field(min_length=2)

    @model_validator(mode="after")
    def _rungs_can_be_compared(self) -> "Ladder":
        if self.rungs[0].expects in COMPARING or self.rungs[0].against:
            raise ValueError(
                "rungs.0: the first rung has none to be compared with: expects one_class, at_chance or above_chance"
            )
        for i, rung in enumerate(self.rungs[1:], start=1):
            earlier = self.rungs[:i]
            if rung.expects is None:
                raise ValueError(f"rungs.{i}: needs the key 'expects': what its claim says of the data")
            known = [*range(1, i + 1), *(other.experiment for other in earlier)]
            if rung.against is not None and rung.against not in known:
                raise ValueError(f"rungs.{i}.against: no earlier rung is '{rung.against}'")
            if any(_measured(rung) == _measured(other) for other in earlier):
                raise ValueError(f"rungs.{i}: the same experiment, scorer and counting as an earlier rung")
        return self

    def without(self, left_out: Collection[str]) -> "Ladder":
        """The ladder without the steps of some experiments, `against` resolved to the number of a rung that is left.

        A step that was compared with one of them is compared with what that one was compared with. A claim about the
        rung before, which spoke of one change, then speaks of all the changes together; one with nothing left to
        compare with goes too.
        """
        numbers: dict[int, int] = {}  # place in this ladder -> number in the shorter one
        steps = []
        for i, rung in enumerate(self.rungs):
            if rung.experiment in left_out:
                continue
            compares = rung.against is not None or rung.expects in COMPARING
            below = self._below(i) if compares else None
            while below is not None and below not in numbers:
                below = self._below(below)
            if below is None and rung.expects in COMPARING:
                continue
            joined = compares and below != self._below(i) and rung.against is None
            claim = COMPARING.get(rung.expects, rung.claim) if joined else rung.claim
            against = None if below is None else numbers[below]
            steps.append(rung.model_copy(update={"against": against, "claim": claim}))
            numbers[i] = len(steps)
        return self.model_copy(update={"rungs": steps})

    def _below(self, i: int) -> int | None:
        """Place of the rung that rung i builds on: the one in `against`, or the one before; None for the first."""
        against = self.rungs[i].against
        if isinstance(against, int):
            return against - 1
        if against is not None:
            return max(j for j in range(i) if self.rungs[j].experiment == against)
        return i - 1 if i else None


def _measured(rung: Rung) -> tuple[str, str | None, str]:
    return rung.experiment, rung.scorer, rung.counted


class Study(Strict):
    """The whole study as resolved for one scale: what every rule of the workflow is computed from."""

    scale: Literal["demo", "paper"] = Field(description="which of `scales:` is put over the file's body")
    results: CommandPath = Field(description="folder that everything is written to, by scale")
    cache: LocalPath = Field(min_length=1, description="folder for what is fetched from the hub, shared by all scales")
    seeds: list[NonNegative] = Field(min_length=1, description="each experiment runs once per seed")
    only: list[str] = Field(description="experiments, families or origins to run; empty: all")
    rungs: Literal["core", "all"] = Field(
        description="`core` leaves out the experiments marked `rung: true`, here and in the ladders"
    )
    finished_only: bool = Field(description="report on the runs that are there, and start no other")
    containers: Containers = Field(
        default=Containers(), exclude=True, description="the images of --use-singularity; part of no result"
    )
    data: Data
    models: Models
    rehearsal: Rehearsal
    prompts: dict[str, Prompt]
    experiments: dict[
        str,
        Annotated[
            BaselineExperiment | RobertaExperiment | IclExperiment | QloraExperiment | LinearHeadExperiment,
            Field(discriminator="family"),
        ],
    ]
    ladders: dict[Annotated[str, Field(pattern=r"^\w+$")], Ladder] = Field(
        default_factory=dict, description="failures explained step by step, by name"
    )

    @model_validator(mode="after")
    def _consistent(self) -> "Study":
        if len(set(self.seeds)) != len(self.seeds):
            raise ValueError(f"seeds: each seed once, got {self.seeds}")
        for name in self.only:
            if name not in self.experiments and name not in FAMILIES and name not in ORIGINS:
                raise ValueError(f"only: {unknown(name, [*FAMILIES, *ORIGINS, *self.experiments])}")
        for key, experiment in self.experiments.items():
            if isinstance(experiment, IclExperiment) and experiment.prompt not in self.prompts:
                raise ValueError(f"experiments.{key}.prompt: {unknown(experiment.prompt, self.prompts)}")
            source = self.experiments.get(getattr(experiment, "adapter", None) or key)
            if source is not experiment and (source is None or getattr(source, "adapter", None)):
                raise ValueError(
                    f"experiments.{key}.adapter: '{experiment.adapter}' trains no adapter; name one that does"
                )
        for name, ladder in self.ladders.items():
            for i, rung in enumerate(ladder.rungs):
                self._check_rung(f"ladders.{name}.rungs.{i}", rung, ladder.split)
        return self

    def _check_rung(self, where: str, rung: Rung, split: str) -> None:
        if rung.experiment not in self.experiments:
            raise ValueError(f"{where}.experiment: {unknown(rung.experiment, self.experiments)}")
        experiment = self.experiments[rung.experiment]
        if rung.scorer is not None and rung.scorer not in experiment.scorer_names:
            raise ValueError(f"{where}.scorer: {unknown(rung.scorer, experiment.scorer_names)}")
        if split not in experiment.evaluation.splits:
            raise ValueError(f"{where}.experiment: '{rung.experiment}' does not answer the ladder's split '{split}'")

    def without_rungs(self) -> "Study":
        """With `rungs: core` the study without the experiments marked as rungs, unless `only` names one of them.

        A ladder loses their steps (`Ladder.without`); one that then compares nothing goes as a whole.
        """
        core = self.rungs == "core"
        wanted = {key for key, e in self.experiments.items() if not (core and e.rung) or key in self.only}
        wanted |= {getattr(self.experiments[key], "adapter", None) for key in wanted}  # its training is needed
        kept = {key: e for key, e in self.experiments.items() if key in wanted}
        shorter = {name: ladder.without(self.experiments.keys() - kept) for name, ladder in self.ladders.items()}
        ladders = {
            name: ladder
            for name, ladder in shorter.items()
            if len(ladder.rungs) == len(self.ladders[name].rungs) or any(rung.against for rung in ladder.rungs)
        }
        return self.model_copy(update={"experiments": kept, "ladders": ladders})

    def selected(self) -> list[Experiment]:
        """The experiments that `only` leaves, in the file's order."""
        return [
            experiment
            for key, experiment in self.experiments.items()
            if not self.only or {key, experiment.family, experiment.origin} & set(self.only)
        ]

    def using_models(self) -> list[Experiment]:
        """The selected experiments that use a base model: all but the chance baselines."""
        return [experiment for experiment in self.selected() if experiment.model]
