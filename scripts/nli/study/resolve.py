"""Resolves config.yaml into a study: the scale's differences, the command line, families and `extends`.

Order of precedence, weakest first: the file's body, `scales: <scale>:`, that scale's `own_data:` if the data is not
synthetic, `--config` on the command line. An experiment is its family's defaults, then what it extends, then what it
states itself. `seeds` on the command line apply to every experiment, even to those with seeds in the file.
"""

import copy
from collections.abc import Mapping
from typing import Any, get_args

from pydantic import ValidationError

from nli.base.errors import StudyError
from nli.study.best import CHOSEN_ON
from nli.study.differences import check_differences
from nli.study.experiments import FAMILIES
from nli.study.plain import FILE, expect_mapping, refuse_control_characters, refuse_loops
from nli.study.schema import Study
from nli.study.sweeps import Sweep, differences, points_of, shown_value
from nli.study.types import one_line, unknown

OWN_OF_A_MODEL = ("title", "gb", "licence")  # lost where another model is named
OWN_KEYS = ("title", "origin", "extra", "skip", "compared_with", "extends")  # never inherited


def deep_merge(base: Mapping[str, Any], *overlays: Mapping[str, Any]) -> dict[str, Any]:
    """`base` with each overlay merged into it, section by section. The inputs are not changed."""
    merged = copy.deepcopy(dict(base))
    for overlay in overlays:
        for key, value in overlay.items():
            if isinstance(value, Mapping) and isinstance(merged.get(key), Mapping):
                merged[key] = deep_merge(merged[key], value)
            else:
                merged[key] = copy.deepcopy(value)
    return merged


def load_study(config: Mapping[str, Any], overrides: Mapping[str, Any] | None = None) -> Study:
    """Resolve and check a study.

    Args:
        config: the content of config.yaml (with or without the overrides merged in).
        overrides: values from the command line (`--config`, `--configfile`); they win over the scale's differences.

    Raises:
        StudyError: an unknown key, a wrong type or an impossible combination; one line per problem, with its key.
    """
    for stated in (config, overrides or {}):
        refuse_loops(stated)
        refuse_control_characters(stated)
    overrides = retype(overrides or {})
    body = deep_merge(config, overrides)
    scales = known_scales(body.pop("scales", {}))
    scale = body.get("scale")
    if not isinstance(scale, str) or scale not in scales:
        raise StudyError(f"{FILE}: scale: {unknown(str(scale), scales)}")
    overlay = scale_overlay(scale, scales)
    own_data = expect_mapping(overlay.pop("own_data", None) or {}, f"scales.{scale}.own_data")
    overrides.pop("scales", None)
    drop_what_is_another_models(body, overlay)
    resolved = deep_merge(body, overlay)
    if source_of(deep_merge(resolved, overrides)) != "synthetic":
        resolved = deep_merge(resolved, own_data)
    drop_what_is_another_models(resolved, overrides)
    if "seeds" in overrides:
        drop_stated_seeds(resolved)
    resolved = deep_merge(resolved, overrides)
    stated = expect_mapping(resolved.get("experiments"), "experiments")
    resolved["experiments"] = resolve_experiments(
        stated,
        expect_mapping(resolved.pop("families", {}), "families"),
    )
    points = add_points(resolved)
    add_sets(resolved, points)
    add_tuning(resolved)
    stated = {**stated, **{key: {"extends": base} for key, (_, base) in points.items()}}
    try:
        return Study.model_validate(resolved).without_rungs()
    except ValidationError as error:
        lines = dict.fromkeys(describe(item, points) for item in own_errors(error.errors(), stated))
        raise StudyError("\n".join(lines)) from None


def add_sets(resolved: dict[str, Any], points: Mapping[str, Any]) -> None:
    """Add the sets of `evaluation: also:` to the splits of every experiment, in place; not to a sweep's points."""
    also = expect_mapping(resolved.get("evaluation") or {}, "evaluation").get("also")
    sets = expect_mapping(expect_mapping(resolved.get("data") or {}, "data").get("sets") or {}, "data.sets")
    for name in also if isinstance(also, list) else []:
        if not isinstance(name, str) or name not in sets:
            raise StudyError(f"{FILE}: evaluation.also: {unknown(str(name), sets)}")
    for key, experiment in resolved["experiments"].items():
        evaluation = experiment.get("evaluation")
        splits = evaluation.get("splits") if isinstance(evaluation, dict) else None
        if isinstance(also, list) and isinstance(splits, list) and key not in points:
            evaluation["splits"] = [*splits, *(name for name in also if name not in splits)]


def add_tuning(resolved: dict[str, Any]) -> None:
    """Let the candidates of `best` answer the pairs that choose among them, in place."""
    for stated in expect_mapping(resolved.get("best") or {}, "best").values():
        candidates = stated.get("candidates") if isinstance(stated, dict) else None
        for key in candidates if isinstance(candidates, list) else []:
            experiment = resolved["experiments"].get(key) if isinstance(key, str) else None
            evaluation = (experiment or {}).get("evaluation")
            splits = evaluation.get("splits") if isinstance(evaluation, dict) else None
            if isinstance(splits, list) and CHOSEN_ON not in splits:
                evaluation["splits"] = [*splits, CHOSEN_ON]


def add_points(resolved: dict[str, Any]) -> dict[str, tuple[str, str]]:
    """Add the experiments of every sweep to `resolved`, in place.

    Returns:
        point -> the key of the config that it comes from, and the experiment that it varies.
    """
    added: dict[str, tuple[str, str]] = {}
    experiments = resolved["experiments"]
    for name, stated in expect_mapping(resolved.get("sweeps") or {}, "sweeps").items():
        where = f"sweeps.{name}"
        try:
            sweep = Sweep.model_validate(expect_mapping(stated, where))
        except ValidationError as error:
            found = [{**each, "loc": ("sweeps", name, *each["loc"])} for each in error.errors()]
            raise StudyError("\n".join(map(describe, found))) from None
        for base in sweep.experiments:
            if base not in experiments or base in added:
                known = [key for key in experiments if key not in added]
                raise StudyError(f"{FILE}: {where}.experiments: {unknown(base, known)}")
            spec = experiments[base]
            for value, key in points_of(name, sweep.model_dump(), base, spec).items():
                if key in experiments and key != base:
                    raise StudyError(f"{FILE}: {where}: '{key}', its point at {value:g}, is another experiment's name")
                if key != base:
                    experiments[key] = point(name, sweep, spec, key, value)
                    added[key] = (f"{where}.values", base)
    return added


def point(name: str, sweep: Sweep, base: Mapping[str, Any], key: str, value: float) -> dict[str, Any]:
    """The experiment in full that differs from `base` in the value of a sweep."""
    kept = {k: v for k, v in base.items() if k not in OWN_KEYS}
    try:
        changed = differences(sweep, base, value)
    except ValueError as error:
        raise StudyError(f"{FILE}: sweeps.{name}.{error}") from None
    about = {
        "name": key.partition("/")[2],
        "title": f"{base.get('title')}: {sweep.title[0].lower()}{sweep.title[1:]} {shown_value(sweep.key, value)}",
        "origin": "ours",
        "extra": sweep.extra,
    }
    return deep_merge(kept, *changed, about, {"seeds": sweep.seeds} if sweep.seeds else {})


def known_scales(scales: Any) -> Mapping[str, Any]:
    """The table of scales; StudyError for one with an unknown key or a wrong value, chosen or not."""
    for name, scale in expect_mapping(scales, "scales").items():
        if not isinstance(name, str):
            raise StudyError(f"{FILE}: scales.{name}: takes a name, got {name!r}")
        own = dict(expect_mapping(scale or {}, f"scales.{name}"))
        scale_overlay(name, scales)
        own.pop("extends", None)
        for where, stated in ((f"scales.{name}.own_data", own.pop("own_data", None) or {}), (f"scales.{name}", own)):
            check_differences(expect_mapping(stated, where), where)
    return scales


def scale_overlay(scale: str, scales: Mapping[str, Any], seen: tuple[str, ...] = ()) -> dict[str, Any]:
    """What a scale puts over the file's body: its own differences, over those of the scale that it extends."""
    if scale in seen:
        raise StudyError(f"{FILE}: scales.{scale}: 'extends' goes in a circle: {' -> '.join([*seen, scale])}")
    own = dict(expect_mapping(scales[scale] or {}, f"scales.{scale}"))
    parent = own.pop("extends", None)
    if parent is None:
        return own
    if not isinstance(parent, str) or parent not in scales:
        raise StudyError(f"{FILE}: scales.{scale}.extends: {unknown(str(parent), scales)}")
    return deep_merge(scale_overlay(parent, scales, (*seen, scale)), own)


def source_of(resolved: Mapping[str, Any]) -> Any:
    """Where the data comes from; None if not stated."""
    return expect_mapping(resolved.get("data") or {}, "data").get("source")


def drop_what_is_another_models(resolved: dict[str, Any], overlay: Mapping[str, Any]) -> None:
    """Take a model's title, size and licence out of `resolved`, in place, where the overlay names another model."""
    for role, stated in expect_mapping(overlay.get("models") or {}, "models").items():
        model = expect_mapping(resolved.get("models") or {}, "models").get(role)
        if isinstance(stated, Mapping) and "name" in stated and isinstance(model, dict):
            for key in OWN_OF_A_MODEL:
                model.pop(key, None)


def drop_stated_seeds(resolved: dict[str, Any]) -> None:
    """Remove the `seeds` of families, experiments and sweeps from a file's sections, in place."""
    for section in ("families", "experiments", "sweeps"):
        for stated in expect_mapping(resolved.get(section) or {}, section).values():
            if isinstance(stated, dict):
                stated.pop("seeds", None)


def own_errors(errors: list[Any], stated: Mapping[str, Any]) -> list[Any]:
    """The errors without those that an experiment inherits from the one that it extends."""

    def identity(error: Mapping[str, Any], key: str | None) -> tuple[Any, ...]:
        return (key, error["loc"][2:], error["msg"])

    seen = {identity(error, error["loc"][1]) for error in errors if error["loc"][:1] == ("experiments",)}
    kept = []
    for error in errors:
        own = stated.get(error["loc"][1], {}) if error["loc"][:1] == ("experiments",) else {}
        parent = parent_of(own)
        if parent is None or identity(error, parent) not in seen:
            kept.append(error)
    return kept


def retype(value: Any) -> Any:
    """A value from the command line with its numbers, booleans and nulls parsed, at any depth.

    Snakemake reads the inside of `--config seeds='[1, 2]'` as text. "No" and "Yes" stay text: they are answers.
    """
    if isinstance(value, Mapping):
        return {key: retype(item) for key, item in value.items()}
    if isinstance(value, list):
        return [retype(item) for item in value]
    if not isinstance(value, str):
        return value
    if value in ("true", "false", "null"):
        return {"true": True, "false": False, "null": None}[value]
    for number in (int, float):
        try:
            return number(value)
        except ValueError:
            continue
    return value


def resolve_experiments(stated: Mapping[str, Any], families: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Every experiment in full: family defaults, then the chain of `extends`, then its own keys.

    An experiment that merges or answers with another's `adapter` inherits all but its own keys from that experiment.
    """
    for family in families:
        if family not in FAMILIES:
            raise StudyError(f"{FILE}: families: {unknown(str(family), FAMILIES)}")
    resolved = {key: resolve_experiment(key, stated, families) for key in stated}
    require_origins(resolved)
    return resolved


def require_origins(resolved: Mapping[str, Mapping[str, Any]]) -> None:
    """Raise StudyError, with one line each, for experiments that do not state their origin.

    `origin` has no default and is not inherited: a variant of a reported experiment is not itself reported.
    """
    lines = []
    for key, experiment in resolved.items():
        if "origin" not in experiment:
            choices = " | ".join(get_args(FAMILIES[experiment["family"]].model_fields["origin"].annotation))
            lines.append(f"{FILE}: experiments.{key}: needs the key 'origin', whose experiment it is: {choices}")
    if lines:
        raise StudyError("\n".join(lines))


def resolve_experiment(
    key: str, stated: Mapping[str, Any], families: Mapping[str, Any], seen: tuple[str, ...] = ()
) -> dict[str, Any]:
    """One experiment in full, with `family` and `name` from its key `family/name`."""
    where = f"experiments.{key}"
    if not isinstance(key, str):
        raise StudyError(f"{FILE}: {where}: takes a name 'family/name', got {key!r}")
    if key in seen:
        raise StudyError(f"{FILE}: {where}: 'extends' is circular: {' -> '.join([*seen, key])}")
    family, _, name = key.partition("/")
    if family not in FAMILIES or not (name.isascii() and name.isidentifier()) or len(name) > 100:
        raise StudyError(
            f"{FILE}: {where}: takes a name 'family/name' with a family of {', '.join(FAMILIES)} "
            "and a name of letters, digits and underscores"
        )
    own = expect_mapping(stated[key], where)
    parent = parent_of(own)
    base: Mapping[str, Any] = expect_mapping(families.get(family, {}), f"families.{family}")
    if parent is not None:
        if not isinstance(parent, str):
            raise StudyError(f"{FILE}: {where}: takes the name of one experiment to take from, got {parent!r}")
        if parent not in stated:
            raise StudyError(f"{FILE}: {where}: {unknown(parent, stated)}")
        if not parent.startswith(f"{family}/"):
            raise StudyError(f"{FILE}: {where}: '{parent}' is in another family; extend one of the same family")
        base = resolve_experiment(parent, stated, families, (*seen, key))
        base = {k: v for k, v in base.items() if k not in OWN_KEYS}
    for part, value in (("family", family), ("name", name)):
        if part in own:
            raise StudyError(f"{FILE}: {where}.{part}: is '{value}', by the experiment's key; leave it out")
    resolved = deep_merge(base, own, {"family": family, "name": name})
    resolved.pop("extends", None)
    return resolved


def parent_of(own: Mapping[str, Any]) -> Any:
    """What an experiment takes its other keys from, as it states it; None if from its family alone."""
    return own.get("adapter") if own.get("extends") is None else own["extends"]


def describe(error: Mapping[str, Any], points: Mapping[str, tuple[str, str]] | None = None) -> str:
    """One line for a pydantic error: the file, the key, what is wrong and the value given.

    Args:
        points: as `add_points` returns them; an error of a point is one of the sweep that it belongs to.
    """
    parts = [str(part) for part in error["loc"]]
    if parts[:1] == ["experiments"]:
        del parts[2:3]  # pydantic adds the union's member, here the family, after the key
    location = ".".join(parts)
    message = error["msg"].removeprefix("Value error, ")
    if parts[:1] == ["experiments"] and len(parts) > 1 and parts[1] in (points or {}):
        location, base = points[parts[1]]
        location += f": {base}" + "".join(f".{part}" for part in parts[2:])
    given = error.get("input")
    if error["type"] != "value_error" and not isinstance(given, Mapping):
        message = f"{message[0].lower()}{message[1:]}, got {given!r}"
    return one_line(f"{FILE}: {location}: {message}" if location else f"{FILE}: {message}")
