"""The list of what was published."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from cts.config.api_tasks import ApiTask
from tests.unit.cli_fakes import Account, cts, deployed, folder, lines, task
from tests.unit.reader_fakes import NOW

AT = f"{datetime.fromtimestamp(NOW, UTC).astimezone():%Y-%m-%d %H:%M} just now"


@pytest.fixture
def account(monkeypatch: pytest.MonkeyPatch) -> Account:
    return deployed(monkeypatch)


def test_each_says_what_it_changed(account: Account, tmp_path: Path) -> None:
    account.was_pushed(folder(tmp_path, task("web")))
    account.was_pushed(folder(tmp_path, task("web", "api"), task("new")))
    account.was_pushed(folder(tmp_path, task("web", "api"), task("new"), "# a comment\n"))
    result = cts("generations")
    assert result.exit_code == 0
    assert lines(result.stdout)[2:] == [
        f"3 live {AT} 2 no task added, changed or removed",
        f"2 {AT} 2 +new ~web",
        f"1 {AT} 1 +web",
    ]


def test_tasks_that_were_enabled_or_disabled_are_named(account: Account, tmp_path: Path) -> None:
    off = task("web").replace("task {", "task {\n  enabled = false")
    account.was_pushed(folder(tmp_path, task("web"), task("other")))
    account.was_pushed(folder(tmp_path, off, task("other")))
    account.was_pushed(folder(tmp_path, task("web"), task("other"), task("new")))
    assert lines(cts("generations").stdout)[2:4] == [
        f"3 live {AT} 3 +new enabled web",
        f"2 {AT} 2 disabled web",
    ]
    found = json.loads(cts("generations", "--json").stdout)["generations"]
    assert [each["changes"]["disabled"] for each in found] == [[], ["web"], []]


def test_a_task_that_is_only_inspected_is_no_change(account: Account, tmp_path: Path) -> None:
    account.was_pushed(folder(tmp_path, task("web")))
    draft = ApiTask(
        "new",
        {"name": "new", "module": "acme/edge/x", "condition": {"services": {"names": ["web"]}}},
        draft_until=float(2**40),
    )
    account.api_tasks.put(draft, None)
    account.publish()
    assert lines(cts("generations").stdout)[2] == (
        f"2 live {AT} 1 no task added, changed or removed"
    )


def test_only_some_of_many_tasks_are_named(account: Account, tmp_path: Path) -> None:
    account.was_pushed(folder(tmp_path, *(task(f"t{number}") for number in range(7))))
    assert lines(cts("generations").stdout)[-1].endswith("7 +t0 +t1 +t2 +t3 and 3 more")


def test_the_last_of_a_limited_list_says_what_it_changed_too(
    account: Account, tmp_path: Path
) -> None:
    for service in ("a", "b", "c"):
        account.was_pushed(folder(tmp_path, task("web", service)))
    found = json.loads(cts("generations", "--limit", "2", "--json").stdout)["generations"]
    assert [(each["generation"], each["changes"]["changed"]) for each in found] == [
        (3, ["web"]),
        (2, ["web"]),
    ]


def test_it_ends_where_records_are_gone(account: Account, tmp_path: Path) -> None:
    for service in ("a", "b", "c"):
        account.was_pushed(folder(tmp_path, task("web", service)))
    for key in [key for key in account.world.bucket.objects if key.startswith("generations/1-")]:
        account.world.bucket.expire(key)
    assert lines(cts("generations").stdout)[2:] == [
        f"3 live {AT} 1 ~web",
        f"2 {AT} 1 not known",
    ]


def test_a_changed_record_is_told(account: Account, tmp_path: Path) -> None:
    account.was_pushed(folder(tmp_path, task("web")))
    [key] = [key for key in account.world.bucket.objects if key.startswith("generations/1-")]
    account.world.bucket.write(key, account.world.bucket.objects[key][-1] + b" ")
    result = cts("generations")
    assert (result.exit_code, "was changed after it was stored" in result.stderr) == (2, True)


def test_before_the_first_push_it_names_the_command(account: Account) -> None:
    result = cts("generations")
    assert (result.exit_code, "`cts push`" in result.stdout) == (0, True)
    assert json.loads(cts("generations", "--json").stdout) == {"generations": []}
