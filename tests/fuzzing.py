"""Settings and generators of the property-based tests. `NLI_FUZZ=10000 pytest -k fuzz` runs so many of each."""

import os
from collections.abc import Callable
from typing import Any

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st

from nli.base.errors import StudyError

EXTENDED = os.environ.get("NLI_FUZZ")
QUIET = (HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much)


def cases(usual: int) -> settings:
    """Settings for `usual` cases, the same ones in every run; or for NLI_FUZZ new ones."""
    number = int(EXTENDED) if EXTENDED else usual
    return settings(
        max_examples=number,
        deadline=None,
        database=None,
        derandomize=not EXTENDED,
        phases=(Phase.explicit, Phase.generate, Phase.shrink),
        suppress_health_check=QUIET,
    )


SIGNS = [
    "",
    " ",
    "\n",
    "\t",
    "\0",
    "\x1b",
    "\u2028",
    "\ud800",
    "﻿",
    "{",
    "}",
    "{label}",
    "{premise}",
    "$",
    "\\",
    "'",
    '"',
]
SIGNS += [
    "../",
    "/",
    "~",
    "-x",
    "--",
    "é",
    "e\u0301",
    "İ",
    "ſ",
    "K",
    "ß",
    "中",
    "🎉",
    "1e999",
    "nan",
    "null",
    "No",
    "*",
]
TEXTS = st.lists(st.sampled_from(SIGNS) | st.text(max_size=6), max_size=4).map("".join)
NUMBERS = st.integers() | st.floats() | st.sampled_from([0, -1, 1, 2**31, 2**32, 2**63, 10**70, 1e308, float("inf")])
SCALARS = st.none() | st.booleans() | NUMBERS | TEXTS
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS | st.integers() | st.none(), inner, max_size=3),
    max_leaves=5,
)


def refused(where: str, run: Callable[..., Any], *arguments: Any) -> tuple[bool, Any]:
    """Whether `run` refuses its arguments, in lines that start with `where`; and else what it returns."""
    try:
        return False, run(*arguments)
    except StudyError as error:
        wrong = [line for line in str(error).splitlines() if not line.startswith(where)]
        assert not wrong, wrong
        return True, None
