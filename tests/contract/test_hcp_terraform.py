"""The driver of HCP Terraform, on the test server: real HTTP, real Terraform."""

import tarfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from cts.events import ApprovalNeeded, RunFinished
from cts.run.leaving import asked_to_leave, is_destroyed
from cts.run.model import Run, RunStatus
from cts.run.person import ask
from cts.run.place import released
from cts.run.state import Reason
from cts.workflow.start import StartOutcome
from local.hcp.server import HcpServer
from tests.contract.hcp_world import MODULE, READER, HcpWorld, server

COUNTING = """
variable "services" { type = any }
resource "terraform_data" "one" { input = length(var.services) }
"""
SLOW = """
variable "services" { type = any }
resource "terraform_data" "one" {
  provisioner "local-exec" { command = "sleep 60" }
}
"""
BROKEN = """
variable "services" { type = any }
resource "terraform_data" "one" {
  lifecycle {
    precondition {
      condition     = length(var.services) == 0
      error_message = "no instance may have a port"
    }
  }
}
"""


@pytest.fixture
def hcp(tmp_path: Path) -> Iterator[HcpServer]:
    with server(tmp_path) as made:
        yield made


@pytest.fixture
def world(hcp: HcpServer) -> Iterator[HcpWorld]:
    made = HcpWorld(hcp)
    made.cloud_task()
    made.web(80)
    yield made
    made.close()


def test_a_run_is_created_applied_and_recorded(world: HcpWorld) -> None:
    run = world.started()
    found = world.reaches("applied")
    assert run.build == f"{world.server.address}/app/acme/workspaces/net-web/runs/{found}"
    ended = world.swept()
    assert (ended.status, ended.end and ended.end.counts) == (
        RunStatus.APPLIED,
        {"add": 1, "change": 0, "destroy": 0},
    )
    attributes = world.workspace["attributes"]
    assert (attributes["auto-apply"], attributes["tag-names"]) == (True, ["source:cts"])
    assert [*world.applied().values()] == [80]
    assert b"Apply complete!" in (world.bucket.run_object("web", run.id, "log") or b"")
    [told] = world.bus.of(RunFinished)
    assert (told.run_id, told.status) == (run.id, "applied")
    assert world.table.slots() == frozenset()


def leaves(world: HcpWorld, reason: Reason = Reason.DESTROY) -> None:
    """A run that destroys what the task has created, or only plans that, begins."""
    world.tasks["web"] = replace(world.tasks["web"], leaving="r-1", enabled=False)
    world.publish()
    state, now = world.table.state("web"), world.clock()
    plan = ask(state, now, "r-0", reason=reason)
    world.put(asked_to_leave(state, "r-1", "ann", now) if reason is Reason.DESTROY else plan)
    assert world.start("web") is StartOutcome.STARTED


def test_a_run_that_destroys_leaves_nothing(world: HcpWorld) -> None:
    world.started()
    world.reaches("applied")
    world.swept()
    destroys, plans = ("applied", RunStatus.APPLIED), ("planned_and_finished", RunStatus.PLANNED)
    for reason, (reached, status) in {
        Reason.INSPECT_DESTROY: plans,
        Reason.DESTROY: destroys,
    }.items():
        leaves(world, reason)
        world.reaches(reached)
        attributes = world.runs()[0].attributes
        assert attributes["is-destroy"] is True
        assert attributes["plan-only"] is (reason is Reason.INSPECT_DESTROY)
        ended = world.swept()
        assert (ended.status, ended.end and ended.end.counts) == (
            status,
            {"add": 0, "change": 0, "destroy": 1},
        )
    assert is_destroyed(world.table.state("web"), "r-1")
    assert world.applied() == {}


def test_a_run_that_destroys_is_created_once(world: HcpWorld) -> None:
    """Who starts it again finds it."""
    world.started()
    world.reaches("applied")
    world.swept()
    leaves(world)
    world.reaches("applied")
    run = world.running("web")
    archive = world.bucket.archive("web", run.id)
    assert archive
    assert world.driver_of(world.http).start(run, archive) == run.build
    assert len(world.runs()) == 2


class WithoutInclude(httpx.BaseTransport):
    """A server that ignores `include`, as some do."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self._real = httpx.HTTPTransport(verify=False)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        request.url = request.url.copy_remove_param("include")
        self.asked.append(request.url.path)
        return self._real.handle_request(request)

    def close(self) -> None:
        self._real.close()


def test_a_plan_and_an_apply_that_are_not_included_are_asked_for(hcp: HcpServer) -> None:
    server = WithoutInclude()
    world = HcpWorld(hcp, server)
    world.cloud_task()
    world.web(80)
    run = world.started()
    world.reaches("applied")
    ended = world.swept()
    assert ended.end is not None
    assert (ended.end.counts, ended.end.apply_began) == (
        {"add": 1, "change": 0, "destroy": 0},
        True,
    )
    assert b"Apply complete!" in (world.bucket.run_object("web", run.id, "log") or b"")
    for kind in ("plans", "applies"):
        assert any(path.startswith(f"/api/v2/{kind}/") for path in server.asked)
    world.close()


def test_the_message_of_a_run_names_what_changed(world: HcpWorld) -> None:
    said = []
    for ports in ([80], [81, 82]):
        world.web(*ports)
        run = world.started()
        world.reaches("applied")
        said.append(world.runs()[0].attributes["message"].removesuffix(f" ({run.id})"))
        assert world.swept().status is RunStatus.APPLIED
    because = "Consul-Terraform-Sync: task web, because of: change; service web: "
    assert said == [
        f"{because}node-80/web-80 came",
        f"{because}node-81/web-81 came, node-82/web-82 came, node-80/web-80 left",
    ]
    assert b"node-81/web-81" in (world.bucket.run_object("web", run.id, "delta.json") or b"")


def test_the_configuration_is_uploaded_once_while_the_root_module_stays(world: HcpWorld) -> None:
    for port in (80, 81, 82):
        world.web(port)
        world.started()
        world.reaches("applied")
        assert world.swept().status is RunStatus.APPLIED
    assert len(world.server.store.configurations) == 1
    world.cloud_task('variable "services" { type = any }')
    world.started()
    world.reaches("applied")
    assert len(world.server.store.configurations) == 2


def test_more_data_than_run_variables_take_is_a_file_of_the_configuration(world: HcpWorld) -> None:
    world.cloud_task(COUNTING)
    world.web(*range(1, 400))
    run = world.started()
    world.reaches("applied")
    assert world.swept().status is RunStatus.APPLIED
    assert world.applied() == {None: 399}
    [created] = world.runs()
    assert created.variables == {}
    archive = world.server.store.configurations[created.configuration].archive
    with tarfile.open(archive) as tar:
        assert "inputs.auto.tfvars" in tar.getnames()
    assert run.id in created.attributes["message"]


def test_another_workspace_is_not_made_before_the_state_was_moved(world: HcpWorld) -> None:
    world.started()
    world.reaches("applied")
    world.swept()
    world.cloud_task(workspace="other-web")
    world.observe("web")
    assert world.start("web") is StartOutcome.NOT_DUE
    host = world.server.address.removeprefix("http://")
    home = f"HCP Terraform's workspace {host}/acme/net-web"
    assert home in (world.table.state("web").hold or "")
    assert world.server.store.named("acme", "other-web") is None
    world.put(released(world.table.state("web"), "ann", world.clock()))
    world.started()
    assert world.server.store.named("acme", "other-web")


def test_a_run_for_another_server_is_not_started(world: HcpWorld) -> None:
    """The stack may have been deployed with another address since the push."""
    world.cloud_task(hostname="https://tfe.example.com")
    world.observe("web")
    assert world.start("web") is StartOutcome.REFUSED
    [ended] = world.table.runs("web", 1)
    assert ended.end is not None
    assert "it is for https://tfe.example.com, but" in (ended.end.error or "")
    assert f"HcpAddress={world.server.address}: push" in (ended.end.error or "")
    assert world.server.answered == []


# ---- what people do in HCP Terraform ---------------------------------------------------------


def forget(world: HcpWorld) -> None:
    """As if the task had never run here: what is in its workspace is someone else's."""
    world.table.stored_states.clear()
    world.table.stored_runs.clear()
    world.table.held_slots.clear()


def waiting(world: HcpWorld) -> Run:
    """A run that waits for its approval in a workspace that someone has made."""
    world.needs_approval()
    run = world.started()
    world.reaches("planned")
    return run


def test_a_run_that_waits_for_its_approval_says_so_and_where_and_holds_no_slot(
    world: HcpWorld,
) -> None:
    run = waiting(world)
    shown = world.swept()
    assert shown.waits == f"waits for a decision in HCP Terraform: {run.build}"
    assert (shown.status, world.table.slots()) == (RunStatus.PENDING, frozenset())
    [told] = world.bus.of(ApprovalNeeded)
    assert (told.run_id, told.url) == (run.id, run.build)
    world.act(world.runs()[0].id, "apply")
    world.reaches("applied")
    assert world.swept().status is RunStatus.APPLIED


def test_what_a_person_discards_is_not_tried_again_until_something_changes(world: HcpWorld) -> None:
    run = waiting(world)
    world.act(world.runs()[0].id, "discard")
    ended = world.swept()
    assert ended.end is not None
    assert (ended.status, ended.end.apply_began) == (RunStatus.ERRORED, False)
    assert ended.end.error == f"it was discarded in HCP Terraform: see {run.build}"
    state = world.table.state("web")
    assert "a person or a policy has stopped it" in (state.gave_up or "")
    world.observe("web")
    assert world.start("web") is StartOutcome.NOT_DUE
    world.web(81)
    world.started()


def test_a_newer_change_takes_the_place_of_a_run_that_waits(world: HcpWorld) -> None:
    run = waiting(world)
    world.web(81)
    world.observe("web")
    assert world.swept().status is RunStatus.CANCELED
    [discarded] = world.runs()
    assert discarded.status == "discarded"
    assert world.start("web") is StartOutcome.STARTED
    newer = world.running("web")
    assert newer.id != run.id
    world.act(world.reaches("planned"), "apply")
    world.reaches("applied")
    assert world.swept().status is RunStatus.APPLIED
    assert [*world.applied().values()] == [81]


def test_no_change_takes_the_place_of_a_run_that_destroys(world: HcpWorld) -> None:
    waiting(world)
    world.act(world.runs()[0].id, "apply")
    world.reaches("applied")
    world.swept()
    leaves(world)
    found = world.reaches("planned")
    world.web(81)
    world.observe("web")
    assert world.swept().status is RunStatus.PENDING
    world.act(found, "apply")
    world.reaches("applied")
    assert world.swept().status is RunStatus.APPLIED
    assert world.applied() == {}


def test_a_run_that_destroys_is_discarded_when_its_task_is_kept(world: HcpWorld) -> None:
    waiting(world)
    world.act(world.runs()[0].id, "apply")
    world.reaches("applied")
    world.swept()
    leaves(world)
    world.reaches("planned")
    world.tasks["web"] = replace(world.tasks["web"], leaving="", enabled=True)
    world.publish()
    assert world.swept().status is RunStatus.CANCELED
    assert world.runs()[0].status == "discarded"
    assert world.start("web") is StartOutcome.NOT_DUE
    assert [*world.applied().values()] == [80]


def test_a_run_that_a_person_cancels_says_so(world: HcpWorld) -> None:
    world.cloud_task(SLOW)
    world.started()
    found = world.applies_so_far("Executing")
    world.act(found, "cancel")
    world.reaches("canceled")
    ended = world.swept()
    assert ended.end is not None
    assert "it was cancelled in HCP Terraform: see http" in (ended.end.error or "")
    assert (ended.end.apply_began, ended.end.retryable) == (True, False)


def test_an_error_of_the_module_is_told_as_terraform_says_it(world: HcpWorld) -> None:
    world.cloud_task(BROKEN)
    world.started()
    world.reaches("errored")
    ended = world.swept()
    assert ended.end is not None
    assert (ended.status, ended.end.apply_began) == (RunStatus.ERRORED, False)
    assert "Error: Resource precondition failed" in (ended.end.error or "")
    assert "no instance may have a port" in (ended.end.error or "")
    assert world.table.state("web").retry_at is not None


def test_a_locked_workspace_and_the_run_of_someone_else_are_waited_for(world: HcpWorld) -> None:
    waiting(world)
    foreign, workspace = world.runs()[0].id, world.workspace["id"]
    forget(world)
    run = world.started()
    shown = world.swept()
    expected = f"waits for run {foreign}, which comes before it in the workspace net-web"
    assert (shown.id, shown.waits) == (run.id, expected)
    with world.server.store.changed:  # no run takes the lock in between
        world.server.store.runs[foreign].status = "discarded"
        world.server.store.workspaces[workspace].locked_by = ("users", "user-person")
        world.server.store.changed.notify_all()
    shown = world.swept()
    assert "waits for the workspace net-web, which user-person has locked" in (shown.waits or "")
    assert {each.run_id for each in world.bus.of(ApprovalNeeded)} == set()
    world.api.post(f"/workspaces/{workspace}/actions/unlock", json={}).raise_for_status()
    world.act(world.reaches("planned"), "apply")
    world.reaches("applied")
    assert world.swept().status is RunStatus.APPLIED


def test_a_token_that_may_not_do_it_says_what_to_look_at(world: HcpWorld) -> None:
    world.token.token = READER
    world.observe("web")
    assert world.start("web") is StartOutcome.REFUSED
    [ended] = world.table.runs("web", 1)
    assert ended.end is not None
    assert "creating the workspace net-web of organization acme" in (ended.end.error or "")
    assert "the token is not allowed to do this" in (ended.end.error or "")
    assert world.table.slots() == frozenset()
    world.token.token = "invalid"
    world.clock.now += 60
    assert world.start("web") is StartOutcome.REFUSED
    [ended] = world.table.runs("web", 1)
    assert ended.end is not None
    assert "`cts secret set TFC_TOKEN`" in (ended.end.error or "")


def test_a_run_that_the_server_refuses_has_failed_and_may_be_tried_again(world: HcpWorld) -> None:
    world.started()
    world.reaches("applied")
    world.swept()
    world.token.token = READER
    world.web(81)
    world.observe("web")
    assert world.start("web") is StartOutcome.REFUSED
    [ended] = world.table.runs("web", 1)
    assert ended.end is not None
    assert "creating run" in (ended.end.error or "")
    assert (ended.status, world.table.slots()) == (RunStatus.ERRORED, frozenset())
    assert ended.retry_at is not None


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"execution-mode": "local"}, "its execution mode must be remote or agent"),
        ({"vcs-repo": {"identifier": "a/b"}}, "connected to a VCS repository"),
    ],
)
def test_a_workspace_that_can_not_be_automated_is_refused(
    world: HcpWorld, change: dict[str, Any], told: str
) -> None:
    body = {"data": {"type": "workspaces", "attributes": {"name": "net-web", **change}}}
    world.api.post("/organizations/acme/workspaces", json=body).raise_for_status()
    world.observe("web")
    assert world.start("web") is StartOutcome.REFUSED
    [ended] = world.table.runs("web", 1)
    assert told in ((ended.end and ended.end.error) or "")


def test_tags_are_added_and_those_that_are_forbidden_refuse_a_workspace(world: HcpWorld) -> None:
    waiting(world)
    forget(world)
    world.cloud_task(tags=["team:net"], tags_allowlist=["team:net"])
    world.started()
    assert world.workspace["attributes"]["tag-names"] == ["team:net"]
    forget(world)
    for option, tags in (("tags_denylist", ["team:net"]), ("tags_allowlist", ["other"])):
        world.cloud_task(MODULE, None, **{option: tags})
        forget(world)
        world.observe("web")
        assert world.start("web") is StartOutcome.REFUSED


def test_a_plan_that_a_person_asks_for_applies_nothing(world: HcpWorld) -> None:
    world.put(ask(world.table.state("web"), world.clock(), "c", reason=Reason.INSPECT))
    assert world.start("web") is StartOutcome.STARTED
    world.reaches("planned_and_finished")
    ended = world.swept()
    assert (ended.status, ended.end and ended.end.counts) == (
        RunStatus.PLANNED,
        {"add": 1, "change": 0, "destroy": 0},
    )
    found = world.server.store.named("acme", "net-web")
    assert found is not None
    assert not found.state.exists()


def test_an_agent_pool_is_found_by_its_name(world: HcpWorld) -> None:
    world.cloud_task(execution_mode="agent", agent_pool_name="network")
    world.started()
    assert world.workspace["attributes"]["execution-mode"] == "agent"
    forget(world)
    world.cloud_task(execution_mode="agent", agent_pool_name="other", workspace="net-other")
    world.observe("web")
    assert world.start("web") is StartOutcome.REFUSED
