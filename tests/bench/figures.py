"""What was measured, and the table it is printed as.

Rule: every figure stands beside the floor that was measured in the same run, turn by turn with it, so that a
slow or busy machine slows both. Only what is promised in seconds is judged in seconds.
"""

from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass
from statistics import quantiles
from typing import Final, Literal

Unit = Literal["ms", "/s"]

HEADER: Final = ("figure", "ours", "floor", "ratio", "target", "")


def p(percent: int, samples: Sequence[float]) -> float:
    """The percentile of `samples`, between neighbours where it falls between them."""
    return quantiles(samples, n=100, method="inclusive")[percent - 1] if len(samples) > 1 else samples[0]


def p50(samples: Sequence[float]) -> float:
    """The median."""
    return p(50, samples)


@dataclass(frozen=True, slots=True)
class Figure:
    """One line of the table; `ours` and `floor` in seconds, or in how many a second.

    The target is one of `most_ratio`, `most_extra` (seconds above the floor) and `most` (seconds); a figure
    with none of them only informs.
    """

    name: str
    ours: float
    floor: float
    floor_is: str
    _: KW_ONLY
    unit: Unit = "ms"
    most_ratio: float | None = None
    most_extra: float | None = None
    most: float | None = None

    def cells(self) -> tuple[str, ...]:
        """What the line says, by column."""
        return (
            self.name,
            self._shown(self.ours),
            f"{self._shown(self.floor)} ({self.floor_is})",
            f"{self.ours / self.floor:.2f}x",
            self._target(),
            self._verdict(),
        )

    def _shown(self, value: float) -> str:
        return f"{value:,.0f} /s" if self.unit == "/s" else f"{value * 1000:,.1f} ms"

    def _target(self) -> str:
        if self.most_ratio is not None:
            return f"<= {self.most_ratio:g}x"
        if self.most_extra is not None:
            return f"<= floor + {self.most_extra * 1000:g} ms"
        return f"<= {self.most * 1000:,.0f} ms" if self.most is not None else ""

    def _verdict(self) -> str:
        if self.most_ratio is not None:
            within = self.ours <= self.most_ratio * self.floor
        elif self.most_extra is not None:
            within = self.ours <= self.floor + self.most_extra
        elif self.most is not None:
            within = self.ours <= self.most
        else:
            return ""
        return "within" if within else "beyond"


def table(figures: Sequence[Figure]) -> str:
    """All lines, in columns."""
    rows = [HEADER, *(figure.cells() for figure in figures)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEADER))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows]
    lines.insert(1, "  ".join("-" * width for width in widths))
    return "\n".join(line.rstrip() for line in lines)
