"""What follows from a build's status, its records and its run's age: every combination."""

from dataclasses import replace
from itertools import product

import pytest

from cts.adapters.build_records import (
    BuildStatus,
    Limits,
    RunRecords,
    Started,
    build_of,
    given_up_record,
    news_of,
    started_from,
)
from cts.run.model import End, Run, RunStatus
from cts.run.news import GivenUp, GoesOn, HasEnded, NeverBegan, News, NotStarted
from tests.fakes import RUN

LIMITS = Limits(restart=240.0, begins=61_200.0, longest=61_200.0)
MINE, OTHER = "cts:1", "cts:9"
BUSY = End(RunStatus.ERRORED, apply_began=False, error="no such project", retryable=False)
RESULTS = {
    "none": None,
    "applied": End(RunStatus.APPLIED, apply_began=True),
    "errored": End(RunStatus.ERRORED, apply_began=True, error="quota reached"),
}
AGES = {
    "young": (0.0, 239.9),
    "old": (240.0, 61_199.9),
    "overdue": (61_200.0, 1e9),
}
STATUSES = {
    "going": [BuildStatus(build=MINE, goes_on=True)],
    "ended": [
        BuildStatus(build=MINE, ended_as=word)
        for word in ("SUCCEEDED", "FAILED", "FAULT", "TIMED_OUT", "STOPPED")
    ],
    "left out": [BuildStatus(build=MINE)],
    "no build": [BuildStatus(build=None)],
}
# What `started` says -> that record, and the build that the run's row names.
STARTED: dict[str, list[tuple[Started | GivenUp | None, str | None]]] = {
    "absent": [(None, None), (None, MINE), (None, OTHER)],
    "its build": [(Started(MINE), None), (Started(MINE), OTHER), (Started(None), MINE)],
    "another": [(Started(OTHER), MINE), (Started(OTHER), None), (Started(None), OTHER)],
    "no build": [(Started(None), None)],
    "given up": [(GivenUp(end=BUSY), MINE), (GivenUp(end=BUSY), None)],
    "undone": [(GivenUp(), MINE), (GivenUp(), None)],
}
ANY = "*"
OWN = {("ended", "its build"), ("left out", "its build"), ("no build", "no build")}
"""The status is of the build that `started` names."""
FOREIGN = {
    (status, started)
    for status, started in product(
        ("ended", "left out", "no build"), ("its build", "another", "no build")
    )
} - OWN

# status, started, result, archive, age -> the news. The first line that fits.
TABLE: list[tuple[str, str, str, object, str, object]] = [
    ("going", ANY, ANY, ANY, ANY, GoesOn),
    (ANY, "given up", ANY, ANY, ANY, "given up"),
    (ANY, "undone", ANY, ANY, ANY, "undone"),
    ("no build", "absent", ANY, True, "young", NotStarted),
    ("no build", "absent", ANY, ANY, ANY, "unclaimed"),
    ("ended", "absent", ANY, ANY, ANY, "ended before its first command"),
    ("left out", "absent", ANY, ANY, "overdue", "silent before its first command"),
    ("left out", "absent", ANY, ANY, ANY, GoesOn),
    *((status, started, ANY, ANY, ANY, GoesOn) for status, started in sorted(FOREIGN)),
    (ANY, ANY, "applied", ANY, ANY, "as it says"),
    (ANY, ANY, "errored", ANY, ANY, "as it says"),
    ("ended", ANY, "none", ANY, ANY, "cut off"),
    (ANY, ANY, "none", ANY, "overdue", "silent"),
    (ANY, ANY, "none", ANY, ANY, GoesOn),
]


def line_of(*case: object) -> int:
    """The first line of the table that fits."""
    return next(
        n
        for n, (*row, _) in enumerate(TABLE)
        if all(mine in (ANY, given) for mine, given in zip(row, case, strict=True))
    )


def failed(error: str, *, applying: bool = False, known: bool = True) -> End:
    return End(RunStatus.ERRORED, apply_began=applying, error=error, known=known)


def in_words(
    what: object, run: Run, status: BuildStatus, result: End | None, *, applying: bool
) -> News:
    build, where = status.build, "during its apply" if applying else "before its apply began"
    ended = f"the build ended with status {status.ended_as} {where}, without a result"
    silent = f"the build stopped responding {where}, without a result"
    early = f"build {build} ended with status {status.ended_as} before its first command"
    never = f"build {build} was started, but never began"
    news: dict[object, News] = {
        GoesOn: GoesOn(),
        NotStarted: NotStarted(archive=b"7"),
        "given up": GivenUp(end=BUSY),
        "undone": GivenUp(),
        "unclaimed": NeverBegan(),
        "ended before its first command": NeverBegan(end=failed(early), build=build),
        "silent before its first command": NeverBegan(end=failed(never), build=build),
        "as it says": HasEnded(end=result or BUSY, build=build if status.ended_as else run.build),
        "cut off": HasEnded(end=failed(ended, applying=applying), build=build),
        "silent": HasEnded(end=failed(silent, applying=applying, known=False), build=run.build),
    }
    return news[what]


@pytest.mark.parametrize("started", STARTED)
@pytest.mark.parametrize("status", STATUSES)
def test_what_follows(status: str, started: str) -> None:
    for result, age, archive in product(RESULTS, AGES, (None, b"7")):
        case = (status, started, result, archive is not None, age)
        *_, what = TABLE[line_of(*case)]
        for told, (record, build), seconds, applying in product(
            STATUSES[status], STARTED[started], AGES[age], (False, True)
        ):
            records = RunRecords(
                started=record, applying=applying, result=RESULTS[result], archive=archive
            )
            run = replace(RUN, build=build)
            news = news_of(run, told, records, seconds, LIMITS)
            expected = in_words(what, run, told, RESULTS[result], applying=applying)
            assert (case, news) == (case, expected)


def test_every_line_of_the_table_is_met() -> None:
    cases = product(STATUSES, STARTED, RESULTS, (False, True), AGES)
    met = {line_of(*case) for case in cases}
    assert met == set(range(len(TABLE)))


@pytest.mark.parametrize(
    ("started", "recorded", "build"),
    [
        (None, None, None),
        (None, MINE, MINE),
        (Started(None), MINE, MINE),
        (Started(OTHER), MINE, OTHER),
        (GivenUp(), MINE, None),
    ],
)
def test_the_build_that_began_is_the_runs(
    started: Started | GivenUp | None, recorded: str | None, build: str | None
) -> None:
    assert build_of(replace(RUN, build=recorded), started) == build


@pytest.mark.parametrize("end", [None, BUSY, failed("no role")])
def test_what_gave_a_run_up_is_read_as_it_was_written(end: End | None) -> None:
    assert started_from(given_up_record(end)) == GivenUp(end=end)
