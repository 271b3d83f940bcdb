"""Charts as SVG documents: Altair specifications, rendered by vl-convert.

The SVG is styled by attributes only and has a transparent background, so that it fits any page. A chart is only a
picture: the page that shows one must also describe it in words and give its numbers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

# The width in pixels that the label of one year needs.
_LABEL_WIDTH = 36
_WIDEST_BAR = 32


@dataclass(frozen=True, slots=True)
class Size:
    """The size of a whole drawing in pixels, including its axes."""

    width: int
    height: int


def bars_by_year(numbers: Sequence[tuple[int, int]], size: Size, colours: Mapping[str, str]) -> str:
    """A bar chart with one bar per year, as SVG. `colours` has the keys `bars`, `lines` and `text`."""
    # Imported here because they take about 100 MB, which a process that draws nothing should not pay.
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
        # "padding" makes width and height those of the whole drawing rather than of the plot area.
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
