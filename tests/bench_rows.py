"""What the benchmarks share: programs that do the same work in turn, and the rows of docs/benchmarks.md."""

import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    """How many times as fast a program is as its baseline, over several runs in turn."""

    work: str
    program: str
    baseline: str
    ratios: list[float]
    note: str = ""

    def markdown(self) -> str:
        middle, low, high = statistics.median(self.ratios), min(self.ratios), max(self.ratios)
        cells = (self.work, self.program, self.baseline, f"{middle:.2f} ({low:.2f} to {high:.2f})", self.note)
        return f"| {' | '.join(cells)} |"


HEADER = ["| work | program | baseline | times as fast: median (range) | |", "|---|---|---|---:|---|"]


def seconds(program: Callable[[], object]) -> float:
    """Wall time of one call."""
    started = time.perf_counter()
    program()
    return time.perf_counter() - started


def compare(
    work: str,
    programs: dict[str, Callable[[], float]],
    pairs: list[tuple[str, str]],
    repetitions: int,
    note: Callable[[], str] = str,
) -> Iterator[Row]:
    """Run all programs in turn, `repetitions` times.

    Args:
        programs: name -> the program, which returns its time.
        pairs: (program, baseline), a row for each.
        note: called after the last run; e.g. by how much the results differ.
    """
    times: dict[str, list[float]] = {name: [] for name in programs}
    for _ in range(repetitions):
        for name, program in programs.items():
            times[name].append(program())
    for program, baseline in pairs:
        ratios = [base / own for own, base in zip(times[program], times[baseline], strict=True)]
        yield Row(work, program, baseline, ratios, note())
