"""One clear line instead of a traceback when the input is wrong and not the code."""

import os
import sys
from collections.abc import Callable


class StudyError(Exception):
    """A problem that a user can fix. The message says what happened, where, and what to do."""


def run_main(main: Callable[[], None]) -> None:
    """Run a script's `main`; a `StudyError` becomes one line on standard error and exit status 1.

    Set `NLI_TRACEBACK=1` to see the full traceback of a `StudyError` as well.
    """
    try:
        main()
    except StudyError as error:
        if os.environ.get("NLI_TRACEBACK"):
            raise
        print(f"error: {error}", file=sys.stderr)
        sys.exit(1)
