"""A graph of a few lines over time, as SVG."""

from __future__ import annotations

import time
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

COLORS = ("#1f77b4", "#ff7f0e", "#2ca02c", "#d62728", "#9467bd", "#8c564b")
WIDTH, LEFT, BOTTOM = 420, 40, 18


@dataclass(frozen=True, slots=True)
class Line:
    label: str
    points: Sequence[tuple[float, float]]
    """(second, value)."""
    color: str = ""


def graph(lines: Sequence[Line], begin: float, end: float, height: int) -> str:
    """All lines share one axis, which begins at 0."""
    top = max((value for line in lines for _, value in line.points), default=0) or 1
    floor = height - BOTTOM

    def place(at: float, value: float) -> str:
        x = LEFT + (WIDTH - LEFT) * (at - begin) / (end - begin)
        return f"{x:.1f},{floor - (floor - 8) * value / top:.1f}"

    drawn, legend = [], []
    for n, line in enumerate(lines):
        color = line.color or COLORS[n % len(COLORS)]
        points = [place(at, value) for at, value in line.points]
        drawn.append(f'<polyline points="{" ".join(points)}" fill="none" stroke="{color}"/>')
        for point in points:
            x, y = point.split(",")
            drawn.append(f'<circle cx="{x}" cy="{y}" r="2" fill="{color}"/>')
        last = f": {line.points[-1][1]:.3g}" if line.points else ""
        legend.append(f'<span style="color:{color}">● {escape(line.label)}{last}</span>')
    labels = "".join(
        f'<text x="{x}" y="{y}" text-anchor="{anchor}">{text}</text>'
        for x, y, anchor, text in (
            (LEFT - 4, 12, "end", f"{top:.3g}"),
            (LEFT - 4, floor, "end", "0"),
            (LEFT, height - 4, "start", _clock(begin)),
            (WIDTH, height - 4, "end", _clock(end)),
        )
    )
    axis = f'<path d="M{LEFT},8V{floor}H{WIDTH}" fill="none" stroke="currentColor" opacity=".3"/>'
    svg = f'<svg viewBox="0 0 {WIDTH} {height}" width="100%">{axis}{"".join(drawn)}{labels}</svg>'
    return f'{svg}<div class="legend">{" ".join(legend)}</div>'


def _clock(at: float) -> str:
    return time.strftime("%H:%M", time.gmtime(at))
