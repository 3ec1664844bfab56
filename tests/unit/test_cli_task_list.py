"""The list of tasks as they are configured."""

import json
from pathlib import Path
from typing import Any

import pytest

from cts_cli.tasks import runs_for
from tests.unit.cli_fakes import cts, deployed, folder, lines, task


def test_tasks_are_listed_with_what_they_run_for(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    deployed(monkeypatch)
    off = task("off").replace("task {", "task {\n  enabled = false")
    assert cts("push", folder(tmp_path, task("web"), off)).exit_code == 0
    result = cts("tasks")
    assert (result.exit_code, lines(result.stdout)[2:]) == (
        0,
        ["web yes services web ./modules/m", "off no services web ./modules/m"],
    )
    found = json.loads(cts("tasks", "--json").stdout)["tasks"]
    assert [each["name"] for each in found] == ["web", "off"]


def test_without_tasks_the_command_for_a_push_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    deployed(monkeypatch)
    assert "`cts push`" in cts("tasks").stdout


@pytest.mark.parametrize(
    ("condition", "words"),
    [
        ({"services": {"names": ["a", "b", "c", "d"]}}, "services a, b, c and 1 more"),
        ({"services": {"regexp": "^w"}}, 'services that match "^w"'),
        ({"catalog_services": {"regexp": ""}}, 'the names that match ""'),
        ({"consul_kv": {"path": "a", "recurse": True}}, "KV a and all below"),
        ({"consul_kv": {"path": "a", "recurse": False}}, "KV a"),
        ({"schedule": {"cron": "@daily"}}, "schedule @daily"),
        ({"nodes": {}}, "nodes"),
        ({}, "nothing: it has no condition"),
    ],
)
def test_a_condition_in_words(condition: dict[str, Any], words: str) -> None:
    assert runs_for(condition) == words
