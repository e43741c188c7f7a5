"""The best that a model can do with a method: candidates, of which the tuning pairs choose one."""

from collections.abc import Container

from pydantic import Field, field_validator

from nli.study.types import SetName, Share, Strict, Title

CHOSEN_ON = "tune"


class Published(Strict):
    """A published accuracy to print next to the chosen experiment's."""

    accuracy: Share = Field(description="as a share of the pairs")
    title: Title = Field(description="whose it is, and on what it was trained")


class Best(Strict):
    """One method: the experiment as reported, and candidates for better ones."""

    title: Title = Field(description="the method's name in the report")
    as_reported: str = Field(description="the experiment that the chosen one is compared with")
    candidates: list[str] = Field(
        min_length=1, description="experiments, of which the most accurate on `tune` is chosen"
    )
    scorer: str | None = Field(
        None, description="how answers are judged, the reported experiment's too; null: by each one's first scorer"
    )
    split: SetName = Field("matched", description="where the chosen experiment is compared")
    published: Published | None = Field(None, description="a published accuracy to print next to it")

    @field_validator("candidates")
    @classmethod
    def _each_once(cls, keys: list[str]) -> list[str]:
        if len(set(keys)) != len(keys):
            raise ValueError(f"takes each experiment once, got {keys}")
        return keys

    def among(self, kept: Container[str]) -> "Best | None":
        """The same with the candidates that are kept; None without any, or without the experiment as reported."""
        candidates = [key for key in self.candidates if key in kept]
        complete = candidates and self.as_reported in kept
        return self.model_copy(update={"candidates": candidates}) if complete else None
