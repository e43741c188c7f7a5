"""Building blocks of the typed definition: bounded numbers, and sections that refuse unknown keys."""

import difflib
import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from nli.texts import folded

Label = Literal["entailment", "neutral", "contradiction"]
SetName = Annotated[str, Field(pattern=r"^[a-z]\w*$")]
LARGEST = 2**31 - 1  # what tokenizers, samplers and counters take
Positive = Annotated[int, Field(gt=0, le=LARGEST)]
NonNegative = Annotated[int, Field(ge=0, le=LARGEST)]
Seed = Annotated[int, Field(ge=0, lt=2**32)]  # NumPy's bound
Commit = Annotated[str, Field(pattern=r"^[0-9a-f]{40}$")]  # branches and tags move


def _number(value: Any) -> Any:
    """`value` as a number, because YAML 1.1 reads 1e-3 (no dot) as text."""
    if isinstance(value, str):
        try:
            return float(value)
        except ValueError:
            return value
    return value


Real = Annotated[float, BeforeValidator(_number), Field(allow_inf_nan=False)]
PositiveFloat = Annotated[Real, Field(gt=0)]
NonNegativeFloat = Annotated[Real, Field(ge=0)]
Probability = Annotated[Real, Field(ge=0, lt=1)]
Share = Annotated[Real, Field(gt=0, lt=1)]


CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\u2028\u2029]")  # no tab, no line feed


def _one_line(title: str) -> str:
    """`title` without white space around it, if it is one line that can be seen; else ValueError."""
    if not title.strip() or re.search(r"[\n\t]", title.strip()):
        raise ValueError(f"takes one line of text, got {title!r}")
    return title.strip()


Title = Annotated[str, Field(max_length=200), AfterValidator(_one_line)]


def local_path(path: str) -> str:
    """`path` with ~ expanded, if scripts and Snakemake can take it; else ValueError.

    A shell would expand ~, Snakemake does not, and a container has another home folder. Snakemake takes braces for
    wildcards and <...> for a path variable, and scripts take a hyphen for an option.
    """
    if not path.strip():
        raise ValueError("takes a path, got an empty one")
    if found := re.search(r"[{}<>\n\t]|^-|://", path):
        raise ValueError(
            f"takes a path of this machine, without braces, < or >, or a hyphen first, got {found[0]!r} in {path!r}"
        )
    if any(len(part.encode()) > 255 for part in Path(path).parts) or len(path.encode()) > 2000:
        raise ValueError(f"takes a path that a disk can hold, got {len(path)} characters")
    return os.path.expanduser(path)


LocalPath = Annotated[str, AfterValidator(local_path)]
HubName = r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?"  # of a model or a data set


def hub_name(name: str) -> str:
    """`name` if the hub could have it; else ValueError."""
    if not re.fullmatch(HubName, name, re.ASCII) or ".." in name or len(name) > 96:
        raise ValueError(f"takes a name on the hub, 'owner/name', got {name!r}")
    return name


def _bare_word(path: str) -> str:
    """`path` if the rules' commands can use it without quotes and Snakemake takes it literally; else ValueError."""
    if found := re.search(r"""[\s"'`$\\;&|<>()*?\[\]{}]""", path):
        raise ValueError(
            f"takes a folder without spaces, quotes or shell characters, got {found.group()!r} in {path!r}"
        )
    return path


# The repository's own folders, which a run must not write into.
OWN_FOLDERS = (".git", ".snakemake", ".venv")
OWN_FOLDERS += ("containers", "docs", "models", "profiles", "report", "rules", "scripts", "tests")


def _results_folder(path: str) -> str:
    """`path` if results can be written and deleted there without harm to anything else; else ValueError."""
    parts = Path(path).parts
    whole = os.path.abspath(path)
    repository = os.path.abspath(".")
    if ".." in parts or whole == os.path.expanduser("~") or Path(repository).is_relative_to(whole):
        raise ValueError(f"takes a folder of its own, got {path!r}; give its whole path, or one below the repository")
    if os.path.relpath(whole).split(os.sep)[0] in OWN_FOLDERS:
        raise ValueError(f"takes a folder that the repository does not use, got {path!r}")
    if os.path.exists(whole) and not os.path.isdir(whole):
        raise ValueError(f"takes a folder, got the file {path!r}")
    return path


CommandPath = Annotated[LocalPath, AfterValidator(_bare_word), AfterValidator(_results_folder)]


class Strict(BaseModel):
    """A section that refuses unknown keys; the error names the nearest known one."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    @model_validator(mode="before")
    @classmethod
    def _reject_unknown_keys(cls, values: Any) -> Any:
        if isinstance(values, dict):
            for key in values:
                if key not in cls.model_fields:
                    raise ValueError(unknown(str(key), cls.model_fields))
        return values


def unknown(key: str, known: Any) -> str:
    """The message for a name that is not in `known`, with the nearest known one if there is one."""
    near = difflib.get_close_matches(key, list(known), n=1, cutoff=0.6)
    hint = f"did you mean '{near[0]}'?" if near else f"known: {', '.join(known)}"
    return one_line(f"unknown name '{key}'; {hint}")


def one_line(text: str) -> str:
    """A message with what is not printable, such as a line break in a value, as Python's escapes."""
    return "".join(sign if sign.isprintable() else repr(sign)[1:-1] for sign in text)


def each_once(values: list[int] | None) -> list[int] | None:
    """`values`; raises ValueError if one of them repeats."""
    if values is not None and len(set(values)) != len(values):
        raise ValueError(f"each seed once, got {values}")
    return values


def tell_apart(words: Iterable[str], where: str) -> None:
    """Raise ValueError if a word is empty or begins another, case aside: answers are read by them."""
    stripped = [folded(word.strip()) for word in words]
    for i, word in enumerate(stripped):
        if not word:
            raise ValueError(f"'{where}' holds an empty word")
        if clash := next((other for j, other in enumerate(stripped) if i != j and other.startswith(word)), None):
            raise ValueError(f"'{where}': an answer '{word}' cannot be told from '{clash}'; choose other words")


def require_only(text: str, *fields: str, where: str = "text") -> None:
    """Raise ValueError if a template has a `{field}` that nothing fills."""
    for field in re.findall(r"\{(\w+)\}", text):
        if field not in fields:
            known = ", ".join("{" + name + "}" for name in fields)
            raise ValueError(f"'{where}' holds {{{field}}}, which nothing fills; it takes {known}")


def require_label_last(text: str) -> None:
    """Raise ValueError unless a training text holds {label} once, behind the pair."""
    if text.count("{label}") != 1 or text.index("{label}") < max(text.index("{premise}"), text.index("{hypothesis}")):
        raise ValueError("'text' must hold {label} once, after {premise} and {hypothesis}")


def require_fields(text: str, *fields: str, where: str = "text") -> None:
    """Raise ValueError if a template lacks one of the `{fields}` that it must have."""
    for field in fields:
        if "{" + field + "}" not in text:
            raise ValueError(f"'{where}' must contain {{{field}}}")
