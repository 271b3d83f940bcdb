"""Numbers drawn as SVG documents: Altair specifications, rendered by vl-convert.

The drawings carry no styles but attributes, and no background, so that they fit any page. They are pictures: whoever
shows one says in words what it shows, and gives its numbers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

# Labels of years stand side by side from this width on each.
_LABEL_WIDTH = 36
_WIDEST_BAR = 32


@dataclass(frozen=True, slots=True)
class Size:
    """In pixels, with the axes."""

    width: int
    height: int


def bars_by_year(numbers: Sequence[tuple[int, int]], size: Size, colours: Mapping[str, str]) -> str:
    """One bar a year. `colours` are those of bars, lines and text, by these names."""
    # Both take a hundred megabytes: a process that draws nothing does without.
    import altair
    import vl_convert

    shown = len(numbers) * _LABEL_WIDTH // size.width + 1
    years = altair.X(
        "year:O",
        title=None,
        axis=altair.Axis(labelAngle=0, ticks=False, values=[str(year) for year, _ in numbers[::-1][::shown]]),
    )
    most = max((number for _, number in numbers), default=0)
    incidents = altair.Y(
        "incidents:Q",
        title=None,
        scale=altair.Scale(domainMin=0),
        axis=altair.Axis(tickMinStep=1, tickCount=min(most, 4), domain=False, ticks=False, format="d"),
    )
    chart = (
        altair.Chart(altair.Data(values=[{"year": str(year), "incidents": number} for year, number in numbers]))
        .mark_bar(color=colours["bars"], size=min(_WIDEST_BAR, size.width * 0.75 / max(len(numbers), 1)))
        .encode(x=years, y=incidents)
        # Width and height are those of the whole drawing.
        .properties(
            width=size.width, height=size.height, autosize=altair.AutoSizeParams(type="fit", contains="padding")
        )
        .configure(background="transparent", font="sans-serif", padding=2)
        .configure_view(stroke=None)
        .configure_axis(
            labelColor=colours["text"],
            labelFontSize=12,
            gridColor=colours["lines"],
            domainColor=colours["lines"],
            labelPadding=6,
        )
    )
    specification: dict[str, Any] = chart.to_dict()
    return str(vl_convert.vegalite_to_svg(specification))
