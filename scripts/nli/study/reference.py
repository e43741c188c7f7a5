"""Generates the JSON schema and the reference of all keys from the typed definition in `nli.study.schema`."""

import json
from typing import Any, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from nli.study.experiments import FAMILIES, Prompt
from nli.study.schema import Study
from nli.study.sources import Data, Models


def file_schema() -> dict[str, Any]:
    """JSON schema (2020-12) of config.yaml, for completion and checks in an editor.

    The file states an experiment in parts (family, parent, itself), so the schema requires no key; the workflow
    checks the resolved experiment.
    """
    whole = _optional(Study.model_json_schema())
    definitions = whole.pop("$defs")
    properties = whole["properties"]
    parts = {}
    for family, cls in FAMILIES.items():
        part = definitions[cls.__name__]
        for key in ("family", "name"):
            part["properties"].pop(key)
        part["properties"]["extends"] = {
            "type": "string",
            "description": "experiment to inherit every other key from",
        }
        parts[family] = {"$ref": f"#/$defs/{cls.__name__}"}
    properties["experiments"] = {
        "type": "object",
        "patternProperties": {f"^{family}/[A-Za-z_][A-Za-z0-9_]*$": ref for family, ref in parts.items()},
        "additionalProperties": False,
    }
    properties["families"] = {"type": "object", "properties": parts, "additionalProperties": False}
    own_data = {
        "type": "object",
        "description": "what this scale does differently with data that is not synthetic",
        "properties": dict(properties),
        "additionalProperties": False,
    }
    extends = {"type": "string", "description": "another scale, whose differences come before this one's"}
    own = {**properties, "extends": extends, "own_data": own_data}
    scale = {"type": "object", "properties": own, "additionalProperties": False}
    definitions["Scale"] = scale
    properties["scales"] = {"type": "object", "additionalProperties": {"$ref": "#/$defs/Scale"}}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "config.yaml of the study",
        **{key: value for key, value in whole.items() if key not in ("title", "description")},
        "$defs": definitions,
    }


def _optional(schema: Any) -> Any:
    """The schema without required keys and discriminators, at any depth."""
    if isinstance(schema, dict):
        return {k: _optional(v) for k, v in schema.items() if k not in ("required", "discriminator")}
    if isinstance(schema, list):
        return [_optional(item) for item in schema]
    return schema


def reference_table() -> str:
    """Every key of config.yaml in Markdown tables: name, type, default, meaning."""
    sections: list[tuple[str, type[BaseModel]]] = [
        ("The whole", Study),
        ("data", Data),
        ("models", Models),
        ("prompts.*", Prompt),
        *((f"experiments.{family}/*", cls) for family, cls in FAMILIES.items()),
    ]
    lines = [
        "# Configuration",
        "",
        "Generated from `scripts/nli/study/` by `make schema`; a test fails if the two differ.",
        "An experiment is its family's defaults (`families:`), then what it `extends:`, then its own keys.",
    ]
    described: set[type[BaseModel]] = set()
    for title, cls in sections:
        lines += ["", f"## {title}", "", *_table(cls)]
        described.add(cls)
    pending = [cls for _, cls in sections]
    nested: list[type[BaseModel]] = []
    while pending:
        for field in pending.pop(0).model_fields.values():
            for found in _models_in(field.annotation):
                if found not in described:
                    described.add(found)
                    nested.append(found)
                    pending.append(found)
    for cls in nested:
        lines += ["", f"## Section `{cls.__name__}`", "", *_table(cls)]
    return "\n".join(lines) + "\n"


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    """The pydantic models that a type annotation names."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for argument in get_args(annotation) for model in _models_in(argument)]


def _table(cls: type[BaseModel]) -> list[str]:
    rows = ["| key | takes | default | meaning |", "|---|---|---|---|"]
    for name, field in cls.model_fields.items():
        if name in ("family", "name") and issubclass(cls, tuple(FAMILIES.values())):
            continue
        default = "required" if field.is_required() else f"`{_value(field.get_default(call_default_factory=True))}`"
        if isinstance(field.default, BaseModel):
            default = "its keys' own"
        rows.append(f"| `{name}` | {_takes(field)} | {default} | {field.description or ''} |")
    return rows


def _value(value: Any) -> str:
    return json.dumps(value) if isinstance(value, bool | list | dict | None) else str(value)


def _takes(field: FieldInfo) -> str:
    """The type and bounds of a key in words."""
    bounds = [
        f"{sign} {getattr(item, name)}"
        for item in field.metadata
        for name, sign in (("gt", ">"), ("ge", "≥"), ("lt", "<"), ("le", "≤"))
        if hasattr(item, name)
    ]
    return " ".join([_type(field.annotation), *bounds])


def _type(annotation: Any) -> str:
    """A type annotation in words that a writer of YAML understands."""
    names = {str: "text", int: "integer", float: "number", bool: "true or false", type(None): "null"}
    if annotation in names:
        return names[annotation]
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return f"section `{annotation.__name__}`"
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is list:
        return f"list of {_type(arguments[0])}"
    if origin is dict:
        return f"{_type(arguments[0])} → {_type(arguments[1])}"
    if hasattr(annotation, "__metadata__"):  # Annotated
        return _type(arguments[0])
    if arguments and not any(isinstance(a, type) or get_origin(a) or hasattr(a, "__metadata__") for a in arguments):
        return ", ".join(f"`{argument}`" for argument in arguments)  # Literal
    return " or ".join(dict.fromkeys(_type(argument) for argument in arguments))
