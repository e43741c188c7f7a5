"""One clear line instead of a traceback when the input is wrong and not the code."""

import errno
import os
import sys
from collections.abc import Callable

from nli.base.limits import time_limit


class StudyError(Exception):
    """A problem that a user can fix. The message says what happened, where, and what to do."""


INTERRUPTED = 130  # as a shell reports a process that Ctrl-C ended
# What a machine lacks, by the error of the system, and what to do.
FAULTS = {
    errno.ENOSPC: "free some space, then rerun",
    errno.EDQUOT: "free some space, then rerun",
    errno.EFBIG: "raise the limit on the size of files (ulimit -f), then rerun",
    errno.EROFS: "choose another `results:`, or make it writable, then rerun",
    errno.EACCES: "fix its permissions, then rerun",
    errno.EPERM: "fix its permissions, then rerun",
    errno.EMFILE: "raise the limit on open files (ulimit -n), then rerun",
}
NO_MEMORY = ("MemoryError", "OutOfMemoryError", "can't allocate memory")  # Python's; torch's on a GPU and a CPU


def fault_of_the_machine(error: BaseException) -> str | None:
    """The line for an error that is the machine's and not the code's; None for others.

    Libraries wrap the system's error in their own, or only quote it ("os error 28").
    """
    chain: BaseException | None = error
    while chain is not None:
        if any(name in f"{type(chain).__name__}: {chain}" for name in NO_MEMORY):
            detail = f" ({' '.join(str(chain).split())[:200]})" if str(chain) else ""
            return f"out of memory{detail}; end other programs, then rerun"
        number = getattr(chain, "errno", None)
        for known, advice in FAULTS.items():
            if known == number or f"(os error {known})" in str(chain):
                return f"{getattr(chain, 'filename', None) or 'a file'}: {os.strerror(known)}; {advice}"
        chain = chain.__cause__ or chain.__context__
    return None


def run_main(main: Callable[[], None]) -> None:
    """Run a script's `main` within its time limit. A `StudyError` or a fault of the machine is one line and status 1.

    Set `NLI_TRACEBACK=1` to see the full traceback as well.
    """
    try:
        with time_limit(sys.argv[0]):
            main()
    except Exception as error:
        line = str(error) if isinstance(error, StudyError) else fault_of_the_machine(error)
        if line is None or os.environ.get("NLI_TRACEBACK"):
            raise
        print(f"error: {line}", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        sys.exit(INTERRUPTED)
