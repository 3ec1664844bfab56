"""The clients of the adapters: built once each, on first use."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from cts import settings
from cts.events import TaskTriggered
from cts.keys import RUN_ID, task_of
from cts.settings import Hcp, Store, Tracked, Warm
from cts.wiring import drivers, runner, stores
from tests.bench import imports
from tests.fake_session import FakeSession, fake_session

STORE = Store(table="t", work_bucket="w", bus="b", run_days=90)
WARM = Warm("executor", 900.0, 4_000_000_000)


@pytest.fixture
def session(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeSession]:
    with fake_session(monkeypatch) as made:
        yield made


def test_a_tables_client_is_built_at_once_and_only_once(session: FakeSession) -> None:
    stores.table(STORE)
    stores.table(STORE)
    assert session.built == ["dynamodb"]


def test_other_clients_are_built_when_they_are_used(session: FakeSession) -> None:
    bus = stores.bus(STORE)
    stores.bucket(STORE)
    drivers.drivers(
        STORE, Tracked("p", "role", 5, Hcp("https://app.terraform.io", "", "arn"), WARM)
    )
    assert session.built == []
    bus.send([TaskTriggered("web")])
    bus.send([TaskTriggered("web")])
    assert session.built == ["events"]


def test_two_runs_of_one_second_have_ids_of_their_own_and_say_whose_they_are() -> None:
    first, second = (runner.new_run_id("my-web-2") for _ in range(2))
    assert first != second
    for each in (first, second):
        assert RUN_ID.fullmatch(each)
        assert task_of(each) == "my-web-2"


def test_the_benchmark_sets_what_functions_require() -> None:
    required = re.findall(r'required\(env, "(\w+)"', Path(settings.__file__).read_text())
    assert required
    assert {*required} <= imports.ENVIRONMENT.keys()
