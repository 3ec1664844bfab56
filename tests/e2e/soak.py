"""The soak's reports, written by a pytest plugin that `make soak` loads."""

from __future__ import annotations

import itertools
import os
import platform
import statistics
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import pytest

FOLDER = "docs/reports"


@dataclass(frozen=True, slots=True, order=True)
class Round:
    """One injection of a fault."""

    fault: str
    number: int
    point: str
    seconds: float
    passed: bool


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    now, stats = datetime.now(UTC), terminalreporter.stats
    reports = {}
    if rounds := sorted(_rounds(stats)):
        reports["faults"] = report(rounds, now, config.getoption("randomly_seed", 0))
    if figures := list(_figures(stats)):
        reports["size"] = sizes(figures, now)
    for tally in _told(stats, "mutations"):
        seed = config.getoption("randomly_seed", 0)
        reports["configurations"] = configurations(tally, now, seed)
    for answers in _told(stats, "answers"):
        reports["requests"] = requests(answers, now)
    for name, text in reports.items():
        file = config.rootpath / FOLDER / f"{name}-{now:%Y-%m-%d}.md"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        terminalreporter.write_line(f"A report is {file.relative_to(config.rootpath)}")


def _rounds(stats: Mapping[str, list[Any]]) -> Iterable[Round]:
    for outcome in ("passed", "failed", "error"):
        for each in stats.get(outcome, []):
            told = dict(getattr(each, "user_properties", ())).get("chance")
            if told and (each.when == "call" or outcome == "error"):
                yield Round(
                    told["fault"].removeprefix("test_").replace("_", " "),
                    told["round"],
                    ", ".join(f"{what} {choice}" for what, choice in told["at"].items()),
                    each.duration,
                    outcome == "passed",
                )


def report(rounds: list[Round], now: datetime, seed: int) -> str:
    """The report as Markdown. `rounds` is sorted."""
    faults = [list(each) for _, each in itertools.groupby(rounds, key=lambda each: each.fault)]
    failed = sum(not each.passed for each in rounds)
    lines = [
        f"# Faults, {now:%Y-%m-%d}",
        "",
        f"{len(rounds)} injections of {len(faults)} faults, {failed} failed.",
        f"Ended at {now:%H:%M} UTC on {_place()}. The same again: `make soak SEED={seed}`.",
        "",
        "What holds after each: the last run has applied what Consul says; there were exactly the",
        "runs that the rules allow, never two builds of a task at once; each run was announced,",
        "and no slot is left taken.",
        "",
        "| fault | rounds | passed | median s | longest s |",
        "| --- | --- | --- | --- | --- |",
        *map(_summary, faults),
        "",
        "| fault | round | injected | s | |",
        "| --- | --- | --- | --- | --- |",
        *map(_row, rounds),
    ]
    return "\n".join(lines) + "\n"


def _told(stats: Mapping[str, list[Any]], name: str) -> Iterable[Any]:
    """What tests that passed recorded under a name."""
    for each in stats.get("passed", []):
        if (told := dict(getattr(each, "user_properties", ())).get(name)) and each.when == "call":
            yield told


def configurations(tally: Mapping[str, Any], now: datetime, seed: int) -> str:
    """The report as Markdown."""
    compiled, refused = tally["compiled"], tally["refused"]
    lines = [
        f"# Configurations, {now:%Y-%m-%d}",
        "",
        f"{compiled + refused} random configurations, each with changes at random places.",
        f"Ended at {now:%H:%M} UTC on {_place()}, seed {seed}. Others like them: `make soak`.",
        "",
        f"{compiled} were compiled, {refused} were refused with a list of problems, none ended in",
        f"another way. The slowest took {tally['slowest']:.2f} s.",
    ]
    return "\n".join(lines) + "\n"


def requests(answers: Mapping[str, Mapping[str, int]], now: datetime) -> str:
    """The report as Markdown. `answers`: how many, by operation and HTTP status."""
    count = sum(sum(each.values()) for each in answers.values())
    lines = [
        f"# Requests, {now:%Y-%m-%d}",
        "",
        f"{count} random requests to the {len(answers)} operations of docs/openapi.yaml.",
        f"Ended at {now:%H:%M} UTC on {_place()}. Others like them: `make soak`.",
        "",
        "Each was answered in time, and as the document says.",
        "",
        "| operation | answers |",
        "| --- | --- |",
        *(
            f"| `{operation}` | {', '.join(f'{n} of {status}' for status, n in told.items())} |"
            for operation, told in answers.items()
        ),
    ]
    return "\n".join(lines) + "\n"


def _figures(stats: Mapping[str, list[Any]]) -> Iterable[tuple[str, Any]]:
    """What tests measured. One that failed says so."""
    for outcome in ("passed", "failed"):
        for each in stats.get(outcome, []):
            told = dict(getattr(each, "user_properties", ())).get("figures", {})
            if told and each.when == "call":
                yield from (
                    told if outcome == "passed" else {**told, "ended": "**failed**"}
                ).items()


def sizes(figures: Iterable[tuple[str, Any]], now: datetime) -> str:
    """The report as Markdown."""
    lines = [
        f"# Size, {now:%Y-%m-%d}",
        "",
        f"Ended at {now:%H:%M} UTC on {_place()}, {os.cpu_count()} cores for everything: Consul,",
        "the emulator of AWS, and all functions. The same again: `make soak`.",
        "",
        "What holds: the tasks that ran after the second push are those that it changed or added,",
        "and those whose services changed while it was published; and what each task has applied",
        "is what Consul says in the end.",
        "",
        "| figure | |",
        "| --- | --- |",
        *(f"| {name} | {value} |" for name, value in figures),
    ]
    return "\n".join(lines) + "\n"


def _place() -> str:
    return f"{platform.system()} {platform.machine()}, Python {platform.python_version()}"


def _summary(rounds: list[Round]) -> str:
    seconds = [each.seconds for each in rounds]
    passed = sum(each.passed for each in rounds)
    middle, longest = statistics.median(seconds), max(seconds)
    return f"| {rounds[0].fault} | {len(rounds)} | {passed} | {middle:.1f} | {longest:.1f} |"


def _row(each: Round) -> str:
    ended = "passed" if each.passed else "**failed**"
    return f"| {each.fault} | {each.number} | {each.point} | {each.seconds:.1f} | {ended} |"
