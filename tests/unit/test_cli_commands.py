"""The commands as they are typed: what they print, and their exit codes."""

import json
import signal
import sys
from dataclasses import replace
from threading import Event, get_ident
from traceback import walk_stack
from typing import Any

import httpx
import pytest

import cts as package
from cts.build.begun import Begun
from cts.generation import Waiting
from cts.run.state import Done, TaskState
from cts.watch.lease import Lease
from cts_cli import client
from local.waiting import wait_until
from tests.unit.cli_fakes import Account, cts, deployed, in_terminal, lines, plain, refused
from tests.unit.reader_fakes import (
    NOW,
    VERSION,
    applied,
    busy,
    errored,
    failure,
    pending,
    problem,
    published,
    rejected,
    run_id,
    running,
    success,
    tick,
    wish,
)


@pytest.fixture
def account(monkeypatch: pytest.MonkeyPatch) -> Account:
    return deployed(monkeypatch)


# ---- status -------------------------------------------------------------------------------


def test_status_shows_a_row_for_each_task_and_a_summary(account: Account) -> None:
    world = account.world
    world.add(TaskState("app", wanted=busy(NOW + 40, since=NOW - 90)))
    world.add(TaskState("cache", recent=(success("cache", add=0, change=3),), wanted=wish(NOW + 4)))
    world.add(TaskState("db", recent=(failure("db"),), wanted=wish(NOW + 38), retry_at=NOW + 38))
    world.add(TaskState("dns", running=running("dns")))
    world.add(TaskState("lb", recent=(failure("lb"), failure("lb")), gave_up="failed 4 times"))
    world.add(TaskState("new"))
    world.add(TaskState("nightly", recent=(success("nightly"),), wanted=tick(NOW + 5400)))
    world.add(TaskState("off", wanted=tick(NOW + 5400)), enabled=False)
    world.add(TaskState("old"), enabled=False)
    world.add(TaskState("queue", wanted=wish(), queued_since=NOW - 20))
    world.add(TaskState("web", recent=(success("web", add=0),)))
    world.read_services("app", "cache", "db", "dns", "lb", "nightly", "off", "old", "queue", "web")
    world.table.leased = Lease(4, "owner", 3, NOW - 100, NOW - 8, NOW - 100)
    result = cts("status")
    assert result.exit_code == 0
    assert lines(result.stdout)[2:] == [
        "app ○ unknown busy: its state has been locked by someone else for 1 min 30 s never",
        "cache ● successful buffer period: runs in 4.0 s ✓ 1 min ago ~3",
        "db ● errored retrying in 38 s ✗ 30 s ago",
        "dns ○ unknown running for 12 s never",
        "lb ● critical gave up: failed 4 times ✗ 30 s ago",
        "new ○ unknown waiting for Consul: service new never",
        "nightly ● successful scheduled: next in 1 h 30 min ✓ 1 min ago +1",
        "off ○ unknown disabled never",
        "old ○ unknown disabled never",
        "queue ○ unknown waiting for a build slot for 20 s never",
        "web ● successful up to date ✓ 1 min ago no changes",
        "✗ db: Error: no route to host (cts logs db)",
        "✗ lb: Error: no route to host (cts logs lb)",
        "→ lb: runs again once service lb changes, or once a push changes the task (cts retry lb)",
        "11 tasks: 3 successful, 1 errored, 1 critical, 6 unknown · 1 running · 2 disabled",
        "generation 3, published 3 min ago · poller: last heartbeat 8 s ago",
    ]


@pytest.mark.parametrize("enabled", [True, False])
def test_status_tells_of_a_change_that_triggers_nothing(account: Account, enabled: bool) -> None:
    done = Done("run", "trigger", "inputs")
    state = TaskState("web", recent=(success("web"),), done=done)
    account.world.add(state, enabled=enabled, events=("added", "removed"))
    account.world.read_services("web")
    said = lines(cts("status").stdout)
    now = "changed, not triggered" if enabled else "disabled"
    why = "web: changes are in its next run; what triggers it: added, removed"
    assert f"web ● successful {now} ✓ 1 min ago +1" in said
    assert (why in said) == enabled


def test_status_before_the_first_push_says_what_to_do(account: Account) -> None:
    assert lines(cts("status").stdout) == [
        "no tasks yet: push a configuration with `cts push`",
        "no configuration published yet · no poller has run yet",
    ]


def test_status_tells_what_does_not_run_yet(account: Account) -> None:
    world = account.world
    world.waiting["nightly"] = Waiting("digest", ('condition "schedule"', "providers"))
    world.publish(published())
    told = '! nightly: accepted, does not run yet: condition "schedule", providers'
    row = "nightly — does not run yet"
    assert lines(cts("status").stdout)[2:5] == [row, "1 task: 1 does not run yet", told]
    world.add(TaskState("web"))
    said = lines(cts("status").stdout)
    assert row in said
    assert said.index(told) == said.index("2 tasks: 1 unknown · 1 does not run yet") + 1


def test_status_of_an_older_stack_is_shown_without_what_it_does_not_answer(
    account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    account.world.add(TaskState("web"))
    get = client.Reader.get

    def older(reader: client.Reader, *path: str) -> Any:
        answer = get(reader, *path)
        if path == ("configuration",):
            del answer["live"]["waiting"]
        return answer

    monkeypatch.setattr(client.Reader, "get", older)
    result = cts("status")
    assert (result.exit_code, "1 task: 1 unknown" in lines(result.stdout)) == (0, True)


def test_status_tells_of_a_rejected_push(account: Account) -> None:
    account.world.add(TaskState("web"))
    account.world.table.refused = rejected()
    assert lines(cts("status").stdout)[-3:] == [
        "! the last push, 1 min ago, was rejected: 1 problem; generation 3 stays live",
        'tasks.hcl:3:5 task.web.condition.services: unknown option "naems"',
        '→ did you mean "names"?',
    ]


def test_status_lists_the_first_problems_of_a_rejected_push(account: Account) -> None:
    """Very many are not even stored."""
    found = [problem(file=f"{name}.hcl", line=0, path="", fix="") for name in "abcde"]
    account.world.table.refused = replace(rejected(VERSION, NOW, *found), problem_count=300)
    assert lines(cts("status").stdout)[-5:] == [
        "! the last push, just now, was rejected: 300 problems; nothing is live yet",
        'a.hcl: unknown option "naems"',
        'b.hcl: unknown option "naems"',
        'c.hcl: unknown option "naems"',
        "and 297 more problems (cts status --json)",
    ]


def test_the_summary_counts_the_rows_that_are_shown(
    account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another request would be answered at another time."""
    account.world.add(TaskState("web", recent=(success("web"),)))
    account.world.read_services("web")
    asked = account.read

    def fails_after(request: httpx.Request) -> httpx.Response:
        answer = asked(request)
        if request.url.path == "/v1/status/tasks":
            account.world.table.stored_states["web"] = TaskState("web", recent=(failure("web"),))
        return answer

    monkeypatch.setattr(client, "transport", lambda: httpx.MockTransport(fails_after))
    said = lines(cts("status").stdout)
    assert said[2] == "web ● successful up to date ✓ 1 min ago +1"
    assert "1 task: 1 successful" in said


def test_status_as_json(account: Account) -> None:
    account.world.add(TaskState("web"))
    found = json.loads(cts("status", "--json").stdout)
    assert found["tasks"]["web"]["status"] == "unknown"
    assert found["poller"] is None
    assert found["configuration"]["live"]["generation"] == 3


# ---- runs ---------------------------------------------------------------------------------


def test_runs_are_listed_newest_first(account: Account) -> None:
    account.world.ran(applied("web", 1), pending("dns", 2), replace(errored("db", 3), attempt=2))
    assert lines(cts("runs").stdout)[2:] == [
        f"{run_id('db', 3)} errored change, attempt 2 57 s ago 12 s",
        "✗ Error: no route to host",
        f"{run_id('dns', 2)} running change 58 s ago 58 s",
        f"{run_id('web', 1)} applied change 59 s ago 14 s +2 ~1",
    ]


def test_runs_of_one_task(account: Account) -> None:
    account.world.ran(applied("web", 1), pending("dns", 2))
    found = json.loads(cts("runs", "web", "--json").stdout)["runs"]
    assert [run["id"] for run in found] == [run_id("web", 1)]


def test_what_a_run_imported_is_shown_beside_what_it_added(account: Account) -> None:
    run = applied()
    assert run.end
    counts = {"add": 2, "change": 0, "destroy": 0, "import": 1}
    account.world.ran(replace(run, end=replace(run.end, counts=counts)))
    assert lines(cts("runs").stdout)[2].endswith("+2 1 imported")


def test_runs_before_the_first_run(account: Account) -> None:
    assert cts("runs").stdout == "no runs yet\n"


def test_runs_of_an_unknown_task(account: Account) -> None:
    result = cts("runs", "wbe")
    assert result.exit_code == 2
    assert "a task with name 'wbe' does not exist" in result.stderr


@pytest.mark.parametrize("command", ["runs", "logs"])
@pytest.mark.parametrize(
    ("reasons", "told"),
    [
        (('backend "consul"',), 'backend "consul" does not run yet'),
        (('backend "consul"', "providers"), 'backend "consul", providers do not run yet'),
    ],
)
def test_a_task_that_does_not_run_yet_says_so(
    account: Account, command: str, reasons: tuple[str, ...], told: str
) -> None:
    account.world.waiting["kv"] = Waiting("digest", reasons)
    account.world.publish(published())
    result = cts(command, "kv")
    assert (result.exit_code, result.stderr) == (2, f"cts: task 'kv' is waiting: {told}\n")


# ---- logs ---------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["web", run_id("web", 2)])
def test_logs_of_a_run_or_of_a_tasks_newest_run(account: Account, name: str) -> None:
    account.world.ran(applied("web", 1), applied("web", 2))
    account.world.write_log(applied("web", 2), "Plan: [2] to add\n")
    result = cts("logs", name)
    assert (result.exit_code, result.stdout) == (0, "Plan: [2] to add\n")
    assert f"✓ {run_id('web', 2)}: applied, +2 ~1" in result.stderr
    assert "init 2.5 s · plan 1.0 s · apply 4.0 s" in result.stderr


def test_a_run_that_left_no_log_says_why(account: Account) -> None:
    account.world.ran(errored())
    result = cts("logs", run_id("web"))
    assert result.stdout == ""
    assert f"✗ {run_id('web')}: errored: Error: no route to host" in result.stderr


def test_the_log_of_a_run_that_failed_is_bad_news(account: Account) -> None:
    account.world.ran(errored())
    account.world.write_log(errored(), "no route\n")
    result = cts("logs", "web")
    assert (result.exit_code, result.stdout) == (1, "no route\n")


def test_interrupted_logs_say_that_the_run_goes_on(account: Account) -> None:
    account.world.ran(pending())
    account.interrupted = True
    result = cts("logs", run_id("web"))
    assert result.exit_code == 130
    assert result.stderr.splitlines()[-1] == "Interrupted. The run continues."


def test_logs_of_an_unknown_task_say_where_tasks_are_listed(account: Account) -> None:
    result = cts("logs", "nosuch")
    assert result.exit_code == 2
    assert "'nosuch' does not exist" in result.stderr
    assert "`cts status` lists the tasks" in result.stderr


def test_an_error_is_wrapped_at_words_in_a_terminal(
    account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    typed = ("proxy", "--listen", "0.0.0.0:8558")
    whole = cts(*typed).stderr
    in_terminal(monkeypatch, 60)
    shown = plain(cts(*typed).stderr)
    assert shown.split() == whole.split()
    first, *others = shown.splitlines()
    assert max(map(len, (first, *others))) <= 60
    assert all(each.startswith("     ") for each in others)


def test_an_error_of_several_lines_is_printed_as_such(account: Account) -> None:
    account.error = refused("ValidationError", "first\nsecond")
    assert cts("status").stderr.endswith(": first\nsecond\n")


def test_logs_of_a_task_that_has_not_run(account: Account) -> None:
    account.world.add(TaskState("web"))
    result = cts("logs", "web")
    assert (result.exit_code, result.stderr) == (2, "cts: task 'web' has not run yet\n")


def test_logs_of_an_unknown_run(account: Account) -> None:
    result = cts("logs", run_id("web"))
    assert result.exit_code == 2
    assert "does not exist or its history has expired" in result.stderr


# ---- all of them --------------------------------------------------------------------------


def test_the_stack_is_named_by_option_or_environment(
    account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    account.stacks["prod"] = account.stacks.pop("cts")
    assert cts("runs").exit_code == 2
    assert cts("runs", "--stack", "prod").exit_code == 0
    monkeypatch.setenv("CTS_STACK", "prod")
    assert cts("runs").exit_code == 0


def test_an_error_is_one_sentence_on_standard_error(account: Account) -> None:
    account.error = refused("AccessDenied", "not authorized " * 20)
    result = cts("status")
    assert (result.exit_code, result.stdout) == (2, "")
    assert len(result.stderr.splitlines()) == 1


def test_the_version_is_the_packages() -> None:
    assert cts("--version").stdout == f"cts {package.__version__}\n"


@pytest.mark.slow
def test_help_names_no_type_of_a_flag() -> None:
    assert "bool" not in cts("--help").stdout + cts("push", "--help").stdout


def test_help_names_every_command() -> None:
    text = cts("--help").stdout
    assert all(command in text for command in ("push", "status", "runs", "logs"))


def test_ctrl_c_waits_for_no_answer(account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    never, answered, main = Event(), list[bool](), get_ident()

    def is_waiting() -> bool:
        frame = sys._current_frames()[main]
        return Begun.answer.__code__ in (each.f_code for each, _ in walk_stack(frame))

    def overview(_: client.Reader) -> None:
        wait_until(is_waiting, 30, "the command to wait")
        signal.pthread_kill(main, signal.SIGINT)
        never.wait(60)
        answered.append(True)

    monkeypatch.setattr(client.Reader, "overview", overview)
    former = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        assert (cts("status").exit_code, answered) == (130, [])
    finally:
        signal.signal(signal.SIGINT, former)
        never.set()
