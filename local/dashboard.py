"""The deployed dashboard as a page: its graphs from the metrics in the logs of the functions, its
alarms as CloudWatch would judge them, and the widget as its function draws it."""

from __future__ import annotations

import json
import time
from html import escape
from typing import TYPE_CHECKING, Any

from local import emf
from local.alarms import is_raised
from local.graph import Line, graph

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from local.stack import Stack

SHOWN_SECONDS = 3600
UNIT = 54
"""Pixels of a step of the dashboard's grid, across and down."""
OURS = "cts"


def resolved(metric: Sequence[Any], former: Sequence[Any]) -> list[str]:
    """A row of a graph, with CloudWatch's `.` (the same field of the row before) and `...` (all
    fields of it that are not given) filled in."""
    fields = [field for field in metric if not isinstance(field, dict)]
    if fields[0] == "...":
        return [*former[: len(former) - len(fields) + 1], *fields[1:]]
    return [former[place] if field == "." else field for place, field in enumerate(fields)]


class Dashboard:
    """What a stack's dashboard shows at the moment."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self.cloudwatch, self.functions = stack.client("cloudwatch"), stack.client("lambda")
        found = self.cloudwatch.get_dashboard(DashboardName=stack.name)
        self.widgets: list[dict[str, Any]] = json.loads(found["DashboardBody"])["widgets"]

    def html(self, theme: str = "light") -> str:
        logs = sorted((self.stack.folder / "logs").glob("*.log"))
        samples = [sample for log in logs for sample in emf.samples(log.read_text())]
        now = time.time()
        return "".join(self._framed(each, samples, now, theme) for each in self.widgets)

    def invoke(self, endpoint: str, values: Mapping[str, Any], theme: str = "light") -> str:
        """What a function of a widget or button returns. Raises ValueError for other functions."""
        name = endpoint.rpartition(":")[2]
        if name not in (f"{self.stack.name}-widget", f"{self.stack.name}-button"):
            raise ValueError(f"{endpoint} is neither the widget nor its buttons")
        event = {**values, "widgetContext": {"theme": theme}}
        answer = self.functions.invoke(FunctionName=name, Payload=json.dumps(event).encode())
        said = json.loads(answer["Payload"].read())
        return said if isinstance(said, str) else f"<pre>{escape(json.dumps(said))}</pre>"

    def _framed(
        self, widget: Mapping[str, Any], samples: list[emf.Sample], now: float, theme: str
    ) -> str:
        properties = widget["properties"]
        match widget["type"]:
            case "alarm":
                inside = self._alarms(samples, now)
            case "custom":
                inside = self.invoke(properties["endpoint"], properties["params"], theme)
            case _:
                inside = _graph(properties, samples, now, widget["height"])
        place = (
            f"grid-column:{widget['x'] + 1}/span {widget['width']};"
            f"grid-row:{widget['y'] + 1}/span {widget['height']}"
        )
        title = escape(properties["title"])
        return f'<section style="{place}"><h2>{title}</h2><div>{inside}</div></section>'

    def _alarms(self, samples: list[emf.Sample], now: float) -> str:
        found = self.cloudwatch.describe_alarms()["MetricAlarms"]
        return "".join(_alarm(each, samples, now) for each in found)


def _alarm(alarm: Mapping[str, Any], samples: Iterable[emf.Sample], now: float) -> str:
    """One that looks at AWS's own metrics has no data here."""
    dimensions = {each["Name"]: each["Value"] for each in alarm["Dimensions"]}
    word, series = (
        "only in AWS",
        emf.series(samples, alarm["Namespace"], alarm["MetricName"], dimensions),
    )
    if alarm["Namespace"] == OURS:
        word = "ALARM" if is_raised(alarm, sorted(series), now) else "OK"
    name, said = escape(alarm["AlarmName"]), escape(alarm["AlarmDescription"])
    return f'<span class="alarm {word.split()[0]}" title="{said}">{name}: {word}</span>'


def _graph(
    properties: Mapping[str, Any], samples: list[emf.Sample], now: float, height: int
) -> str:
    lines: list[Line] = []
    row: list[str] = []
    for metric in properties["metrics"]:
        row = resolved(metric, row)
        options = metric[-1] if isinstance(metric[-1], dict) else {}
        if row[0] != OURS:
            continue
        stat = options.get("stat", properties.get("stat", "Sum"))
        dimensions = dict(zip(row[2::2], row[3::2], strict=True))
        values = emf.series(samples, row[0], row[1], dimensions)
        points = binned(values, properties["period"], stat, now)
        lines.append(Line(options.get("label", row[1]), points, options.get("color", "")))
    only = "" if lines else "<p>These are metrics of AWS, which are not made here.</p>"
    return only or graph(lines, now - SHOWN_SECONDS, now, height * UNIT - 70)


def binned(
    values: Iterable[tuple[float, float]], period: int, stat: str, now: float
) -> list[tuple[float, float]]:
    """The statistic of each period of the shown time that has values."""
    bins: dict[int, list[float]] = {}
    for at, value in values:
        if now - SHOWN_SECONDS <= at <= now:
            bins.setdefault(int(at // period), []).append(value)
    return [(n * period, emf.STATISTICS[stat](found)) for n, found in sorted(bins.items())]
