"""Notifications of HCP Terraform: signed, forged, lost, late, and more than once."""

from __future__ import annotations

import hashlib
import hmac
import json
from typing import TYPE_CHECKING, Any

import pytest

from cts.adapters.hcp_notifications import SIGNATURE, key_of
from cts.events import RunFinished
from cts.run.model import RunStatus
from cts.workflow import track
from tests.contract.hcp_inbox import Inbox
from tests.contract.hcp_world import OWNER, HcpWorld, server

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from local.hcp.server import HcpServer


@pytest.fixture
def hcp(tmp_path: Path) -> Iterator[HcpServer]:
    with server(tmp_path) as made:
        made.api.engine.instant = True
        yield made


@pytest.fixture
def inbox() -> Iterator[Inbox]:
    with Inbox() as made:
        yield made


@pytest.fixture
def world(hcp: HcpServer, inbox: Inbox) -> Iterator[HcpWorld]:
    made = HcpWorld(hcp, notified_at=inbox.url)
    made.cloud_task()
    made.web(80)
    yield made
    made.close()


def test_a_notification_ends_a_run_at_once_and_only_once(world: HcpWorld, inbox: Inbox) -> None:
    run = world.started()
    event = inbox.about("run:completed")
    [settled] = world.hears(event).settled
    assert (settled.id, settled.status) == (run.id, RunStatus.APPLIED)
    assert world.hears(event).settled == [], "doubled"
    assert world.swept().status is RunStatus.APPLIED, "and the sweep finds nothing to do"
    assert len(world.bus.of(RunFinished)) == 1
    world.web(81)
    newer = world.started()
    assert world.hears(event).settled == [], "a late one says nothing of the newer run"
    assert world.running("web").id == newer.id


def test_the_sweep_finds_what_a_lost_notification_would_have_told(world: HcpWorld) -> None:
    world.started()
    world.reaches("applied")
    assert world.swept().status is RunStatus.APPLIED


def test_it_is_set_up_once_for_a_workspace(world: HcpWorld) -> None:
    for port in (80, 81):
        world.web(port)
        world.started()
        world.reaches("applied")
        world.swept()
    [made] = world.get(f"/workspaces/{world.workspace['id']}/notification-configurations")
    assert made["attributes"]["triggers"] == [
        "run:needs_attention",
        "run:completed",
        "run:errored",
    ]
    assert OWNER not in json.dumps(made)


def test_another_key_takes_the_place_of_the_former_one(world: HcpWorld, inbox: Inbox) -> None:
    world.started()
    inbox.about("run:completed")
    world.reaches("applied")
    world.swept()
    world.token.token = "hcp-person-token"
    world.web(81)
    world.started()
    found = world.get(f"/workspaces/{world.workspace['id']}/notification-configurations")
    assert len(found) == 1
    assert world.hears(inbox.about("run:completed", nth=2)).settled != []


@pytest.mark.parametrize(
    "changed",
    [
        {"headers": {}},
        {"headers": {SIGNATURE: ""}},
        {"headers": {SIGNATURE: "0" * 128}},
        {"body": "{}"},
        {"isBase64Encoded": True},
        {"isBase64Encoded": True, "body": "A"},
        {"headers": {SIGNATURE: "\u00e9"}},
    ],
)
def test_a_forged_one_changes_nothing(
    world: HcpWorld, inbox: Inbox, changed: dict[str, Any]
) -> None:
    run = world.started()
    event = {**inbox.about("run:completed"), **changed}
    requests = len(world.server.answered)
    report = track.track(world.track_ports, event)
    assert report == track.TrackReport(forged=True)
    assert world.running("web").id == run.id
    assert len(world.server.answered) == requests


@pytest.mark.parametrize("message", [None, "", "Queued manually", "(web)", "(no-such-run-1)"])
def test_a_signed_one_about_something_else_is_left(world: HcpWorld, message: str | None) -> None:
    body = json.dumps({"run_id": "run-1", "run_message": message})
    signature = hmac.new(key_of(OWNER).encode(), body.encode(), hashlib.sha512).hexdigest()
    event = {"requestContext": {}, "headers": {SIGNATURE: signature}, "body": body}
    report = track.track(world.track_ports, event)
    assert report == track.TrackReport()


def test_one_that_comes_before_the_run_is_recorded_is_understood(
    world: HcpWorld, inbox: Inbox
) -> None:
    run = world.started()
    world.table.stored_runs[run.id] = type(run)(
        **{name: getattr(run, name) for name in run.__slots__} | {"build": None}
    )
    [settled] = world.hears(inbox.about("run:completed")).settled
    assert (settled.status, settled.build) == (RunStatus.APPLIED, run.build)
