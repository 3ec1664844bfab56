"""Metrics in the logs of functions, in CloudWatch's embedded metric format. The emulator keeps the
lines as text only."""

from __future__ import annotations

import json
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

STATISTICS: Mapping[str, Callable[[Sequence[float]], float]] = {
    "Sum": sum,
    "SampleCount": len,
    "Minimum": min,
    "Maximum": max,
    "p50": median,
}


@dataclass(frozen=True, slots=True)
class Sample:
    """One value of a metric."""

    at: float
    """Seconds since the epoch."""
    namespace: str
    name: str
    dimensions: Mapping[str, str]
    value: float


def samples(log: str) -> Iterator[Sample]:
    """All values in a log, in the order of its lines. Other lines are skipped."""
    for line in log.splitlines():
        document = _document(line[line.find("{") :]) if '"_aws"' in line else {}
        if "_aws" in document:
            yield from _of(document)


def _document(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except ValueError:  # a line that was cut off
        return {}
    return found if isinstance(found, dict) else {}


def _of(document: Mapping[str, Any]) -> Iterator[Sample]:
    at = document["_aws"]["Timestamp"] / 1000
    for directive in document["_aws"]["CloudWatchMetrics"]:
        for names in directive["Dimensions"]:
            dimensions = {name: str(document[name]) for name in names}
            for metric in directive["Metrics"]:
                values = document[metric["Name"]]
                for value in values if isinstance(values, list) else [values]:
                    yield Sample(at, directive["Namespace"], metric["Name"], dimensions, value)


def series(
    found: Iterable[Sample], namespace: str, name: str, dimensions: Mapping[str, str]
) -> list[tuple[float, float]]:
    """(second, value) of one metric: only what has exactly these dimensions counts."""
    return [
        (each.at, each.value)
        for each in found
        if (each.namespace, each.name, each.dimensions) == (namespace, name, dimensions)
    ]
