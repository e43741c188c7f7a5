"""One clear line for a person, instead of a traceback, where the cause is the input and not the code."""

import os
import sys
from collections.abc import Callable


class StudyError(Exception):
    """A condition that a user can mend. The message says what happened, where, and what to do."""


def run_main(main: Callable[[], None]) -> None:
    """Run a script's `main`; a `StudyError` becomes one line on standard error and exit status 1.

    Set `NLI_TRACEBACK=1` to see the whole traceback of a `StudyError` as well.
    """
    try:
        main()
    except StudyError as error:
        if os.environ.get("NLI_TRACEBACK"):
            raise
        print(f"error: {error}", file=sys.stderr)
        sys.exit(1)
