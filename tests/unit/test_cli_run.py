"""`cts runs show`: one run, and what differed in its input."""

import json
from dataclasses import replace
from typing import Any

import pytest

from cts import keys
from cts.run.model import End, Orphan, RunStatus, Used
from cts.run.state import TaskState
from tests.unit.cli_fakes import Account, cts, deployed, in_terminal, lines, plain
from tests.unit.reader_fakes import applied, run_id, running


@pytest.fixture
def account(monkeypatch: pytest.MonkeyPatch) -> Account:
    return deployed(monkeypatch)


def counted(former: str, *counts: int) -> dict[str, Any]:
    names = ("came", "left", "changed", "unknown")
    return {"former": former, **dict(zip(names, counts, strict=True))}


DELTA = counted(run_id("web", 1), 1, 1, 51, 1)
LISTED = [
    ("service web", "came", "node-a/web-3", []),
    ("service web", "changed", "node-a/web-1", ["node_tagged_addresses", "port"]),
    ("service web", "left", "node-b/web-2", []),
    ("the keys that begin with app/", "unknown", "", []),
]


def compared(account: Account, delta: dict[str, Any] | None, *listed: tuple[Any, ...]) -> str:
    """A run with what differed in its input; returns its ID."""
    account.world.ran(run := applied("web", 2))
    names = ("view", "what", "name", "attributes")
    first = [dict(zip(names, each, strict=True)) for each in listed]
    if delta:
        key = keys.run_object("web", run.id, "delta.json")
        body = {**delta, "first": first, "views": {}}
        account.world.bucket.write(key, json.dumps(body).encode())
    return run.id


def test_a_run_is_shown_with_what_differed_in_its_input(account: Account) -> None:
    run = compared(account, DELTA, *LISTED)
    shown = cts("runs", "show", run).stdout
    assert lines(shown) == [
        f"{run} applied",
        "why change",
        "started 58 s ago, took 13 s",
        "changes +2 ~1",
        f"input 1 came, 1 left, 51 changed, 1 unknown, since {run_id('web', 1)}",
        "service web",
        "+ node-a/web-3",
        "~ node-a/web-1 node_tagged_addresses, port",
        "- node-b/web-2",
        "the keys that begin with app/",
        "? its former data is gone, so it can't be compared",
        "and 50 more",
    ]
    assert cts("runs", "show", "web").stdout == shown, "a task's latest run"
    assert json.loads(cts("runs", "show", run, "--json").stdout)["delta"]["first"][0] == {
        "view": "service web",
        "what": "came",
        "name": "node-a/web-3",
        "attributes": [],
    }


@pytest.mark.parametrize(
    ("delta", "told"),
    [
        (None, "input what differs was not recorded"),
        (counted("", 2, 0, 0, 0), "input 2 came, no earlier success is known"),
        (counted("web-1", 0, 0, 0, 0), "input nothing differs, since web-1"),
    ],
)
def test_what_a_run_is_compared_with_is_told(
    account: Account, delta: dict[str, Any] | None, told: str
) -> None:
    assert told in lines(cts("runs", "show", compared(account, delta)).stdout)


def test_names_from_a_catalog_do_not_act_on_the_terminal(
    account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_terminal(monkeypatch, 80)
    hostile = "\x1b[2J\x1b]0;title\x07\n✓ web: applied\r\u202e"
    run = compared(account, DELTA, (hostile, "came", hostile, [hostile]))
    shown = plain(cts("runs", "show", run).stdout)
    assert "\\x1b[2J" in shown
    assert not {"\x1b", "\x07", "\r", "\u202e"} & {*shown}
    assert "✓ web: applied" not in [line.strip() for line in shown.splitlines()]


@pytest.mark.parametrize("width", [40, 80])
def test_one_run_fits_into_a_terminal(
    account: Account, monkeypatch: pytest.MonkeyPatch, width: int
) -> None:
    in_terminal(monkeypatch, width)
    long = ("service web", "changed", "a long name " * 20, ["node_tagged_addresses", "port"])
    run = compared(account, DELTA, *LISTED, long)
    assert max(map(len, plain(cts("runs", "show", run).stdout).splitlines())) <= width


def test_a_task_may_have_the_name_show(account: Account) -> None:
    account.world.ran(applied("show", 1), applied("web", 2))
    assert [line.split()[0] for line in lines(cts("runs", "show").stdout)[2:]] == [
        run_id("show", 1)
    ]


@pytest.mark.parametrize("typed", [["web", "db"], ["show", "a", "b"]])
def test_too_many_words_are_refused(account: Account, typed: list[str]) -> None:
    result = cts("runs", *typed)
    assert result.exit_code == 2
    assert "write a task, or `show` and a run" in " ".join(lines(result.stderr))


def test_what_a_killed_build_left_is_shown(account: Account) -> None:
    run = applied("web", 2)
    assert run.end
    found = (
        Orphan("web-1", "x.a", "7", "created"),
        Orphan("web-1", "x.b", "", "begun"),
        Orphan("web-1", "x.c", "", ""),
    )
    account.world.ran(replace(run, end=replace(run.end, orphans=found)))
    shown = lines(cts("runs", "show", run.id).stdout)
    assert shown[-4:] == [
        "outside of the state, left by a build that was killed:",
        "! x.a id 7 exists, web-1",
        "! x.b may exist: its creation had begun, web-1",
        "! x.c may exist, web-1",
    ]


def test_what_a_run_was_executed_with_is_shown(account: Account) -> None:
    run = applied("web", 2)
    assert run.end
    modules = (
        Used("acme/edge/acmefw", "1.2.0", "sha256:aa", "web"),
        Used("./modules/m", "", "", "x"),
    )
    providers = (Used("registry.terraform.io/acme/fw", "3.1.0", "h1:bb"),)
    account.world.ran(replace(run, end=replace(run.end, modules=modules, providers=providers)))
    assert lines(cts("runs", "show", run.id).stdout)[-3:] == [
        "modules acme/edge/acmefw 1.2.0 sha256:aa",
        "./modules/m",
        "providers registry.terraform.io/acme/fw 3.1.0 h1:bb",
    ]


def test_a_busy_run_is_shown_with_why_it_is_tried_again(account: Account) -> None:
    run = applied("web", 2)
    because = "whoever has locked the state is expected to release it"
    busy = End(RunStatus.BUSY, apply_began=False, error="the state is locked", because=because)
    account.world.ran(replace(run, status=RunStatus.BUSY, end=busy))
    shown = lines(cts("runs", "show", run.id).stdout)
    assert shown[0] == f"{run.id} busy"
    assert f"retry {because}" in shown
    assert "busy" in cts("runs").stdout


def test_what_a_run_waits_for_is_shown_and_where(account: Account) -> None:
    where = "waits for a decision in HCP Terraform: https://app.terraform.io/app/acme"
    run = replace(applied("web", 2), status=RunStatus.PENDING, end=None, ended_at=None, waits=where)
    account.world.ran(run)
    assert f"now {where}" in lines(cts("runs", "show", run.id).stdout)
    assert f"… {where}" in lines(cts("runs").stdout)
    account.world.add(TaskState("web", running=replace(running("web"), waits=where)))
    told = lines(cts("status").stdout)
    assert f"! web: needs a person: {where}" in told
    assert any(line.startswith("web ○ unknown needs a person") for line in told)
