"""Secrets that are written into tasks: the API takes none, and no answer has one."""

from __future__ import annotations

import json

import pytest

from tests.unit.test_edit import NEW, PUSHED, World, ask, create, error, pushed

CANARY = "hunter2"
TOKEN = "ghp_" + "0123456789" * 4
PRIVATE = "-----BEGIN RSA PRIVATE KEY-----\nMIIabc\n-----END RSA PRIVATE KEY-----"
SECRETS = [
    {"variables": {"password": json.dumps(CANARY)}},
    {"variables": {"passwords": json.dumps([CANARY])}},
    {"variables": {"a": json.dumps(PRIVATE)}},
    {"variables": {"a": json.dumps(TOKEN)}},
    {"module": f"git::https://u:{CANARY}@example.com/edge.git"},
]
PLAIN = {
    "password": '"{{resolve:secretsmanager:edge}}"',
    "token": '""',
    "secret": "null",
    "zone": '"dmz"',
    "ports": "[80, 443]",
}
PUSHED_WITH = PUSHED.replace(
    "  condition",
    f'  variables = {{ password = "\\"{CANARY}\\"", zone = "\\"dmz\\"" }}\n  condition',
).replace("acme/edge/acmefw", f"git::https://u:{CANARY}@example.com/edge.git")


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    return pushed(monkeypatch)


@pytest.mark.parametrize("fields", SECRETS)
def test_a_task_with_a_secret_is_refused_and_stored_nowhere(
    world: World, fields: dict[str, object]
) -> None:
    before = world.system.table.live
    refused = [
        create({**NEW, **fields}),
        create({**NEW, **fields}, "?run=inspect"),
        ask("PATCH", "/v1/tasks/pushed", fields),
        ask("PATCH", "/v1/tasks/pushed?dry_run=true", fields),
        ask("PUT", "/v1/tasks/pushed", {"task": {**NEW, "name": "pushed", **fields}}),
    ]
    for answer in refused:
        code, what = error(answer)
        assert code in (400, 500), what
        assert what.startswith("task."), what
        assert not [each for each in (CANARY, TOKEN, "MIIabc") if each in what]
    assert world.publisher.ports.api_tasks.all() == {}
    assert world.system.table.live == before


def test_references_and_what_is_no_secret_are_taken_and_shown(world: World) -> None:
    code, found = create({**NEW, "variables": PLAIN})
    assert (code, found["task"]["variables"]) == (201, PLAIN)


def test_a_secret_that_was_pushed_is_not_shown_and_not_overwritten(world: World) -> None:
    world.push(PUSHED_WITH)
    shown = world.object("pushed")
    assert shown["variables"] == {"password": "***", "zone": '"dmz"'}
    assert shown["module"] == "git::https://***:***@example.com/edge.git"
    for name in ("variables", "module"):
        code, what = error(ask("PATCH", "/v1/tasks/pushed", {name: shown[name]}))
        assert (code, "stands for a secret that is not shown" in what) == (500, True), what
    code, found = ask("PATCH", "/v1/tasks/pushed?dry_run=true", {"description": "new"})
    assert (code, CANARY in json.dumps(found)) == (200, False)
