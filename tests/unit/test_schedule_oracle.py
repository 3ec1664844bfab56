"""The table of cron's next times, held against every second that there is: a second reading of what
each field means, which shares nothing with the product."""

import calendar
import tomllib
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from functools import cache
from itertools import islice
from pathlib import Path

import pytest

CASES = tomllib.loads((Path(__file__).parent / "next_times.toml").read_text())
del CASES["errors"]

DAY = timedelta(days=1)
LIMITS = [(0, 59), (0, 59), (0, 23), (1, 31), (1, 12), (0, 6), (1970, 2099)]
"""Of second, minute, hour, day of month, month, day of week and year."""
MONTHS = {name.lower(): n for names in (calendar.month_name, calendar.month_abbr)
          for n, name in enumerate(names) if name}  # fmt: skip
WEEKDAYS = {name.lower(): (n + 1) % 7 for names in (calendar.day_name, calendar.day_abbr)
            for n, name in enumerate(names)}  # fmt: skip


NAMES = {4: MONTHS, 5: WEEKDAYS}


def number(text: str, field: int) -> int:
    names = NAMES.get(field, {})
    return names[text] if text in names else int(text)


@cache
def values(text: str, field: int) -> frozenset[int]:
    """`*`, `?`, `a`, `a-b`, and each with a step, in a list."""
    low, high = LIMITS[field]
    found: set[int] = set()
    for item in text.replace("?", "*").split(","):
        span, _, step = item.partition("/")
        first, _, last = span.partition("-")
        start = low if first == "*" else number(first, field)
        alone = start if not step and first != "*" else high
        found |= set(range(start, (number(last, field) if last else alone) + 1, int(step or 1)))
    return frozenset(found)


@cache
def days_of(year: int, month: int) -> list[date]:
    return [date(year, month, n + 1) for n in range(calendar.monthrange(year, month)[1])]


def fits_day_of_month(day: date, item: str) -> bool:
    days = days_of(day.year, day.month)
    workdays = [each for each in days if each.weekday() < 5]
    if item == "l":
        return (day + DAY).month != day.month
    if item == "lw":
        return day == workdays[-1]
    if item.endswith("w"):  # the workday next to it, in the same month
        wanted = int(item[:-1])
        exists = wanted <= len(days)
        return exists and day == min(workdays, key=lambda each: abs(each.day - wanted))
    return day.day in values(item, 3)


def fits_day_of_week(day: date, item: str) -> bool:
    own = day.isoweekday() % 7
    weekday, _, nth = item.partition("#")
    if nth:
        return own == number(weekday, 5) % 7 and (day.day - 1) // 7 + 1 == int(nth)
    if item.endswith("l"):
        return own == number(item[:-1], 5) % 7 and (day + 7 * DAY).month != day.month
    return own in {each % 7 for each in values(item, 5)}


def occurrences(expression: str, after: datetime) -> Iterator[datetime]:
    """All times of seven fields after an instant, in order."""
    texts = expression.lower().split()
    second, minute, hour, month, year = (sorted(values(texts[n], n)) for n in (0, 1, 2, 4, 6))
    in_month, in_week = ([] if text in "*?" else text.split(",") for text in (texts[3], texts[5]))
    days = (day for y in year if y >= after.year for m in month for day in days_of(y, m))
    for day in days:
        if in_month or in_week:
            fits = any(fits_day_of_month(day, item) for item in in_month)
            if not fits and not any(fits_day_of_week(day, item) for item in in_week):
                continue
        if day >= after.date():
            midnight = datetime(day.year, day.month, day.day, tzinfo=UTC)
            times = (midnight.replace(hour=h, minute=m, second=s)
                     for h in hour for m in minute for s in second)  # fmt: skip
            yield from (at for at in times if at > after)


MEANS = {
    # A descriptor stands alone; what follows it is not read.
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@hourly": "0 * * * *",
    " @daily ": "0 0 * * *",
    "@hourly 1 2 3": "0 * * * *",
    "@daily @hourly": "0 0 * * *",
    "@daily 5 ": "0 0 * * *",
    # More than seven fields: the others are not read.
    "0 0 6 * * Mon 2030 and more": "0 0 6 * * Mon 2030",
    "0 0 6 L * * 2028 7": "0 0 6 L * * 2028",
    # Sunday is 0, as the end of a range too: a range up to Sunday falls, ends on Saturday.
    "0 12 * * 5-7": "0 12 * * 5,6",
    "0 12 * * 6-7": "0 12 * * 6",
    "0 12 * * mon-sun": "0 12 * * 1,2,3,4,5,6",
    # A range from Sunday to Sunday is the whole week.
    "0 12 * * 7-7": "0 12 * * *",
    "0 12 * * 0-0": "0 12 * * *",
    "0 12 * * 7-3": "0 12 * * 0-3",
    "0 12 * * 7/3": "0 12 * * 0/3",
    # A star in a list makes the field unrestricted, so that only the other field of days counts.
    "0 12 1,* * 1": "0 12 * * 1",
    "0 12 *,1 * 1": "0 12 * * 1",
    "0 12 1 * *,1": "0 12 1 * *",
    "0 12 1 * 1,?": "0 12 1 * *",
    "*,x * * * *": "* * * * *",
    # Nothing between commas is nothing.
    "0 12 ,1,,5, * *": "0 12 1,5 * *",
}
"""What an expression with a peculiarity of CTS's library means, in plain words of cron."""


def seven_fields(expression: str) -> str:
    fields = MEANS.get(expression, expression).split()
    return " ".join(fields if len(fields) == 7 else ["0", *fields, *["*"] * (6 - len(fields))])


@pytest.mark.parametrize(
    "after",
    [pytest.param(after, marks=[pytest.mark.slow] if len(CASES[after]) > 10 else [])
     for after in CASES],
)  # fmt: skip
def test_a_look_at_each_day_and_second_finds_the_times_of_the_table(after: str) -> None:
    start = datetime.fromisoformat(after).replace(tzinfo=UTC)
    for expression, listed in CASES[after].items():
        found = islice(occurrences(seven_fields(expression), start), 3)
        texts = [f"{at:%Y-%m-%d %H:%M:%S}" for at in found]
        shown = [text.removesuffix(":00").removesuffix(" 00:00") for text in texts]
        assert (", ".join(shown) or "never") == listed, expression


def test_each_expression_with_a_peculiarity_is_in_the_table() -> None:
    assert not MEANS.keys() - {each for table in CASES.values() for each in table}
