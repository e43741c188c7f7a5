"""`ladders:` of config.yaml: steps from a failure to its cause, each with a claim that the data can refute."""

from collections.abc import Collection
from typing import Literal

from pydantic import Field, model_validator

from nli.study.types import PositiveFloat, SetName, Strict, Title


class RungName(Strict):
    """The full name of an earlier rung of the same ladder."""

    experiment: str
    scorer: str | None = None
    counted: Literal["all", "parsed"] = "all"


Expectation = Literal[
    "higher", "lower", "no_difference", "one_class", "at_chance", "above_chance", "above_hypothesis_only"
]


class Rung(Strict):
    """One step of a ladder: an experiment, how its answers are counted, and a claim that the data can refute."""

    experiment: str = Field(description="a key of `experiments:`")
    scorer: str | None = Field(None, description="one of the experiment's scorers; null: its first")
    counted: Literal["all", "parsed"] = Field(
        "all", description="count an unparsed answer as wrong, or leave it out as the original did"
    )
    claim: str = Field(description="one sentence that the data can refute")
    expects: Expectation | None = Field(
        None,
        description="what the claim says about the difference from the rung in `against`, or about the rung itself",
    )
    against: str | RungName | None = Field(
        None,
        description="earlier rung to compare with: its experiment, or {experiment, scorer, counted} if several rungs "
        "have that experiment; required for a claim about a difference",
    )
    together: list[str] = Field(
        default_factory=list,
        description="keys that change together in this step and that the claim is about; if several keys change that "
        "are not named here, the report says instead that the changes together raise or lower the accuracy",
    )
    margin: PositiveFloat = Field(
        0.02, lt=1, description="largest difference, as a share, that `no_difference` and `at_chance` treat as none"
    )


# Claims about the difference from another rung.
COMPARING = ("higher", "lower", "no_difference")
# What such a claim says if steps between the two rungs are left out.
TOGETHER = {
    "higher": "Together, these changes raise the accuracy.",
    "lower": "Together, these changes lower the accuracy.",
    "no_difference": "Together, these changes leave the accuracy as it was.",
}


class Ladder(Strict):
    """A failure explained: the experiment as reported, then one factor changed at a time."""

    title: Title
    question: str = Field(description="what the ladder answers")
    shows: list[str] = Field(
        default_factory=list,
        description="experiments whose answers the report describes after the question; none: the first rung's",
    )
    split: SetName = "matched"
    rungs: list[Rung] = Field(min_length=2)

    @model_validator(mode="after")
    def _rungs_can_be_compared(self) -> "Ladder":
        if self.rungs[0].expects in COMPARING or self.rungs[0].against:
            raise ValueError(
                "rungs.0: the first rung has no earlier one to compare with; set expects to one_class, at_chance, "
                "above_chance or above_hypothesis_only"
            )
        for key in self.shows:
            if key not in {rung.experiment for rung in self.rungs}:
                raise ValueError(f"shows: no rung is '{key}'")
        for i, rung in enumerate(self.rungs[1:], start=1):
            if rung.expects is None:
                raise ValueError(f"rungs.{i}: needs the key 'expects': what its claim says about the data")
            if rung.expects in COMPARING and rung.against is None:
                raise ValueError(
                    f"rungs.{i}: needs the key 'against': the earlier rung that its claim compares it with"
                )
            claims = [(_measured(other), other.expects, self.below(j)) for j, other in enumerate(self.rungs[:i])]
            if (_measured(rung), rung.expects, self.below(i)) in claims:
                raise ValueError(f"rungs.{i}: repeats an earlier rung's claim about the same answers; remove one")
            if rung.against is not None:
                self._can_be_refuted(i, self.rungs[self.below(i)])
        return self

    def _can_be_refuted(self, i: int, below: Rung) -> None:
        """Refuse a claim that is true by arithmetic: leaving out unparsed answers never lowers an accuracy."""
        rung = self.rungs[i]
        if _measured(rung) == _measured(below):
            raise ValueError(f"rungs.{i}.against: '{rung.experiment}' is compared with itself")
        same = (rung.experiment, rung.scorer) == (below.experiment, below.scorer)
        if same and rung.counted != below.counted and rung.expects in ("higher", "lower"):
            raise ValueError(
                f"rungs.{i}.expects: '{rung.expects}' cannot be refuted: counting unparsed answers as wrong "
                "never raises the accuracy of the same answers; use above_chance, or no_difference with a margin"
            )

    def below(self, i: int) -> int | None:
        """Index of the rung that rung i is compared with; None without `against`.

        An experiment's name alone means its only earlier rung or, among several, the one that is judged like rung i.
        Two rungs with the same answers are interchangeable.
        """
        rung, named = self.rungs[i], self.rungs[i].against
        if named is None:
            return None
        key = named if isinstance(named, str) else named.experiment
        places = [j for j in range(i) if self.rungs[j].experiment == key]
        if isinstance(named, RungName):
            places = [j for j in places if _measured(self.rungs[j]) == _measured(named)]
        elif len({_measured(self.rungs[j]) for j in places}) > 1:
            alike = [j for j in places if _measured(self.rungs[j])[1:] == _measured(rung)[1:]]
            if not alike:
                raise ValueError(
                    f"rungs.{i}.against: '{key}' is in several earlier rungs; "
                    "name one as {experiment: ..., scorer: ..., counted: ...}"
                )
            places = alike
        if not places:
            raise ValueError(f"rungs.{i}.against: no earlier rung of '{key}' matches; name one of the rungs before it")
        return places[0]

    def without(self, left_out: Collection[str]) -> "Ladder":
        """The ladder without the steps of some experiments; every `against` is the full name of a remaining rung.

        A step that was compared with a removed one is compared with that one's own `against`, and its claim is then
        about all the changes together. A step is also removed if nothing is left to compare it with, or if it would
        repeat an earlier rung's comparison.
        """
        kept: dict[tuple[str, str | None, str], list[int | None]] = {}  # answers -> what they are compared with
        steps = []
        for i, rung in enumerate(self.rungs):
            if rung.experiment in left_out:
                continue
            below = stated = self.below(i)
            while below is not None and _measured(self.rungs[below]) not in kept:
                below = self.below(below)
            repeats = below != stated and below in kept.get(_measured(rung), [])
            if (below is None and rung.expects in COMPARING) or repeats:
                continue
            claim = rung.claim if below == stated else TOGETHER.get(rung.expects, rung.claim)
            steps.append(rung.model_copy(update={"against": self._name(below), "claim": claim}))
            kept.setdefault(_measured(rung), []).append(below)
        shown = [key for key in self.shows if key not in left_out]
        return self.model_copy(update={"rungs": steps, "shows": shown})

    def _name(self, place: int | None) -> RungName | None:
        """The full name of a rung."""
        if place is None:
            return None
        return RungName(**dict(zip(("experiment", "scorer", "counted"), _measured(self.rungs[place]), strict=True)))


def _measured(rung: Rung | RungName) -> tuple[str, str | None, str]:
    return rung.experiment, rung.scorer, rung.counted
