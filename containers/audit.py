"""Look the locked packages up in the advisory database: audit.py LOCK...

pip-audit asks PyPI, or what PIP_AUDIT_VULNERABILITY_SERVICE and PIP_AUDIT_OSV_URL name, such as a site's mirror. A
package that could not be looked up is a failure. An advisory that does not concern the study is listed in audit.allow
with the day on which it must be looked at again.
"""

import subprocess
import sys
from datetime import date
from pathlib import Path

ALLOWED = Path(__file__).with_name("audit.allow")


def allowed(path: Path, today: date) -> list[str]:
    """The advisories of an allow-list: lines of ID, YYYY-MM-DD and why it does not concern the study.

    Raises SystemExit for a line without one of the three, and for a day that has passed.
    """
    advisories = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        if not line.strip() or line.startswith("#"):
            continue
        try:
            advisory, day, _reason = line.split(maxsplit=2)
            passed = date.fromisoformat(day) < today
        except ValueError:
            sys.exit(f"error: {path}, line {number}: not an advisory, a day (YYYY-MM-DD) and a reason: {line}")
        if passed:
            sys.exit(f"error: {path}, line {number}: {advisory} was allowed until {day}; look at it again")
        advisories.append(advisory)
    return advisories


def main() -> None:
    ignored = [word for advisory in allowed(ALLOWED, date.today()) for word in ("--ignore-vuln", advisory)]
    failed = []
    for lock in sys.argv[1:]:
        print(lock, flush=True)
        command = ["pip-audit", "--strict", "--disable-pip", "--require-hashes", "--progress-spinner", "off"]
        if subprocess.run([*command, *ignored, "--requirement", lock]).returncode != 0:
            failed.append(lock)
    if failed:
        sys.exit(f"error: not found clean: {', '.join(failed)}; pip-audit's messages are above")


if __name__ == "__main__":
    main()
