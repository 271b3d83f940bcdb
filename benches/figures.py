"""The result of a bench: samples, their median and quartiles, and the target for the median."""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Figure:
    """One figure, with a sample per round. `most` or `least` is its target; without either, it is informational."""

    name: str
    unit: str
    samples: list[float]
    most: float | None = None
    least: float | None = None

    @property
    def median(self) -> float:
        return statistics.median(self.samples)

    @property
    def spread(self) -> tuple[float, float]:
        """The lower and upper quartile; for a single sample, that sample twice."""
        if len(self.samples) < 2:
            return self.samples[0], self.samples[0]
        low, _, high = statistics.quantiles(self.samples, n=4, method="inclusive")
        return low, high

    @property
    def is_met(self) -> bool | None:
        if self.most is not None:
            return self.median <= self.most
        return self.median >= self.least if self.least is not None else None

    @property
    def target(self) -> str:
        if self.most is not None:
            return f"at most {self.format_value(self.most)}"
        return f"at least {self.format_value(self.least)}" if self.least is not None else ""

    def format_value(self, value: float) -> str:
        digits = 0 if abs(value) >= 100 else 1 if abs(value) >= 10 else 2
        return f"{value:,.{digits}f} {self.unit}".strip()

    @classmethod
    def read(cls, stored: dict[str, Any]) -> Figure:
        return cls(**stored)


def percentile(values: list[float], share: float) -> float:
    """The value below which this share of the values lies, interpolated linearly."""
    ordered = sorted(values)
    place = share * (len(ordered) - 1)
    low = int(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (place - low)
