"""Write metrics, at once. Announcements are counted after sending them and before recording that,
so that none is missed; if a function dies in between, they are sent and counted twice."""

from collections.abc import Iterable
from typing import Protocol

Counted = tuple[str, str, float]
"""A metric's name, unit and value."""


class Metrics(Protocol):
    def add_metric(self, name: str, unit: str, value: float) -> None: ...
    def flush_metrics(self) -> None: ...


def count(metrics: Metrics, counted: Iterable[Counted]) -> None:
    found = list(counted)
    for name, unit, value in found:
        metrics.add_metric(name, unit, value)
    if found:
        metrics.flush_metrics()
