"""Cron, as CTS reads it."""

import re
import tomllib
from contextlib import suppress
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from cts.watch.schedule import EPOCH, CronError, Month, parse

START = datetime(2026, 3, 1, 10, tzinfo=UTC)  # a Sunday


def times(expression: str, after: datetime = START, count: int = 3) -> list[str]:
    """The next times; midnight is a date alone, and seconds are left out if there are none."""
    schedule = parse(expression)
    found: list[str] = []
    at = schedule.next(after)
    while at and len(found) < count:
        found.append(f"{at:%Y-%m-%d %H:%M:%S}".removesuffix(":00").removesuffix(" 00:00"))
        at = schedule.next(at)
    return found


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        pytest.param(expression, [time for time in expected.split(", ") if time], id=case)
        for case, expression, expected in [
            ("C-123", "@hourly", "2026-03-01 11:00, 2026-03-01 12:00, 2026-03-01 13:00"),
            ("C-123c", "0 0 6 * * Mon 2030 extra",
             "2030-01-07 06:00, 2030-01-14 06:00, 2030-01-21 06:00"),
            ("C-123d", "0 6 LW * 5L", "2026-03-27 06:00, 2026-03-31 06:00, 2026-04-24 06:00"),
            ("yearly", "@yearly", "2027-01-01, 2028-01-01, 2029-01-01"),
            ("annually", "@annually", "2027-01-01, 2028-01-01, 2029-01-01"),
            ("monthly", "@monthly", "2026-04-01, 2026-05-01, 2026-06-01"),
            ("alias-is-text", " @daily 1 2 3", "2026-03-02, 2026-03-03, 2026-03-04"),
            ("leap-day", "0 0 29 2 *", "2028-02-29, 2032-02-29, 2036-02-29"),
            ("leap-day-workday", "0 0 29W 2 *", "2028-02-29, 2032-02-27, 2036-02-29"),
            ("end-of-february", "0 0 L 2 *", "2027-02-28, 2028-02-29, 2029-02-28"),
            ("30-days-only", "0 0 31 4,6,9,11 *", ""),
            ("year-end", "59 59 23 31 12 * *",
             "2026-12-31 23:59:59, 2027-12-31 23:59:59, 2028-12-31 23:59:59"),
            ("each-second", "* * * * * * *",
             "2026-03-01 10:00:01, 2026-03-01 10:00:02, 2026-03-01 10:00:03"),
            ("fifth-of-its-kind", "0 0 * * mon#5", "2026-03-30, 2026-06-29, 2026-08-31"),
            ("last-sunday", "0 0 * * SUNDAYl", "2026-03-29, 2026-04-26, 2026-05-31"),
            ("last-in-any-case", "0 0 lw,3w * *", "2026-03-03, 2026-03-31, 2026-04-03"),
            ("whole-week", "0 0 * * sun-sun", "2026-03-02, 2026-03-03, 2026-03-04"),
            ("from-sunday", "0 0 * * 7-1", "2026-03-02, 2026-03-08, 2026-03-09"),
            ("each-second-day", "0 0 * * 7/2", "2026-03-03, 2026-03-05, 2026-03-07"),
            ("falling-weekdays", "0 0 * * fri-mon", ""),
            ("falling-months", "0 0 1 dec-feb *", ""),
            ("falling-range-or-other", "0 22-2,5 * * *",
             "2026-03-02 05:00, 2026-03-03 05:00, 2026-03-04 05:00"),
            ("either-day-field", "0 0 30 2 1", "2027-02-01, 2027-02-08, 2027-02-15"),
            ("star-in-a-list", "0 0 15,* * 1", "2026-03-02, 2026-03-09, 2026-03-16"),
            ("empty-items", ",1,,3, * * * *",
             "2026-03-01 10:01, 2026-03-01 10:03, 2026-03-01 11:01"),
            ("blanks", " 0\t6 *\n* * ", "2026-03-02 06:00, 2026-03-03 06:00, 2026-03-04 06:00"),
            ("years", "0 0 1 1 * 2040,2030/50", "2030-01-01, 2040-01-01, 2080-01-01"),
            ("last-year", "0 0 31 12 * 2098-2099", "2098-12-31, 2099-12-31"),
            ("past-year", "* * * * * 1970-2025", ""),
        ]
    ],
)  # fmt: skip
def test_next_times(expression: str, expected: list[str]) -> None:
    assert times(expression) == expected


CASES = tomllib.loads((Path(__file__).parent / "next_times.toml").read_text())
REFUSED = CASES.pop("errors")


@pytest.mark.parametrize("after", CASES)
def test_the_next_times_are_those_of_cts(after: str) -> None:
    start = datetime.fromisoformat(after).replace(tzinfo=UTC)
    found = {text: ", ".join(times(text, start)) or "never" for text in CASES[after]}
    assert found == CASES[after]


def test_what_cts_refuses_is_refused() -> None:
    for expression, said in REFUSED.items():
        with pytest.raises(CronError, match=re.escape(said)):
            parse(expression)


@pytest.mark.parametrize(
    ("after", "expected"),
    [
        pytest.param(datetime(2026, 3, 1, 6, tzinfo=UTC), "2026-03-02 06:00", id="never-itself"),
        pytest.param(
            datetime(2026, 3, 1, 5, 59, 59, 999_999, tzinfo=UTC), "2026-03-01 06:00", id="fraction"
        ),
        pytest.param(
            datetime(2026, 3, 1, 7, tzinfo=timezone(timedelta(hours=2))),
            "2026-03-01 06:00",
            id="another-time-zone",
        ),
        pytest.param(datetime(1900, 1, 1, tzinfo=UTC), "1970-01-01 06:00", id="before-all"),
        pytest.param(datetime(2100, 1, 1, tzinfo=UTC), None, id="after-all"),
    ],
)
def test_after_an_instant(after: datetime, expected: str | None) -> None:
    assert times("0 6 * * *", after, count=1) == ([expected] if expected else [])


@pytest.mark.parametrize(
    ("expression", "said"),
    [
        pytest.param("", "missing field(s)", id="empty"),
        pytest.param("* * *", "missing field(s)", id="C-121"),
        pytest.param("61 * * * *", "a syntax error in the minute field: '61'", id="C-122"),
        pytest.param("@every 5m", "missing field(s)", id="C-123b"),
        pytest.param("@midnight", "missing field(s)", id="midnight"),
        pytest.param("@Daily", "missing field(s)", id="an-alias-has-small-letters"),
        pytest.param("0 6 * * * 2100", "a syntax error in the year field: '2100'", id="C-123e"),
        pytest.param("*/0 * * * *", "invalid interval */0", id="C-225"),
        pytest.param("*/70 * * * *", "invalid interval */70", id="C-225-above"),
        pytest.param(f"*/{'9' * 5000} * * * *", "invalid interval */9", id="a-huge-step"),
        pytest.param("0 0 * * 1-7/7", "invalid interval 1-7/7", id="a-step-above-saturday"),
        pytest.param("60 * * * * * *", "second field: '60'", id="second"),
        pytest.param("0 24 * * *", "hour field: '24'", id="hour"),
        pytest.param("0 0 32 * *", "day-of-month field: '32'", id="day"),
        pytest.param("0 0 0W * *", "day-of-month field: '0W'", id="no-such-day-to-be-near-to"),
        pytest.param("0 0 L-3 * *", "day-of-month field: 'L-3'", id="before-the-last"),
        pytest.param("0 0 1 janu *", "month field: 'janu'", id="month"),
        pytest.param("0 0 * * tues", "day-of-week field: 'tues'", id="weekday"),
        pytest.param("0 0 * * 01", "day-of-week field: '01'", id="a-weekday-of-two-digits"),
        pytest.param("0 0 * * L", "day-of-week field: 'L'", id="the-last-of-no-weekday"),
        pytest.param("0 0 * * 1#6", "day-of-week field: '1#6'", id="sixth-of-its-kind"),
        pytest.param("5,a,7 * * * *", "minute field: 'a'", id="only-the-wrong-item"),
        pytest.param("005 * * * *", "minute field: '005'", id="three-digits"),
        pytest.param("\u0665 * * * *", "minute field: '\u0665'", id="other-digits"),
        pytest.param("1-2-3 * * * *", "minute field: '1-2-3'", id="a-range-of-three"),
        pytest.param("5- * * * *", "minute field: '5-'", id="half-a-range"),
        pytest.param("*-5 * * * *", "minute field: '*-5'", id="a-range-from-all"),
        pytest.param("?/5 * * * *", "minute field: '?/5'", id="a-step-of-a-question-mark"),
        pytest.param("*/ * * * *", "minute field: '*/'", id="no-step"),
        pytest.param(", * * * *", "minute field: ','", id="nothing-but-a-comma"),
    ],
)
def test_it_is_said_what_is_wrong_and_where(expression: str, said: str) -> None:
    with pytest.raises(CronError) as raised:
        parse(expression)
    assert said in str(raised.value)


# What a field may hold, as text and as the set of values that it means.
Meaning = tuple[str, set[int]]


def fields(low: int, high: int) -> st.SearchStrategy[Meaning]:
    value = st.integers(low, high)
    item = st.one_of(
        value.map(lambda a: (f"{a}", {a})),
        st.tuples(value, value).map(lambda r: (f"{r[0]}-{r[1]}", set(range(r[0], r[1] + 1)))),
        st.integers(1, high).map(lambda n: (f"*/{n}", set(range(low, high + 1, n)))),
        st.tuples(value, st.integers(1, high)).map(
            lambda r: (f"{r[0]}/{r[1]}", set(range(r[0], high + 1, r[1])))
        ),
    )
    return st.lists(item, min_size=1, max_size=3).map(
        lambda items: (",".join(text for text, _ in items), set().union(*(v for _, v in items)))
    )


def or_any(low: int, high: int) -> st.SearchStrategy[Meaning]:
    return st.one_of(st.just(("*", set(range(low, high + 1)))), fields(low, high))


ANY_DAY: Meaning = ("*", set())


@pytest.mark.slow
@given(
    minute=or_any(0, 59),
    hour=or_any(0, 23),
    day=st.one_of(st.just(ANY_DAY), fields(1, 31)),
    month=or_any(1, 12),
    weekday=st.one_of(st.just(ANY_DAY), fields(0, 6).filter(lambda f: "-0" not in f[0])),
    after=st.floats(0, 3.8e9).map(lambda at: datetime.fromtimestamp(at, UTC)),
)
@example(
    ("0", {0}), ("0", {0}), ("29", {29}), ("2", {2}), ANY_DAY, datetime(2096, 3, 1, tzinfo=UTC)
)
def test_the_next_time_is_right_and_none_before_it_is(
    minute: Meaning,
    hour: Meaning,
    day: Meaning,
    month: Meaning,
    weekday: Meaning,
    after: datetime,
) -> None:
    """Held against a look at every minute of a day, and at every day of four years."""

    def right_day(at: datetime) -> bool:
        in_month, in_week = at.day in day[1], at.isoweekday() % 7 in weekday[1]
        return at.month in month[1] and (in_month or in_week or day == weekday == ANY_DAY)

    def right(at: datetime) -> bool:
        return right_day(at) and at.hour in hour[1] and at.minute in minute[1]

    schedule = parse(" ".join(text for text, _ in (minute, hour, day, month, weekday)))
    found = schedule.next(after)
    assert found is None or (found > after and right(found) and not found.second)
    end = found or datetime(2100, 1, 1, tzinfo=UTC)

    first = after.replace(second=0, microsecond=0) + timedelta(minutes=1)
    minutes = (first + timedelta(minutes=n) for n in range(24 * 60))
    assert not any(right(at) for at in minutes if at < end)
    if minute[1] and hour[1]:
        midnight = first.replace(hour=0, minute=0)
        days = (midnight + timedelta(days=n) for n in range(1, 4 * 366))
        assert not any(right_day(at) for at in days if at.date() < end.date())


@pytest.mark.slow
@given(st.integers(1970, 2099), st.integers(1, 12), st.integers(1, 28))
def test_the_nearest_workday(year: int, number: int, day: int) -> None:
    month = Month.of(year, number)
    found = datetime(year, number, month.workday(day), tzinfo=UTC)
    nearest = min(
        (d for d in month.days if datetime(year, number, d, tzinfo=UTC).isoweekday() < 6),
        key=lambda d: abs(d - day),
    )
    assert found.isoweekday() < 6
    assert abs(found.day - day) == abs(nearest - day)


@pytest.mark.slow
@given(st.text("0123456789*?-/,#LW @adeilmnorstuwy", max_size=40))
def test_any_text_is_cron_or_refused(text: str) -> None:
    with suppress(CronError):
        parse(text).next(START)


@pytest.mark.parametrize(
    "expression",
    ["0 0 31 2 *", "0 22-2 * * *", "0 0 31W,31 2,4,6,9,11 *", "0 0 29 2 * 1970/4,1971/4,2099"],
)
def test_what_never_comes_has_no_next_time(expression: str) -> None:
    assert parse(expression).next(EPOCH) is None
