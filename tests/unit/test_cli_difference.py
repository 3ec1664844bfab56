"""What a push says it would change of what is live."""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cts.config.api_tasks import ApiTask, objects
from cts.config.compile import CONTRACT
from cts.config.written import as_written
from cts.generation import Waiting
from tests.unit.cli_fakes import Account, cts, deployed, folder, lines, task

OTHER_COMPILER = (
    "the stack's version differs from this command's, so which of the other tasks change is "
    "only known once published"
)


@pytest.fixture
def account(monkeypatch: pytest.MonkeyPatch) -> Account:
    return deployed(monkeypatch)


@pytest.fixture
def conf(tmp_path: Path) -> Path:
    return folder(tmp_path, task("web"))


def test_the_first_push_adds_everything(account: Account, conf: Path) -> None:
    result = cts("push", conf)
    assert result.exit_code == 0
    assert lines(result.stdout) == [
        "nothing is live yet:",
        "+ web",
        "✓ published as generation 1 in 0.0 s",
    ]


def test_a_push_tells_what_it_changes_of_what_is_live(account: Account, conf: Path) -> None:
    account.was_pushed(folder(conf, task("same"), task("lb"), task("old")))
    result = cts("push", folder(conf, task("same"), task("lb", "api"), task("new")), "--yes")
    assert lines(result.stdout) == [
        "compared with generation 1:",
        "+ new",
        "~ lb",
        "- old",
        "= 1 unchanged",
        "✓ published as generation 2 in 0.0 s",
    ]


CREATED = ApiTask(
    "edge",
    {"name": "edge", "module": "acme/edge/x", "condition": {"services": {"names": ["web"]}}},
)


def test_a_task_that_was_created_through_the_api_stays(account: Account, conf: Path) -> None:
    account.was_pushed(conf)
    account.api_tasks.put(CREATED, None)
    account.publish()
    result = cts("push", folder(conf, task("web"), task("new")))
    assert lines(result.stdout)[:3] == ["compared with generation 2:", "+ new", "= 2 unchanged"]
    assert result.exit_code == 0
    live = account.world.table.live
    assert live
    assert {*account.world.bucket.generation(live).tasks} == {"edge", "new", "web"}


def test_what_was_set_through_the_api_is_no_difference(account: Account, conf: Path) -> None:
    account.was_pushed(folder(conf, task("web"), task("old")))
    set_ = ApiTask(
        "web",
        fields={"module": "acme/other/x", "enabled": False},
        over={"module": "./modules/m", "enabled": True},
    )
    account.api_tasks.put(set_, None)
    shown = task_object(conf, "old")
    account.api_tasks.put(ApiTask("old", deleted=True, over=shown), None)
    account.publish()
    same = cts("push", folder(conf, task("web"), task("old")), "--dry-run")
    assert lines(same.stdout) == [
        "compared with generation 2:",
        "= 1 unchanged",
        "! old stays deleted, as set through the API: it comes back when a push changes it",
    ]
    assert json.loads(cts("push", conf, "--dry-run", "--json").stdout)["deleted"] == ["old"]
    changed = folder(conf, task("web").replace("./modules/m", "acme/third/x"), task("old", "api"))
    found = cts("push", changed, "--dry-run")
    assert [each[:5] for each in lines(found.stdout)[1:]] == ["+ old", "~ web"]
    assert json.loads(cts("push", changed, "--dry-run", "--json").stdout)["deleted"] == []
    cts("push", changed, "--yes")  # which ends what was set
    again = cts("push", folder(conf, task("web"), task("old", "api")), "--dry-run")
    assert lines(again.stdout)[1:] == ["~ web", "= 1 unchanged"]


def task_object(conf: Path, name: str) -> Mapping[str, Any]:
    """As a push has it."""
    files = {"tasks.hcl": (conf / "tasks.hcl").read_bytes()}
    files["modules/m/main.tf"] = (conf / "modules/m/main.tf").read_bytes()
    return objects(*as_written(files, {}))[name]


def test_a_draft_is_no_difference(account: Account, conf: Path) -> None:
    account.was_pushed(conf)
    account.api_tasks.put(replace(CREATED, draft_until=float(2**40)), None)
    account.publish()
    assert lines(cts("push", conf, "--dry-run").stdout)[1:] == ["= 1 unchanged"]


def test_what_does_not_fit_what_was_created_is_left_to_the_publisher(
    account: Account, conf: Path
) -> None:
    account.was_pushed(conf)
    account.api_tasks.put(replace(CREATED, task={**CREATED.task, "module": "./modules/m"}), None)
    account.publish()
    (conf / "tasks.hcl").write_text(task("web").replace("./modules/m", "acme/edge/x"))
    result = cts("push", conf, "--yes")
    assert lines(result.stdout)[:2] == ["compared with generation 2:", "~ web"]
    assert "rejected: 1 problem" in result.stdout


def test_one_that_waits_stays_too(account: Account, conf: Path) -> None:
    account.was_pushed(conf)
    world, live = account.world, account.world.table.live
    assert live
    entry = world.bucket.generation(live).tasks["web"]
    world.waiting["edge"] = Waiting(entry.definition, ("something",), created=True)
    world.publish(live)
    result = cts("push", conf, "--dry-run")
    assert (result.exit_code, "edge" in result.stdout) == (0, False)


def test_a_push_of_its_name_says_so_and_asks(account: Account, conf: Path) -> None:
    account.was_pushed(conf)
    account.api_tasks.put(CREATED, None)
    account.publish()
    result = cts("push", folder(conf, task("web"), task("edge")))
    told = "~ edge replaces the task that was created through the API"
    assert told in [" ".join(line.split()) for line in lines(result.stdout)]
    assert "replace 1 task (edge) created through the API" in result.stdout + result.stderr
    assert result.exit_code == 2
    assert cts("push", conf, "--yes").exit_code == 0


def test_what_another_compiler_made_is_told_apart_by_name_only(
    account: Account, conf: Path
) -> None:
    account.was_pushed(folder(conf, task("same"), task("old")))
    assert account.world.table.live
    account.world.table.live = replace(account.world.table.live, contract=1)
    shown = lines(cts("push", folder(conf, task("same"), task("new")), "--yes").stdout)
    assert shown[:4] == [
        "compared with generation 1:",
        "+ new",
        "- old",
        OTHER_COMPILER,
    ]


def test_what_does_not_run_yet_is_told(account: Account, conf: Path) -> None:
    cloud = 'driver "terraform-cloud" {\n  organization = "example"\n}\n'
    cloud += 'serverless {\n  git_ssh_key = "{{ env \\"KEY\\" }}"\n}\n'
    first = lines(cts("push", folder(conf, cloud, task("dns"))).stdout)
    waits = 'dns accepted, does not run yet: git_ssh_key with driver "terraform-cloud"'
    assert f"+ {waits}" in first
    again = lines(cts("push", conf).stdout)
    assert again[-3:] == [
        "compared with generation 1:",
        f"= {waits}",
        "✓ published as generation 2 in 0.0 s",
    ]


def test_a_task_that_had_to_wait_and_now_runs_is_a_changed_one(
    account: Account, conf: Path
) -> None:
    account.was_pushed(conf)
    world, live = account.world, account.world.table.live
    assert live
    entry = world.bucket.generation(live).tasks["web"]
    world.waiting["web"] = Waiting(entry.definition, ("something",))
    world.publish(live)
    assert "~ web" in lines(cts("push", conf).stdout)


DISABLED = ("module =", "enabled = false\n  module =")
BUFFER = ("module =", 'buffer_period {\n    min = "1s"\n    max = "4s"\n  }\n  module =')
NO_BUFFER = ("module =", "buffer_period {\n    enabled = false\n  }\n  module =")
OTHER_SERVICE = ('["web"]', '["api"]')


@pytest.mark.parametrize("contract", [CONTRACT, CONTRACT - 1])
@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        ([DISABLED], [], "~ web enabled: catches up on changes"),
        ([], [DISABLED], "~ web disabled: no longer runs"),
        ([], [BUFFER], "~ web buffer period 1 s to 4 s"),
        ([], [NO_BUFFER], "~ web no buffer period"),
        ([DISABLED], [BUFFER], "~ web enabled: catches up on changes, buffer period 1 s to 4 s"),
    ],
)
def test_settings_that_change_are_told(
    account: Account,
    conf: Path,
    before: list[tuple[str, str]],
    after: list[tuple[str, str]],
    told: str,
    contract: int,
) -> None:
    """Also of what another compiler made."""
    account.was_pushed(folder(conf, changed(task("web"), before)))
    assert account.world.table.live
    account.world.table.live = replace(account.world.table.live, contract=contract)
    shown = lines(cts("push", folder(conf, changed(task("web"), after))).stdout)
    assert shown[1] == told
    assert "= 1 unchanged" not in shown


@pytest.mark.parametrize(
    ("after", "told"),
    [
        ([OTHER_SERVICE, BUFFER], "~ web runs again, buffer period 1 s to 4 s"),
        ([OTHER_SERVICE, DISABLED], "~ web disabled: no longer runs"),
    ],
)
def test_settings_may_change_with_the_rest(
    account: Account, conf: Path, after: list[tuple[str, str]], told: str
) -> None:
    account.was_pushed(conf)
    shown = lines(cts("push", folder(conf, changed(task("web"), after))).stdout)
    assert shown[1] == told


def test_a_new_task_that_is_disabled_is_told(account: Account, conf: Path) -> None:
    shown = lines(cts("push", folder(conf, changed(task("lb"), [DISABLED]))).stdout)
    assert shown[1] == "+ lb (disabled)"


def changed(text: str, changes: list[tuple[str, str]]) -> str:
    for old, new in changes:
        text = text.replace(old, new)
    return text


def test_what_the_stack_says_of_the_changes_is_told_if_it_is_something_else(
    account: Account, conf: Path
) -> None:
    """Who may not look at the bundle doesn't notice a push in between."""
    account.was_pushed(conf)
    account.may_look = False
    account.before_put.append(lambda: cts("push", folder(conf, task("web", "api"))))
    shown = lines(cts("push", conf).stdout)
    assert shown[-3:] == ["= 1 unchanged", "✓ published as generation 3 in 0.0 s", "~ web"]


def test_a_push_says_what_the_api_keeps_enabled_or_disabled(
    account: Account, tmp_path: Path
) -> None:
    cts("push", folder(tmp_path, task("web"), task("api")), "--yes")
    off = ApiTask(
        "web", fields={"enabled": False}, over={"enabled": True}, by="ann", changed_at=1.0
    )
    account.api_tasks.put(off, None)
    account.publish()
    result = cts("push", folder(tmp_path, task("web"), task("api")), "--yes")
    assert "= 2 unchanged" in lines(result.stdout)
    told = "! web stays disabled, as set through the API: `cts task enable web` ends that"
    assert lines(result.stdout).count(told) == 1, result.stdout
    assert "api stays" not in result.stdout
    disabled = task("web").replace("task {", "task {\n  enabled = false")
    assert "stays" not in cts("push", folder(tmp_path, disabled), "--yes").stdout
