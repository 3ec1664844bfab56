"""Tables in terminals of several widths: every cell that is shown is whole."""

from dataclasses import replace

import pytest

from cts.run.state import TaskState
from cts_cli import output
from tests.unit.cli_fakes import Account, cts, deployed, in_terminal, lines
from tests.unit.reader_fakes import (
    NOW,
    applied,
    errored,
    failure,
    pending,
    run_id,
    success,
    wish,
)

LONG_NAME = "a-task-with-a-name-of-forty-two-characters"


@pytest.fixture
def account(monkeypatch: pytest.MonkeyPatch) -> Account:
    return deployed(monkeypatch)


def test_a_long_reason_is_told_below_the_table(account: Account) -> None:
    why = "AccountLimitExceededException: cannot have more than 0 builds"
    account.world.add(TaskState("web", recent=(failure("web"),), gave_up=why))
    account.world.read_services("web")
    said = lines(cts("status").stdout)
    assert said[2] == "web ● errored gave up ✗ 30 s ago"
    assert f"! web: gave up: {why}" in said


@pytest.mark.parametrize("width", [80, 100, 120])
@pytest.mark.parametrize("name", ["web", LONG_NAME])
def test_status_in_a_narrow_terminal_keeps_what_matters_whole(
    account: Account, monkeypatch: pytest.MonkeyPatch, name: str, width: int
) -> None:
    monkeypatch.setattr(output, "PIPED_WIDTH", width)
    account.world.add(TaskState(name, recent=(success(name, change=3),), wanted=wish(NOW + 38)))
    account.world.add(TaskState("other", queued_since=NOW - 80, wanted=wish()))
    account.world.read_services(name, "other")
    printed = cts("status").stdout
    rows = printed.split("2 tasks:")[0].splitlines()
    assert max(map(len, rows)) <= width
    told = (name, "● successful", "buffer period: runs in 38 s")
    assert all(cell in printed for cell in told)
    assert "waiting for a build slot for 1 min 20 s" in printed


def test_a_narrow_status_goes_without_changes_and_then_without_last_run(
    account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    account.world.add(TaskState("web", recent=(success("web"),)))
    account.world.read_services("web")
    heads = []
    for width in (52, 51, 42, 29):
        monkeypatch.setattr(output, "PIPED_WIDTH", width)
        heads.append(lines(cts("status").stdout)[0])
    assert heads == [
        "task status now last run changes",
        "task status now last run",
        "task status now",
        "web",
    ]


@pytest.mark.parametrize(
    ("name", "width", "left_out"),
    [
        ("web", 80, {"change, attempt 2"}),
        ("web", 100, set()),
        ("a-task-of-moderate-length", 80, {"change, attempt 2", "14 s"}),
        (LONG_NAME, 80, set()),
        (LONG_NAME, 100, {"change, attempt 2", "14 s"}),
        (LONG_NAME, 120, set()),
    ],
)
def test_runs_in_a_narrow_terminal_are_whole(
    account: Account, monkeypatch: pytest.MonkeyPatch, name: str, width: int, left_out: set[str]
) -> None:
    monkeypatch.setattr(output, "PIPED_WIDTH", width)
    run = replace(applied(name, 1), attempt=2)
    assert run.end
    end = replace(run.end, counts={"add": 10, "change": 2, "destroy": 3})
    account.world.ran(replace(run, end=end), pending("dns", 2), errored("db", 3))
    printed = cts("runs").stdout
    assert max(map(len, printed.splitlines())) <= width
    cells = {run.id, "applied", "+10 ~2 -3", "59 s ago", "change, attempt 2", "14 s"}
    assert {cell for cell in cells if cell not in printed} == left_out
    assert "  ✗ Error: no route to host" in printed.splitlines()


def test_where_no_table_fits_each_run_is_a_block(
    account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(output, "PIPED_WIDTH", 80)
    account.world.ran(applied(LONG_NAME, 1), replace(errored("db", 2), attempt=2))
    assert lines(cts("runs").stdout) == [
        run_id("db", 2),
        "outcome errored · why change, attempt 2 · started 58 s ago · took 13 s",
        "✗ Error: no route to host",
        run_id(LONG_NAME, 1),
        "outcome applied · why change · started 59 s ago · took 14 s",
        "changes +2 ~1",
    ]


def test_cells_have_their_colours(account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    in_terminal(monkeypatch, 120)
    account.world.add(TaskState("web", recent=(success("web"),), wanted=wish(NOW + 38)))
    account.world.read_services("web")
    row = cts("status").stdout.splitlines()[2]
    assert row.startswith("\x1b[1mweb\x1b[0m ")
    assert "\x1b[32msuccessful\x1b[0m" in row
    assert "\x1b[36mbuffer period: runs in 38 s\x1b[0m" in row
