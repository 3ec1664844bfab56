"""`schedule`: only time triggers the task."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import ClassVar

from cts.conditions.block import ConditionBlock, Room, Told
from cts.conditions.condition import Condition, set_fields
from cts.config.blocks.schema import option
from cts.config.rules.problem import Code, Problem
from cts.watch.happened import Happened
from cts.watch.query import View
from cts.watch.snapshot import Snapshot

LONGEST = 1_000
"""Characters of an expression."""


@dataclass(frozen=True, slots=True)
class ScheduleCondition(Condition):
    """CTS's `condition "schedule"`. It looks at no view."""

    kind: ClassVar[str] = "schedule"

    cron: str

    def __post_init__(self) -> None:
        set_fields(self, cron=" ".join(self.cron.split()))

    def views(self, first: Snapshot | None) -> tuple[View, ...]:  # noqa: ARG002
        return ()

    @property
    def events(self) -> tuple[Happened, ...]:
        return ()

    @property
    def timetable(self) -> str:
        return self.cron

    def next_tick(self, after: float) -> float | None:
        from cts.watch.schedule import parse  # most functions see no schedule

        tick = parse(self.cron).next(datetime.fromtimestamp(after, UTC))
        return tick.timestamp() if tick else None


@dataclass(frozen=True)
class ScheduleBlock(ConditionBlock):
    """`condition "schedule"`."""

    unbuffered: ClassVar[str] = "a scheduled task has no buffer period: it runs on schedule"

    cron: str = option("", required='write cron = "0 6 * * *" for every day at 06:00 UTC')

    def problems(self) -> Iterator[Problem]:
        from cts.watch.schedule import EPOCH, CronError, parse  # only who checks reads cron

        if not self.cron:
            return
        problem = self.where.problem
        if len(self.cron) > LONGEST:
            what = f"this expression has more than {LONGEST} characters"
            yield problem(Code.INVALID_CRON, what, "write a shorter one", option="cron")
            return
        fix = 'write five fields, such as "0 6 * * Mon-Fri", or @daily'
        try:
            if parse(self.cron).next(EPOCH) is None:
                what = f'"{self.cron}" never occurs'
                yield problem(Code.INVALID_CRON, what, fix, option="cron")
        except CronError as error:
            yield problem(Code.INVALID_CRON, str(error), fix, option="cron")

    def compiled(self) -> ScheduleCondition:
        return ScheduleCondition(self.cron)

    def told(self) -> Told:
        return Told(f"schedule {self.cron}")


ROOM = Room(ScheduleBlock, compiled=ScheduleCondition)
