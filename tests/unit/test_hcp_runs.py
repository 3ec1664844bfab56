"""What HCP Terraform says of a run, and what it means here."""

from typing import Any

import pytest

from cts.adapters.hcp_runs import FINAL, HcpRun, end_of, error_in, is_ours, plain
from cts.config.compile import compile_bundle
from cts.run.model import RunStatus
from tests.fakes import RUN

URL = "https://app.terraform.io/app/acme/workspaces/net-web/runs/run-1"
TASK = 'task { name = "web" module = "org/m/aws" condition "services" { names = ["web"] } }'


def of(status: str, confirmable: Any = False, **attributes: Any) -> HcpRun:
    actions = {"is-confirmable": confirmable}
    return HcpRun(
        {"id": "run-1", "attributes": {"status": status, "actions": actions, **attributes}}
    )


@pytest.mark.parametrize(
    ("status", "confirmable", "waits"),
    [
        ("pending", False, False),
        ("planning", False, False),
        ("planned", False, False),
        ("planned", True, True),
        ("cost_estimated", True, True),
        ("policy_checked", True, True),
        ("post_plan_completed", True, True),
        ("post_plan_completed", False, False),
        ("policy_override", False, True),
        ("planned_and_saved", False, True),
        ("applying", False, False),
        ("a_status_of_next_year", True, False),
        ("applied", False, False),
    ],
)
def test_a_run_waits_for_people_if_it_can_be_confirmed(
    status: str, *, confirmable: bool, waits: bool
) -> None:
    assert of(status, confirmable=confirmable).waits == waits


def test_a_status_that_is_not_known_goes_on() -> None:
    assert not of("a_status_of_next_year").is_final
    assert "force_canceled" in FINAL


@pytest.mark.parametrize(
    ("status", "times", "ends", "began", "retryable"),
    [
        ("applied", ["applying-at"], RunStatus.APPLIED, True, True),
        ("planned_and_finished", ["planning-at"], RunStatus.UNCHANGED, False, True),
        ("errored", ["planning-at"], RunStatus.ERRORED, False, True),
        ("errored", ["planning-at", "applying-at"], RunStatus.ERRORED, True, True),
        ("discarded", ["planning-at"], RunStatus.ERRORED, False, False),
        ("canceled", ["applying-at"], RunStatus.ERRORED, True, False),
        ("force_canceled", ["applying-at"], RunStatus.ERRORED, True, False),
        ("policy_soft_failed", [], RunStatus.ERRORED, False, False),
    ],
)
def test_each_end(
    status: str, times: list[str], ends: RunStatus, *, began: bool, retryable: bool
) -> None:
    at = dict.fromkeys(times, "2026-01-01T00:00:00Z")
    end = end_of(of(status, **{"status-timestamps": at}), URL, "")
    assert (end.status, end.apply_began, end.retryable) == (ends, began, retryable)
    assert (URL in (end.error or "")) == (ends is RunStatus.ERRORED)


def test_a_plan_alone_is_not_a_success() -> None:
    assert end_of(of("planned_and_finished", **{"plan-only": True}), URL, "").status is (
        RunStatus.PLANNED
    )


def test_an_apply_says_itself_that_it_began() -> None:
    included = ({"type": "applies", "attributes": {"status": "errored"}},)
    assert HcpRun(of("errored").resource, included).apply_began


@pytest.mark.parametrize(
    ("message", "version", "created", "ours"),
    [
        (f"anything ({RUN.id})", "cv-2", "2020-01-01T00:00:00Z", True),
        ("Queued manually", "cv-1", "2030-01-01T00:00:00Z", False),
        ("", "cv-1", "2030-01-01T00:00:00Z", True),
        ("", "cv-1", "1960-01-01T00:00:00Z", False),
        ("", "cv-2", "2030-01-01T00:00:00Z", False),
        (f"task web: n/({RUN.id}) came (web-2)", "cv-1", "2030-01-01T00:00:00Z", False),
    ],
)
def test_a_run_is_ours_by_its_message_or_by_its_configuration_if_messages_are_forgotten(
    message: str, version: str, created: str, *, ours: bool
) -> None:
    related = {"configuration-version": {"data": {"id": version}}}
    attributes = {"status": "pending", "message": message, "created-at": created}
    found = HcpRun({"id": "run-1", "attributes": attributes, "relationships": related})
    assert is_ours(found, RUN, "cv-1") == ours


def test_a_log_is_shown_without_colours_and_its_first_error_is_told() -> None:
    log = plain("\x02Planning\n\x1b[31m│\x1b[0m \x1b[1mError: no\x1b[0m\n│ because\n\x03")
    assert log == "Planning\n│ Error: no\n│ because\n"
    assert error_in(log) == "│ Error: no\n│ because"
    assert error_in("all is well") == ""


@pytest.mark.parametrize(
    ("hostname", "deployed", "rejected"),
    [
        ("", "https://app.terraform.io", False),
        ("", "", False),
        ('hostname = "https://tfe.example.com/"', "https://tfe.example.com", False),
        ('hostname = "https://tfe.example.com"', "", False),
        ('hostname = "https://elsewhere.example"', "https://app.terraform.io", True),
        ("", "https://tfe.example.com", True),
    ],
)
def test_the_token_goes_to_the_deployments_address_only(
    hostname: str, deployed: str, *, rejected: bool
) -> None:
    text = f'driver "terraform-cloud" {{\n  organization = "acme"\n  {hostname}\n}}\n{TASK}'
    result = compile_bundle({"c.hcl": text.encode()}, {"TFC_HOSTNAME": deployed})
    assert [problem.path for problem in result.problems] == (
        ["driver.terraform-cloud.hostname"] if rejected else []
    )
