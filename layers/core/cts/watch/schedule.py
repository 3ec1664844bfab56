"""When a scheduled task is due: cron as CTS reads it, in UTC.

Five fields: minute, hour, day of month, month, weekday. A sixth is the year. With seven the
first is the second, and what follows the seventh is ignored.
"""

import re
from calendar import monthrange
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
"""No expression means a time before it, so one without a next time here has none at all."""

ALIASES = {
    "@yearly": "0 0 0 1 1 * *",
    "@annually": "0 0 0 1 1 * *",
    "@monthly": "0 0 0 1 * * *",
    "@weekly": "0 0 0 * * 0 *",
    "@daily": "0 0 0 * * * *",
    "@hourly": "0 0 * * * * *",
}
ALIAS = re.compile("|".join(ALIASES))
FIELD = re.compile(r"[^ \t\n\f\r]+")
FEWEST_FIELDS, MOST_FIELDS = 5, 7
ITEM = re.compile(r"(?P<low>[^-/]+)(?:-(?P<high>[^-/]+))?(?:/(?P<step>[0-9]+))?")
EVERY = ("*", "?")

SUNDAY, SATURDAY = 0, 6
WEEKDAYS = ("sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday")
MONTHS = (
    "january", "february", "march", "april", "may", "june",
    "july", "august", "september", "october", "november", "december",
)  # fmt: skip

Triple = tuple[int, int, int]


class CronError(ValueError):
    """The expression is not cron; the message says where and why."""


class Month(NamedTuple):
    """A month of some year: what the two day fields need to know of it."""

    first: int
    """The weekday of its first day; Sunday is 0."""
    length: int

    @classmethod
    def of(cls, year: int, month: int) -> "Month":
        first, length = monthrange(year, month)
        return cls((first + 1) % len(WEEKDAYS), length)

    @property
    def days(self) -> range:
        return range(1, self.length + 1)

    def weekday(self, day: int) -> int:
        return (self.first + day - 1) % len(WEEKDAYS)

    def each(self, weekday: int) -> list[int]:
        return [day for day in self.days if self.weekday(day) == weekday]

    def workday(self, day: int) -> int:
        """The day from Monday to Friday that is nearest and in this month."""
        weekday = self.weekday(day)
        if weekday == SATURDAY:
            return day - 1 if day > 1 else day + 2
        if weekday == SUNDAY:
            return day + 1 if day < self.length else day - 2
        return day


Rule = Callable[[Month], Iterable[int]]
"""The days that one item of a day field allows. A day that any item of either field allows is
right; without items every day is."""


@dataclass(frozen=True, slots=True)
class Schedule:
    seconds: Sequence[int]
    minutes: Sequence[int]
    hours: Sequence[int]
    days: Sequence[Rule]
    months: Sequence[int]
    years: Sequence[int]

    def next(self, after: datetime) -> datetime | None:
        """The first time that is later than `after`; None if there is none."""
        if not (self.seconds and self.minutes and self.hours):
            return None
        start = after.astimezone(UTC).replace(microsecond=0) + timedelta(seconds=1)
        today = (start.year, start.month, start.day)
        now = (start.hour, start.minute, start.second)
        for date in self._dates(today):
            time = self._time(now if date == today else (0, 0, 0))
            if time:
                return datetime(*date, *time, tzinfo=UTC)
        return None

    def _dates(self, earliest: Triple) -> Iterator[Triple]:
        days: dict[Month, Iterable[int]] = {}  # there are 28 kinds of months
        for year in self.years:
            for month in self.months:
                if (year, month) < earliest[:2]:
                    continue
                kind = Month.of(year, month)
                if kind not in days:
                    days[kind] = self._days(kind)
                for day in days[kind]:
                    if (year, month, day) >= earliest:
                        yield year, month, day

    def _days(self, month: Month) -> Iterable[int]:
        if not self.days:
            return month.days
        return sorted({day for rule in self.days for day in rule(month)})

    def _time(self, earliest: Triple) -> Triple | None:
        for hour in self.hours:
            if hour < earliest[0]:
                continue
            for minute in self.minutes:
                if (hour, minute) < earliest[:2]:
                    continue
                for second in self.seconds:
                    if (hour, minute, second) >= earliest:
                        return hour, minute, second
        return None


@dataclass(frozen=True, slots=True)
class Field:
    """A field of an expression, and what it takes."""

    name: str
    low: int
    high: int
    names: Mapping[str, int] = field(default_factory=dict)
    digits: int = 2
    takes: str = ""
    """In words; empty: the numbers from low to high."""

    def error(self, item: str) -> CronError:
        takes = self.takes or f"{self.low} to {self.high}"
        return CronError(f"a syntax error in the {self.name} field: '{item}'; it takes {takes}")

    def items(self, text: str) -> list[str]:
        """Empty items are ignored."""
        if items := [item for item in text.split(",") if item]:
            return items
        raise self.error(text)

    def value(self, text: str, item: str) -> int:
        if (named := self.names.get(text.lower())) is not None:
            return named
        if text.isascii() and text.isdigit() and len(text) <= self.digits:
            number = int(text)
            if self.low <= number <= self.high:
                return number
        raise self.error(item)

    def span(self, item: str) -> range:
        """The values of `a`, `a-b`, `*/n`, `a/n` or `a-b/n`; none if b is before a."""
        match = ITEM.fullmatch(item)
        if not match:
            raise self.error(item)
        low, high, step = match.group("low", "high", "step")
        if low == "*" and step and not high:
            low = str(self.low)
        first = last = self.value(low, item)
        if high:
            last = self.value(high, item)
            if self is WEEKDAY and last == SUNDAY:
                last = SATURDAY  # CTS does not go round the week: `5-7` is Friday and Saturday
        elif step:
            last = self.high
        return range(first, last + 1, self.step(step, item) if step else 1)

    def step(self, text: str, item: str) -> int:
        number = int(text[:5])  # Python refuses to read thousands of digits
        if 1 <= number <= self.high:
            return number
        what = f"the step of the {self.name} field must be a number from 1 to {self.high}"
        raise CronError(f"invalid interval {item}: {what}")

    def values(self, text: str) -> Sequence[int]:
        found: set[int] = set()
        for item in self.items(text):
            if item in EVERY:
                return range(self.low, self.high + 1)
            found.update(self.span(item))
        return sorted(found)

    def rules(self, text: str, rule: Callable[[str], Rule]) -> list[Rule]:
        """None if the field restricts nothing: only a bare `*` does that, `*/1` does not."""
        found: list[Rule] = []
        for item in self.items(text):
            if item in EVERY:
                return []
            found.append(rule(item))
        return found


def _short(names: Iterable[str], start: int) -> dict[str, int]:
    """`mon` and `monday`, in any case; `tues` is nothing."""
    numbered = list(enumerate(names, start))
    return {n: number for number, name in numbered for n in (name, name[:3])}


SECOND = Field("second", 0, 59)
MINUTE = Field("minute", 0, 59)
HOUR = Field("hour", 0, 23)
DAY = Field("day-of-month", 1, 31, takes="1 to 31, L, LW, or a day such as 15W")
MONTH = Field("month", 1, 12, _short(MONTHS, 1), takes="1 to 12 or names such as jan")
# CTS reads `01` as Sunday, because it does not find that text in its list: rejected here.
WEEKDAY = Field(
    "day-of-week", SUNDAY, SATURDAY, {**_short(WEEKDAYS, SUNDAY), "7": SUNDAY}, digits=1,
    takes="0 to 7 in one digit, names such as mon, or a rule such as 5L or 2#3",
)  # fmt: skip
YEAR = Field("year", 1970, 2099, digits=4)


def _day(item: str) -> Rule:
    text = item.lower()
    if text == "l":
        return lambda month: [month.length]
    if text == "lw":
        return lambda month: [month.workday(month.length)]
    if text.endswith("w"):
        day = DAY.value(text[:-1], item)
        return lambda month: [month.workday(day)] if day <= month.length else []
    days = DAY.span(item)
    return lambda month: [day for day in days if day <= month.length]


def _weekday(item: str) -> Rule:
    text = item.lower()
    if text.endswith("l"):
        weekday = WEEKDAY.value(text[:-1], item)
        return lambda month: month.each(weekday)[-1:]
    name, has_number, number = text.partition("#")
    if has_number:
        weekday = WEEKDAY.value(name, item)
        if number not in tuple("12345"):
            raise WEEKDAY.error(item)
        nth = int(number)
        return lambda month: month.each(weekday)[nth - 1 : nth]
    weekdays = WEEKDAY.span(item)
    return lambda month: [day for day in month.days if month.weekday(day) in weekdays]


def parse(expression: str) -> Schedule:
    """Raises CronError."""
    plain = ALIAS.sub(lambda alias: ALIASES[alias.group()], expression)
    fields = FIELD.findall(plain)
    if len(fields) < FEWEST_FIELDS:
        what = f"'{expression}' is neither {FEWEST_FIELDS} to {MOST_FIELDS} fields"
        raise CronError(f"missing field(s): {what} nor one of {', '.join(ALIASES)}")
    if len(fields) < MOST_FIELDS:
        fields = ["0", *fields, "*"]
    second, minute, hour, day, month, weekday, year = fields[:MOST_FIELDS]
    return Schedule(
        seconds=SECOND.values(second),
        minutes=MINUTE.values(minute),
        hours=HOUR.values(hour),
        days=DAY.rules(day, _day) + WEEKDAY.rules(weekday, _weekday),
        months=MONTH.values(month),
        years=YEAR.values(year),
    )
