"""Checks what a scale states by itself, so that a typo is found before the scale is first chosen.

A scale states parts of sections. What is there must have a known key and a value of its type; what is not there comes
from the file's body, and is checked with it once the scale is chosen.
"""

from collections.abc import Mapping
from functools import cache
from typing import Any, get_args, get_origin

from pydantic import BaseModel, TypeAdapter, ValidationError

from nli.base.errors import StudyError
from nli.study.experiments import FAMILIES
from nli.study.plain import FILE, expect_mapping
from nli.study.schema import Study
from nli.study.types import unknown


def check_differences(stated: Mapping[str, Any], where: str) -> None:
    """Raise StudyError for the first key of `stated` that the file does not have, or whose value it does not take."""
    known = [*Study.model_fields, "families"]
    for key, value in stated.items():
        if key not in known:
            raise StudyError(f"{FILE}: {where}: {unknown(str(key), known)}")
        if key in ("families", "experiments"):
            for name, part in expect_mapping(value, f"{where}.{key}").items():
                check_experiment(str(name), part, f"{where}.{key}.{name}")
        else:
            check_value(Study, key, value, f"{where}.{key}")


def check_experiment(name: str, stated: Any, where: str) -> None:
    """Check a part of an experiment or of a family's defaults."""
    family = name.split("/")[0]
    if family not in FAMILIES:
        raise StudyError(f"{FILE}: {where}: {unknown(family, FAMILIES)}")
    check_section(FAMILIES[family], expect_mapping(stated, where), where, "extends")


def check_section(cls: type[BaseModel], stated: Mapping[str, Any], where: str, *more: str) -> None:
    """Check a part of the section `cls`, which may also have the keys `more`."""
    for key, value in stated.items():
        if key not in cls.model_fields and key not in more:
            raise StudyError(f"{FILE}: {where}: {unknown(str(key), cls.model_fields)}")
        if key not in more:
            check_value(cls, key, value, f"{where}.{key}")


def check_value(cls: type[BaseModel], key: str, value: Any, where: str) -> None:
    """Check one key of `cls`: the parts of a section or of a table of sections, or else the whole value."""
    annotation = cls.model_fields[key].annotation
    sections = models_in(annotation)
    if len(sections) == 1 and isinstance(value, Mapping):
        if get_origin(annotation) is not dict:
            return check_section(sections[0], value, where)
        for name, part in value.items():
            check_section(sections[0], expect_mapping(part, f"{where}.{name}"), f"{where}.{name}")
        return None
    try:
        adapter(cls, key).validate_python(value, strict=True)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join([where, *map(str, first["loc"])])
        message = first["msg"].removeprefix("Value error, ")
        raise StudyError(f"{FILE}: {place}: {message[0].lower()}{message[1:]}, got {first['input']!r}") from None
    return None


@cache
def adapter(cls: type[BaseModel], key: str) -> TypeAdapter:
    """The validator of one key."""
    return TypeAdapter(cls.model_fields[key].rebuild_annotation())


def models_in(annotation: Any) -> list[type[BaseModel]]:
    """The sections that a type names."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for argument in get_args(annotation) for model in models_in(argument)]
