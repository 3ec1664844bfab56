"""Bodies of requests that are JSON, and odd."""

from __future__ import annotations

import json

import pytest

from tests.unit.test_edit import NEW, World, ask, error, pushed

LONG = "9" * 5_000


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    return pushed(monkeypatch)


@pytest.mark.parametrize(
    ("written", "read"),
    [
        (r"\ud800", "\ufffd"),
        (r"\uDFFF!", "\ufffd!"),
        (r"\ud800\ud83d\ude00", "\ufffd\U0001f600"),
        (r"\\ud800", r"\ud800"),
        (r"\\\ud800", "\\\ufffd"),
    ],
)
def test_half_a_surrogate_pair_is_read_as_in_cts(world: World, written: str, read: str) -> None:
    body = json.dumps({"task": {**NEW, "description": "?"}}).replace("?", written)
    code, found = ask("POST", "/v1/tasks", body)
    assert (code, found["task"]["description"]) == (201, read)
    code, found = ask("POST", "/v1/tasks/edge/hold", f'{{"why": "{written}"}}')
    assert (code, found["hold"]["why"]) == (200, read)
    assert world.system.table.state("edge").hold == read


@pytest.mark.parametrize(
    ("method", "path", "body", "what"),
    [
        ("POST", "/v1/tasks", LONG, "value must be an object"),
        ("PUT", "/v1/tasks/pushed", f'{{"task": {LONG}}}', "value must be an object"),
        ("PATCH", "/v1/tasks/pushed", LONG, "cannot unmarshal number"),
        ("PATCH", "/v1/tasks/pushed", f'{{"module": -{LONG}}}', "value must be a string"),
        ("POST", "/v1/tasks/pushed/hold", LONG, "must be a JSON object"),
    ],
)
def test_a_number_may_have_any_length(
    world: World, method: str, path: str, body: str, what: str
) -> None:
    code, told = error(ask(method, path, body))
    assert (code, what in told) == (400, True), told
    assert world.tasks == ["pushed"]
