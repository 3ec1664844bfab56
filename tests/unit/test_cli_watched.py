"""`cts status` when Consul is not seen: it says so first, and nothing stands as up to date."""

import json
from dataclasses import replace
from typing import Any

import pytest

from cts.conditions import services
from cts.run.state import TaskState
from cts.watch.lease import Lease
from cts.watch.query import View
from cts.watch.snapshot import of
from cts_cli import client, output
from cts_cli.errors import NotFound
from tests.unit.cli_fakes import Account, cts, deployed, in_terminal, lines, plain
from tests.unit.reader_fakes import NOW, running, success, wish

WHY = "asking Consul at https://consul.example.com:8501 for /v1/health/service/{}: no route to host"
WEB, DNS = View(services.SERVICE, "web"), View(services.SERVICE, "dns")


@pytest.fixture
def account(monkeypatch: pytest.MonkeyPatch) -> Account:
    """Two tasks at rest, and a poller that lives."""
    account = deployed(monkeypatch)
    for name in ("dns", "web"):
        account.world.add(TaskState(name, recent=(success(name),)))
        account.world.read_services(name)
    beat(account, 8)
    return account


def beat(account: Account, age: float) -> None:
    account.world.table.leased = Lease(4, "owner", 3, NOW - 900, NOW - age, NOW - 900)


def status() -> list[str]:
    result = cts("status")
    assert result.exit_code == 0
    return lines(result.stdout)


def row(said: list[str], task: str) -> str:
    return next(line for line in said if line.startswith(f"{task} "))


def test_consul_out_of_reach_is_the_first_thing_told(account: Account) -> None:
    for view in (DNS, WEB):
        account.world.went_stale(view, why=WHY.format(view.name))
    said = status()
    assert said[:2] == [
        "✗ Consul can't be read: 2 of 2 views have been stale for 3 min",
        WHY.format("dns"),
    ]
    assert row(said, "web") == "web ● successful stale for 3 min ✓ 1 min ago +1"
    assert "2 tasks: 2 successful · 2 stale" in said
    assert said[-1].endswith("poller: last heartbeat 8 s ago")
    assert "up to date" not in " ".join(said)


def test_where_some_views_are_stale_each_reason_and_each_view_is_told(account: Account) -> None:
    account.world.went_stale(WEB, why=WHY.format("web"))
    said = status()
    assert said[:2] == [
        "! 1 of 2 views has been stale for 3 min: changes there go unnoticed",
        WHY.format("web"),
    ]
    assert row(said, "web") == "web ● successful stale for 3 min: service web ✓ 1 min ago +1"
    assert row(said, "dns") == "dns ● successful up to date ✓ 1 min ago +1"
    assert "2 tasks: 2 successful · 1 stale" in said


@pytest.mark.parametrize(
    ("state", "cell"),
    [
        (TaskState("web", running=running("web")), "running for 12 s"),
        (TaskState("web", wanted=wish(NOW + 4)), "buffer period: runs in 4.0 s"),
    ],
)
def test_a_task_that_is_about_something_else_tells_its_stale_views_below(
    account: Account, state: TaskState, cell: str
) -> None:
    account.world.add(state)
    account.world.went_stale(WEB)
    said = status()
    assert cell in row(said, "web")
    assert "! web: stale for 3 min: service web" in said


def test_many_stale_views_of_a_task_are_told_below_the_table(account: Account) -> None:
    names = [f"app-{number}" for number in range(7)]
    account.world.add(TaskState("all", recent=(success("all"),)), regexp="^app")
    account.world.read_view(View(services.LISTING), of(names))
    account.world.read_services(*names)
    account.world.went_stale(*(View(services.SERVICE, name) for name in names))
    said = status()
    first = ", ".join(f"service {name}" for name in names[:5])
    assert row(said, "all") == "all ● successful stale for 3 min ✓ 1 min ago +1"
    assert f"! all: stale for 3 min: {first}, and 2 more" in said


def test_where_not_all_stale_views_are_listed_no_task_counts_as_up_to_date(
    account: Account,
) -> None:
    account.world.add(TaskState("lb", recent=(success("lb"),)))
    account.world.read_services("lb")
    account.world.went_stale(WEB)
    stale = account.world.table.stored_stale
    account.world.table.stored_stale = replace(stale, count=2)
    said = status()
    assert "1 of them are not listed: more tasks may be affected" in said
    assert row(said, "dns") == "dns ● successful possibly stale ✓ 1 min ago +1"
    account.world.table.stored_stale = replace(stale, count=3)
    assert row(status(), "dns") == "dns ● successful stale ✓ 1 min ago +1"


def test_a_dead_poller_is_the_first_thing_told(account: Account) -> None:
    beat(account, 310)
    said = status()
    assert said[0] == "✗ no heartbeat from a poller for 5 min: changes in Consul go unnoticed"
    assert row(said, "web") == "web ● successful not watched for 5 min ✓ 1 min ago +1"
    assert said[-1].endswith("poller: last heartbeat 5 min ago")


def test_in_mode_poll_nobody_waits_for_a_sign_of_life(account: Account) -> None:
    account.world.ports = replace(account.world.ports, live=False)
    beat(account, 7_300)
    said = status()
    assert row(said, "web") == "web ● successful up to date ✓ 1 min ago +1"
    assert said[-1].endswith("poller: runs every minute, last wrote 2 h ago")


def test_views_without_a_held_query_are_told(account: Account) -> None:
    leased = account.world.table.leased
    assert leased
    account.world.table.leased = replace(leased, views=2000, passed=1936)
    told = "poller: last heartbeat 8 s ago · polls 1936 of 2000 views only once a second"
    assert status()[-1].endswith(told)


def test_the_first_lines_are_whole_in_a_narrow_terminal(
    account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    account.world.went_stale(DNS, WEB, why=WHY.format("web"))
    in_terminal(monkeypatch, 80)
    printed = plain(cts("status").stdout).split("task ")[0]
    assert max(map(len, printed.splitlines())) <= 80
    assert WHY.format("web") in " ".join(printed.split())


def test_what_consul_answers_does_nothing_to_the_terminal(account: Account) -> None:
    account.world.went_stale(WEB, why="https://u:secret@consul/ said\x1b[2J\nno")
    assert status()[1] == "https://***:***@consul/ said\\x1b[2J no"


def test_json_has_all_of_it(account: Account) -> None:
    account.world.went_stale(WEB, why="no route")
    found = json.loads(cts("status", "--json").stdout)
    assert found["poller"]["alive"] is True
    assert found["stale_views"]["tasks"] == ["web"]
    assert found["stale_views"]["why"] == ["no route"]
    assert found["tasks"]["web"]["stale"][0]["view"] == "service web"
    assert found["summary"]["task_summary"]["stale"] == 1


def test_an_older_stack_answers_nothing_of_this(
    account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    get = client.Reader.get

    def older(reader: client.Reader, *path: str) -> Any:
        if path == ("overview",):
            raise NotFound("no such path")
        answer = get(reader, *path)
        if path == ("status", "tasks"):
            for each in answer.values():
                del each["stale"], each["stale_count"]
        if path == ("poller",):
            del answer["stale_views"], answer["poller"]["alive"], answer["poller"]["mode"]
        return answer

    monkeypatch.setattr(client.Reader, "get", older)
    said = status()
    assert said[0].startswith("task status")
    assert said[-1].endswith("poller: last heartbeat 8 s ago")


@pytest.mark.parametrize("width", [80, 110])
def test_rows_of_stale_tasks_fit(
    account: Account, monkeypatch: pytest.MonkeyPatch, width: int
) -> None:
    monkeypatch.setattr(output, "PIPED_WIDTH", width)
    account.world.went_stale(WEB)
    rows = cts("status").stdout.split("\n\n")[1].splitlines()
    assert max(map(len, rows)) <= width
    assert rows[0].split() == ["task", "status", "now", "last", "run", "changes"]
