"""Logs of runs: the one in progress, the next ones, and as JSON."""

import json
from collections.abc import Iterator

import pytest

from cts.run.state import TaskState
from cts_cli import waits
from tests.unit.cli_fakes import Account, cts, deployed, lines
from tests.unit.reader_fakes import applied, errored


@pytest.fixture
def account(monkeypatch: pytest.MonkeyPatch) -> Account:
    account = deployed(monkeypatch)
    account.world.add(TaskState("web"))
    account.world.ran(applied())
    account.world.write_log(applied(), "first\n")
    return account


def test_the_logs_of_the_next_runs_follow(
    account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    later = [errored("web", 2), applied("web", 3)]

    def every(_seconds: float, _at_most: float = 0.0) -> Iterator[float]:
        """Time passes, and a run is made meanwhile, as long as there are some."""
        yield 0.0
        if later:
            run = later.pop(0)
            account.world.ran(run)
            account.world.write_log(run, f"log of {run.id}\n")
            yield 1.0

    monkeypatch.setattr(waits, "every", every)
    ids = [run.id for run in later]
    result = cts("logs", "web", "--follow")
    assert result.exit_code == 0
    assert lines(result.stdout) == ["first", *(f"log of {each}" for each in ids)]
    assert [each for each in ids if f"{each}: " in result.stderr] == ids


def test_a_log_as_json_is_with_its_run(account: Account) -> None:
    result = cts("logs", "web", "--json")
    found = json.loads(result.stdout)
    assert (result.exit_code, found["status"], found["log"]) == (0, "applied", "first\n")
    account.world.ran(errored("web", 2))
    result = cts("logs", "web", "--json")
    assert (result.exit_code, json.loads(result.stdout)["log"]) == (1, None)


def test_json_does_not_follow(account: Account) -> None:
    assert cts("logs", "web", "--follow", "--json").exit_code == 2


def test_ctrl_c_ends_it(account: Account) -> None:
    account.interrupted = True
    assert cts("logs", applied().id, "--follow").exit_code == 130
