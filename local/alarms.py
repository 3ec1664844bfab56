"""CloudWatch's rules for alarms on one metric, as AWS documents them.

Each minute an alarm looks at the last `EvaluationPeriods` windows of `Period` seconds, which move
along with it. Where samples are missing it looks further back; only if there are still too few, the
missing ones are filled in as `TreatMissingData` says.
"""

import operator
from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from local.emf import STATISTICS

MINUTE = 60
FURTHER = 2
"""Windows that are fetched in addition to those evaluated, as in AWS's examples."""
COMPARISONS: Mapping[str, Callable[[float, float], bool]] = {
    "GreaterThanThreshold": operator.gt,
    "GreaterThanOrEqualToThreshold": operator.ge,
    "LessThanThreshold": operator.lt,
}
Series = Iterable[tuple[float, float]]
"""(second, value) of each sample."""


@dataclass(frozen=True, slots=True)
class Changes:
    """The minutes at which an alarm changed its state. It begins as OK."""

    raised: list[int]
    ended: list[int]


def watch(alarm: Mapping[str, Any], series: Series, minutes: int) -> Changes:
    """What an alarm of the template makes of these samples."""
    samples = sorted(series)
    changes = Changes([], [])
    alarmed = False
    for minute in range(1, minutes + 1):
        former, alarmed = alarmed, is_raised(alarm, samples, minute * MINUTE)
        if alarmed != former:
            (changes.raised if alarmed else changes.ended).append(minute)
    return changes


def is_raised(alarm: Mapping[str, Any], samples: Sequence[tuple[float, float]], now: float) -> bool:
    """`samples`: sorted."""
    periods = alarm["EvaluationPeriods"]
    compare = COMPARISONS[alarm["ComparisonOperator"]]
    windows = (_window(alarm, samples, now, back) for back in range(periods + FURTHER))
    breaching = [compare(value, alarm["Threshold"]) for value in windows if value is not None]
    missing = [alarm["TreatMissingData"] == "breaching"] * max(0, periods - len(breaching))
    decided = sum((breaching + missing)[:periods])
    return bool(decided >= alarm.get("DatapointsToAlarm", periods))


def _window(
    alarm: Mapping[str, Any], samples: Sequence[tuple[float, float]], now: float, back: int
) -> float | None:
    """The statistic over one window; None if nothing was counted in it."""
    end = now - back * alarm["Period"]
    first, last = bisect_left(samples, (end - alarm["Period"],)), bisect_left(samples, (end,))
    values = [value for _, value in samples[first:last]]
    return STATISTICS[alarm["Statistic"]](values) if values else None
