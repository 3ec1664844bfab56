"""A terminal obeys nothing that comes from elsewhere: from a catalog, a log, a file, an error."""

import io
import json
import re
from collections.abc import Callable, Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any
from unicodedata import category

import httpx
import pytest
import rich.text
from typer.main import get_command
from typer.testing import Result

from cts.conditions import services
from cts.config.blocks.schema import Group
from cts.run.state import TaskState
from cts.watch.query import View
from cts_cli import client, main, push
from cts_cli.screen import Console, Text
from cts_cli.shown import LINES, printable
from tests.unit.cli_fakes import (
    SECRETS,
    Account,
    cts,
    deployed,
    folder,
    in_terminal,
    refused,
    task,
)
from tests.unit.doctor_fakes import Doctored
from tests.unit.reader_fakes import NOW, errored, failure, problem, rejected, run_id

HOSTILE = (
    "\x1b]0;owned\x07\x1b[2J\x1b[31m\x9b31m\r\x08\x0b\x0c\x7f\x85"
    "\u202a\u202e\u2066\u2069\u200e\u200f\u061c\u200b\u2060\ufeff\u00ad\u2028\u2029\U000e0041"
    "[red][link=https://example.com]:bomb:"
)
SEEN = printable(HOSTILE)
COLOURS = re.compile(r"\x1b\[[0-9;]*m")
PARSED = {
    "at", "claimed_at", "code", "digest", "ended_at", "published_at", "rejected_at", "since",
    "source_version", "state", "status",
}  # fmt: skip
"""Fields of the reader's answers in which only certain texts are possible."""
BY_NAME = {"tasks", "waiting"}
"""Fields whose keys are names of tasks."""

CONFIGURATION = {
    "task": {
        "name": f"web{HOSTILE}",
        f"nmae{HOSTILE}": "x",
        "module": f"./m{HOSTILE}",
        "version": HOSTILE,
        "condition": {"services": {"regexp": f"({HOSTILE}", "names": [HOSTILE]}},
    },
    "terraform_provider": {f"p{HOSTILE}": {"token": HOSTILE}},
    HOSTILE: HOSTILE,
}

COMMANDS: dict[str, list[list[str]]] = {
    "doctor": [["doctor"], ["doctor", "--stack", HOSTILE]],
    "generations": [["generations", "--stack", HOSTILE]],
    "hold": [["hold", HOSTILE, "--why", "x"], ["hold", "web", "--why", f" {HOSTILE}" * 99]],
    "import": [["import", "bad"], ["import", "raw"], ["import", HOSTILE]],
    "inspect": [["inspect", HOSTILE]],
    "logs": [["logs", run_id("web")], ["logs", "web"], ["logs", HOSTILE]],
    "proxy": [["proxy", "--listen", HOSTILE]],
    "push": [
        ["push", "good"],
        ["push", "bad"],
        ["push", "raw"],
        ["push", "linked"],
        ["push", "good", "--dry-run"],
        ["push", "good", "--yes"],
        ["push", HOSTILE],
        ["push", "good", "--stack", HOSTILE],
    ],
    "release": [["release", HOSTILE]],
    "retry": [["retry", HOSTILE]],
    "rollback": [["rollback"], ["rollback", "--yes"]],
    "run": [["run", HOSTILE]],
    "runs": [["runs"], ["runs", "web"], ["runs", HOSTILE]],
    "secret list": [["secret", "list"], ["secret", "list", "--stack", HOSTILE]],
    "secret remove": [["secret", "remove", HOSTILE], ["secret", "remove", HOSTILE, "--yes"]],
    "secret set": [["secret", "set", "X", "--stack", HOSTILE]],
    "state move": [["state", "move", HOSTILE], ["state", "move", HOSTILE, "--back"]],
    "status": [["status"], ["status", "--stack", HOSTILE], ["status", HOSTILE]],
    "tasks": [["tasks"], ["tasks", "--stack", HOSTILE]],
    "upgrade-terraform": [["upgrade-terraform", HOSTILE], ["upgrade-terraform", "web", HOSTILE]],
    "task create": [["task", "create", "-task-file", HOSTILE]],
    "task delete": [["task", "delete", "-auto-approve", HOSTILE]],
    "task disable": [["task", "disable", HOSTILE]],
    "task enable": [["task", "enable", HOSTILE]],
    "validate": [["validate", "bad"], ["validate", "raw"], ["validate", "linked"]],
}
"""Every command, with texts that it prints."""


def commands(group: Any, before: str = "") -> Iterator[str]:
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, f"{before}{name} ")
        else:
            yield before + name


def poisoned(value: Any, key: str = "") -> Any:
    """The reader's answer, with the hostile text in all that can be any text."""
    match value:
        case str() if key not in PARSED:
            return value + HOSTILE
        case dict():
            named = HOSTILE if key in BY_NAME else ""
            return {name + named: poisoned(each, name) for name, each in value.items()}
        case list():
            return [poisoned(each) for each in value]
    return value


def poisoning(read: Callable[[httpx.Request], httpx.Response]) -> httpx.MockTransport:
    def answer(request: httpx.Request) -> httpx.Response:
        found = read(request)
        if found.headers["content-type"] != "application/json":
            return httpx.Response(found.status_code, text=f"{found.text}{HOSTILE}\n\tmore")
        return httpx.Response(found.status_code, json=poisoned(found.json()))

    return httpx.MockTransport(answer)


@pytest.fixture(scope="module")
def pushed_twice(tmp_path_factory: pytest.TempPathFactory) -> Doctored:
    account, conf = Doctored(), tmp_path_factory.mktemp("conf")
    account.was_pushed(folder(conf, task("old")))
    account.was_pushed(folder(conf, task("old"), task("web")))
    return account


@pytest.fixture
def account(pushed_twice: Doctored, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Account:
    """Two pushes have been made, and another was rejected. All that the reader answers has the
    hostile text in it."""
    monkeypatch.chdir(tmp_path)
    account = deployed(monkeypatch, deepcopy(pushed_twice))
    folder(tmp_path / "good", task("web"), task("new"))
    for each in ("bad", "raw"):
        (tmp_path / each).mkdir()
    (tmp_path / "bad/a.json").write_text(json.dumps(CONFIGURATION))
    (tmp_path / "raw/a.hcl").write_text(task("web\x1b[2J\u202e"))
    linked = folder(tmp_path / "linked", task("web"))
    (linked / "modules/m/b\x1b[2J.tf").symlink_to(tmp_path / "c\x1b[2J")
    world = account.world
    world.table.refused = rejected("0", NOW - 100, problem(file=HOSTILE))
    for state in (TaskState("old", gave_up="x"), TaskState("web", recent=(failure("web"),))):
        world.table.stored_states[state.task] = state
    world.went_stale(View(services.SERVICE, "web"), why=HOSTILE)
    world.ran(errored())
    world.write_log(errored(), "Plan: 1 to add\n")
    account.write(SECRETS[Group.TASK], json.dumps({HOSTILE: "x"}))
    monkeypatch.setattr(client, "transport", lambda: poisoning(account.read))
    return account


def acted_on(text: str) -> set[str]:
    """The characters in it that are not simply shown."""
    return {each for each in text if each not in LINES and not each.isprintable()} - {
        each for each in text if category(each) == "Zs"
    }


def assert_shown(result: Result) -> None:
    assert acted_on(result.stdout + result.stderr) == set()
    assert result.exception is None or isinstance(result.exception, SystemExit)


def test_every_command_is_in_the_table() -> None:
    assert sorted(commands(get_command(main.app))) == sorted(COMMANDS)


@pytest.mark.slow
@pytest.mark.parametrize("arguments", [each for found in COMMANDS.values() for each in found])
def test_a_command_shows_what_a_terminal_would_obey(account: Account, arguments: list[str]) -> None:
    result = cts(*arguments)
    assert_shown(result)
    assert "\\x1b" in result.stdout + result.stderr


@pytest.mark.parametrize("command", COMMANDS)
def test_a_usage_error_shows_what_was_typed(command: str) -> None:
    for arguments in (
        [f"--x{HOSTILE}"],
        [HOSTILE],
        [*command.split(), f"--x{HOSTILE}"],
        [*command.split(), "--limit", HOSTILE],
        [*command.split(), "a", "b", f"c{HOSTILE}"],
    ):
        assert_shown(cts(*arguments))


@pytest.mark.slow
@pytest.mark.parametrize("arguments", [found[0] for found in COMMANDS.values()])
def test_an_error_of_aws_is_shown(account: Account, arguments: list[str]) -> None:
    account.error = refused("Throttled", HOSTILE)
    assert_shown(cts(*arguments))


def test_a_question_shows_what_a_terminal_would_obey(
    account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(push, "is_interactive", lambda: True)
    result = cts("push", "good", typed="n\n")
    assert_shown(result)
    assert f"(old{SEEN}" in result.stderr
    assert "Push? [y/N]" in result.stderr


@pytest.mark.slow
@pytest.mark.parametrize("command", ["status", "runs", "rollback"])
def test_in_a_terminal_there_are_only_our_own_colours(
    account: Account, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    in_terminal(monkeypatch, 300)
    result = cts(command)
    assert acted_on(COLOURS.sub("", result.stdout)) == set()
    assert SEEN in COLOURS.sub("", result.stdout)


def test_a_log_keeps_its_lines_and_tabs(account: Account) -> None:
    result = cts("logs", run_id("web"))
    assert result.stdout == f"Plan: 1 to add\n{SEEN}\n\tmore\n"


@pytest.mark.parametrize("command", ["runs", "status"])
def test_json_is_exact(account: Account, command: str) -> None:
    result = cts(command, "--json")
    assert_shown(result)
    assert f"web{HOSTILE}" in texts(json.loads(result.stdout))


def texts(value: Any) -> list[str]:
    match value:
        case str():
            return [value]
        case dict():
            return [text for each in value.items() for part in each for text in texts(part)]
        case list():
            return [text for each in value for text in texts(each)]
    return []


# ---- the screen itself ----------------------------------------------------------------------


@pytest.mark.parametrize(
    "what",
    [
        pytest.param(f"a{HOSTILE}", id="string"),
        pytest.param(Text(f"a{HOSTILE}"), id="text"),
        pytest.param(Text("a").append(HOSTILE, "red"), id="appended"),
        pytest.param(Text.assemble("a", (HOSTILE, "bold")), id="assembled"),
    ],
)
def test_all_of_a_text_is_shown(what: Any) -> None:
    assert printed(what) == f"a{SEEN}\n"


def test_of_a_text_made_elsewhere_nothing_is_obeyed() -> None:
    assert acted_on(printed(rich.text.Text(HOSTILE))) == set()


def test_a_string_may_have_lines_and_a_text_is_one() -> None:
    assert printed("a\nb") == "a\nb\n"
    assert printed(Text("a\nb")) == "a\\nb\n"


def printed(what: Any) -> str:
    file = io.StringIO()
    Console(file=file, width=500).print(what, soft_wrap=True)
    return file.getvalue()


@pytest.mark.parametrize("text", ["日本\u3000語", "a\u00a0b", "naïve ✓ │", "🙂"])
def test_what_can_be_seen_stays(text: str) -> None:
    assert printable(text) == text


def test_characters_that_are_not_text_are_shown() -> None:
    assert printable("caf\udce9") == "caf\\udce9"
