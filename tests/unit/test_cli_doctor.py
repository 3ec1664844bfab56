"""What `cts doctor` makes of a stack's answers: one fault at a time is found, and what to do."""

import json
from collections.abc import Iterable
from typing import Any

import httpx
import pytest

from cts.config.blocks.schema import Group
from cts.run.state import TaskState
from cts.watch.lease import Lease
from cts_cli import client, diagnoses
from cts_cli.diagnoses import Finding, Level
from cts_cli.doctor import print_findings
from tests.unit.cli_fakes import SECRETS, cts, deployed, folder, lines, refused, task
from tests.unit.doctor_fakes import Doctored
from tests.unit.reader_fakes import NOW, failure, problem

URL = "asking Consul at https://consul.example.com:8501"
"""How errors of the poller begin."""


def stale(why: str) -> dict[str, Any]:
    return {"count": 1, "of": 3, "why": [why], "tasks": ["web"], "unlisted": 0}


def consul(why: str) -> Iterable[Finding]:
    return diagnoses.consul(stale(f"{URL} for /v1/health/service/web: {why}"), has_secret=False)


def failed(error: str) -> Iterable[Finding]:
    run = {"success": False, "error": error}
    web = {"last_run": run, "state": "idle", "gave_up": None, "reason": ""}
    return diagnoses.tasks({"web": web}, {})


def held(by: str) -> Iterable[Finding]:
    hold = {"by": by, "why": "x", "since": "2027-01-15T07:59:05+00:00"}
    web = {"last_run": None, "state": "held", "gave_up": None, "reason": "x", "hold": hold}
    return diagnoses.tasks({"web": web}, {})


def busy(error: str) -> Iterable[Finding]:
    web = {"last_run": None, "state": "busy", "gave_up": None, "reason": "change"}
    return diagnoses.tasks({"web": web}, {"web": error})


def poller(**changed: Any) -> Iterable[Finding]:
    return diagnoses.poller(
        {"alive": True, "heartbeat_age": 4.0, "views": 90, "passed": 0, **changed}
    )


def configuration(**changed: Any) -> Iterable[Finding]:
    return diagnoses.configuration({"live": {"waiting": {}}, "rejected": None, **changed})


MODULE = """terraform init: Error: Failed to download module

  on main.tf line 20, in module "web":
  20:   source = "git::https://git.example.com/fw.git"

Could not download module "web" (main.tf:20) source code
"""
LOCKED = "the state is locked by ann@laptop since 2026-01-01T00:00:00Z (OperationTypeApply, 6c0d)"
NO_BUILDS = (
    "starting the build of run web-1: AWS does not let this account run CodeBuild builds yet "
    "(Cannot have more than 0 builds in queue for the account)."
)

DENIED = (
    "GET s3://state/tasks/web/terraform.tfstate: HTTP 403 AccessDenied User: arn:aws:sts::1:"
    'assumed-role/tasks/web is not authorized to perform: s3:GetObject on resource: "arn" {}'
)

FAULTS = {
    "a wrong token": (consul("HTTP 403: ACL not found"), "does not know", "cts secret set"),
    "an ACL that is too narrow": (
        consul("HTTP 403: Permission denied: token with AccessorID 'x' lacks permission"),
        "may not read everything",
        "service:read",
    ),
    "an answer that ACLs filtered": (
        diagnoses.consul(
            stale(
                "asking Consul for service web: its answer was filtered by ACLs; the token needs"
            ),
            has_secret=True,
        ),
        "may not read everything",
        "service:read",
    ),
    "a Consul that is down": (consul("All connection attempts failed"), "reach", "ConsulAddress"),
    "a Consul that does not answer": (consul("no answer within 10 s"), "reach", "ConsulAddress"),
    "a certificate that is not trusted": (
        consul("[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: self-signed"),
        "does not trust",
        "ConsulCaArn",
    ),
    "HTTPS where HTTP is meant": (
        consul("[SSL: WRONG_VERSION_NUMBER] wrong version number"),
        "disagree about HTTP and HTTPS",
        "scheme",
    ),
    "more connections than Consul accepts": (
        consul("HTTP 429: Your IP is issuing too many concurrent connections"),
        "refuses more connections",
        "http_max_conns_per_client",
    ),
    "more views than connections": (poller(passed=26), "26 of 90 views", "watch fewer"),
    "plain HTTP": (
        diagnoses.stack("UPDATE_COMPLETE", {"ConsulAddress": "http://10.0.0.5:8500"}),
        "plain HTTP",
        "HTTPS",
    ),
    "a missing module": (failed(MODULE), "web: its module can't be fetched", "git_ssh_key"),
    "a wrong role": (
        failed("assuming the task's role arn:aws:iam::1:role/x: AccessDenied: not authorized"),
        "web: its role can't be assumed",
        "trust policy",
    ),
    "a missing secret": (
        failed('reading {{ env "A" }}: the stack\'s task secret has no A: store it'),
        "web: gave up because A was not stored",
        "store it with `cts secret set A`, unless it is stored by now, then run `cts retry web`",
    ),
    "a secret that nothing has failed for yet": (
        diagnoses.secrets({Group.TASK: ["A", "B"]}),
        "A, B missing from the stack's task secret",
        "store them with `cts secret set A --group task`, `cts secret set B --group task`",
    ),
    "a stale lock": (busy(LOCKED), "web: its state has been locked", "State locks"),
    "no build allowance": (failed(NO_BUILDS), "does not let this account", "AWS Support"),
    "a hold of a user": (held("arn:aws:iam::1:user/ann"), "held by arn", "cts release web"),
    "a hold of the stack": (held("cts"), "web is held, to be safe", "cts release web"),
    "no bus permission": (
        diagnoses.roles({"cts-runner": ["events:PutEvents"]}),
        "the role of cts-runner may not do events:PutEvents",
        "PermissionsBoundary",
    ),
    "no poller": (diagnoses.poller(None), "no poller has run yet", "log"),
    "a silent poller": (poller(alive=False, heartbeat_age=300.0), "5 min ago", "PollerSilent"),
    "a failed deployment": (
        diagnoses.stack("UPDATE_ROLLBACK_FAILED", {}),
        "ended as UPDATE_ROLLBACK_FAILED",
        "events in CloudFormation",
    ),
    "nothing pushed": (configuration(live=None), "no configuration", "cts push"),
    "a rejected push": (
        configuration(rejected={"problem_count": 2, "problems": [problem()]}),
        "rejected: 2 problems",
        "cts status",
    ),
    "dead letters": (diagnoses.undelivered(3), "3 events", "Dead letters"),
    "a disabled schedule": (
        diagnoses.triggers(["cts-TrackerTick-1"]),
        "cts-TrackerTick-1 is disabled",
        "EventBridge",
    ),
    "a token of HCP Terraform that was revoked": (
        failed("creating the run: unauthorized: the token is not valid: store a new one with"),
        "web: HCP Terraform does not know the stack's token",
        "cts secret set TFC_TOKEN",
    ),
    "a token of HCP Terraform that may do too little": (
        failed(
            "reading net-web: not found: it does not exist, or the token is not allowed to do this"
        ),
        "web: HCP Terraform has no such organization or workspace, or keeps the stack's token",
        "docs/hcp-terraform.md",
    ),
    "a policy of the state bucket that denies": (
        failed(DENIED.format("with an explicit deny in a resource-based policy")),
        "web: a policy in AWS forbids",
        "such as a bucket's",
    ),
    "a permissions boundary": (
        failed(DENIED.format("because no permissions boundary allows the s3:GetObject action")),
        "web: a policy in AWS forbids",
        "such as a bucket's",
    ),
    "a permission that is missing": (
        failed(DENIED.format("because no identity-based policy allows the s3:GetObject action")),
        "web: it lacks a permission",
        "TaskRole",
    ),
    "few functions": (diagnoses.functions(5), "only 5 functions", "Service Quotas"),
    "few builds": (diagnoses.builds(1.0, 10), "1 builds can run", "lower Concurrency"),
    "a caller who may only read": (diagnoses.access(may_change=False), "not change", "Operator"),
}


@pytest.mark.parametrize(("findings", "what", "fix"), FAULTS.values(), ids=FAULTS)
def test_a_fault_is_found_with_what_to_do(findings: Iterable[Finding], what: str, fix: str) -> None:
    [found] = findings
    assert found.level in (Level.PROBLEM, Level.WARNING)
    assert what in found.what
    assert fix in found.fix


@pytest.mark.parametrize(
    "findings",
    [
        poller(),
        poller(alive=None),
        configuration(),
        diagnoses.stack("UPDATE_COMPLETE", {"ConsulAddress": "https://consul:8501"}),
        diagnoses.consul({"count": 0, "why": []}, has_secret=False),
        diagnoses.roles({}),
        diagnoses.triggers([]),
        diagnoses.secrets({}),
        diagnoses.undelivered(0),
        diagnoses.functions(1000),
        diagnoses.builds(20.0, 10),
        diagnoses.access(may_change=True),
    ],
)
def test_what_is_right_is_no_finding(findings: Iterable[Finding]) -> None:
    assert [*findings] == []


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (problem(), 'tasks.hcl:3:5  task.web.condition.services: unknown option "naems"'),
        (problem(line=0, path=""), 'tasks.hcl: unknown option "naems"'),
    ],
)
def test_the_first_problem_of_a_rejected_push_is_shown_with_its_place(
    found: dict[str, Any], said: str
) -> None:
    [finding] = configuration(rejected={"problem_count": 2, "problems": [found, problem()]})
    assert finding.evidence == said


def test_tasks_with_the_same_fault_are_one_finding() -> None:
    error = {"last_run": {"success": False, "error": MODULE}, "state": "idle", "gave_up": None}
    found = [*diagnoses.tasks({f"t{at}": error for at in range(7)}, {})]
    assert [each.what for each in found] == [
        "t0, t1, t2, t3, t4 and 2 more: its module can't be fetched"
    ]


def test_each_task_that_waits_for_a_secret_is_to_be_tried_again() -> None:
    error = "reading {{ env }}: the stack's task secret has no %s: store it"
    found = [
        *diagnoses.tasks(
            {
                name: {"last_run": {"success": False, "error": error % of}, "state": "gave_up"}
                for name, of in (("mine", "MY-TOKEN"), ("second", "MY-TOKEN"), ("third", "OTHER"))
            },
            {},
        )
    ]
    assert [each.what for each in found] == [
        "mine, second: gave up because MY-TOKEN was not stored",
        "third: gave up because OTHER was not stored",
    ]
    assert found[0].fix.endswith("then run `cts retry mine`, `cts retry second`")


def test_many_tasks_to_be_tried_again_are_counted() -> None:
    task = {"last_run": {"success": False, "error": NO_BUILDS}, "state": "gave_up"}
    [found] = diagnoses.tasks({f"t{at}": task for at in range(500)}, {})
    assert found.fix.endswith("`cts retry t4` and 495 more")


def test_an_error_without_a_known_cause_is_shown_itself() -> None:
    [found] = failed("terraform apply: Error: no route to host")
    assert found.what == "web: terraform apply: Error: no route to host"
    assert (found.fix, found.evidence) == ("`cts logs web` shows the whole log", "")


# ---- the command --------------------------------------------------------------------------------


@pytest.fixture
def account(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> Doctored:
    account = Doctored()
    deployed(monkeypatch, account)
    assert cts("push", folder(tmp_path, task("web"))).exit_code == 0
    account.world.table.leased = Lease(4, "owner", 3, NOW - 100, NOW - 8, NOW - 100)
    for arn in SECRETS.values():
        account.write(arn, "{}")
    return account


def test_a_healthy_stack_has_nothing_to_fix(account: Doctored) -> None:
    result = cts("doctor")
    assert result.exit_code == 0, result.stdout + result.stderr
    assert lines(result.stdout)[-1] == "✓ nothing to fix"
    assert all(line.startswith("✓") for line in lines(result.stdout))
    assert "arn:aws:events:eu-west-1:111122223333:event-bus/cts" in account.asked
    assert "arn:aws:codebuild:eu-west-1:111122223333:project/cts" in account.asked


def test_each_finding_has_its_error_and_its_fix_below(account: Doctored) -> None:
    account.world.table.stored_states["web"] = TaskState("web", recent=(failure("web"),))
    account.may_not.add(("role/cts-runner", "codebuild:StartBuild"))
    result = cts("doctor")
    assert result.exit_code == 1
    said = lines(result.stdout)
    at = said.index("✗ tasks: web: Error: no route to host")
    assert said[at + 1] == "→ `cts logs web` shows the whole log"
    assert "✗ permissions: the role of cts-runner may not do codebuild:StartBuild" in said
    assert said[-1] == "✗ 2 to fix"
    found = json.loads(cts("doctor", "--json").stdout)
    assert (found["healthy"], found["findings"][0]["level"]) == (False, "ok")


def test_rules_and_schedules_that_are_disabled_are_named(account: Doctored) -> None:
    mine = ["cts-PublisherPushed-1", "cts-RunnerTriggered-1", "cts-PollerTick-1"]
    account.disabled = {*mine, "rule-of-somebody-else"}
    said = lines(cts("doctor").stdout)
    named = (
        f"✗ events: {', '.join(mine)} are disabled: functions are not called when they should be"
    )
    assert named in said
    assert "→ enable each in EventBridge" in said


@pytest.mark.parametrize(
    ("levels", "told"),
    [
        ([Level.OK, Level.WARNING], "✓ nothing to fix, 1 warning"),
        ([Level.WARNING, Level.WARNING, Level.PROBLEM], "✗ 1 to fix, 2 warnings"),
        ([Level.WARNING, Level.UNCHECKED], "✓ nothing to fix, 1 warning, 1 not checked"),
    ],
)
def test_warnings_are_counted_apart(
    levels: list[Level], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    print_findings([Finding(level, "stack", "something") for level in levels])
    assert lines(capsys.readouterr().out)[-1] == told


def test_what_may_not_be_checked_is_told_and_hides_nothing_else(
    account: Doctored, monkeypatch: pytest.MonkeyPatch
) -> None:
    def deny(*_: Any, **__: Any) -> Any:
        raise refused("AccessDeniedException", "not authorized")

    monkeypatch.setattr(account, "get_function_configuration", deny)
    account.quotas = {}
    account.may_read_secrets = False
    result = cts("doctor")
    assert result.exit_code == 0
    said = [line for line in lines(result.stdout) if line.startswith("?")]
    assert [line.split(":")[0] for line in said] == ["? secrets", "? permissions", "? quotas"]
    assert lines(result.stdout)[-1] == "✓ nothing to fix, 3 not checked"


def test_before_the_first_push_only_the_push_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    deployed(monkeypatch, Doctored())
    result = cts("doctor")
    said = lines(result.stdout)
    assert [line for line in said if line.startswith("✗")] == [
        "✗ configuration: no configuration has been published",
        "✗ 1 to fix, 3 not checked",
    ]
    assert [line for line in said if line.startswith("?")] == [
        f"? {area}: not checked: nothing has been published yet"
        for area in ("poller", "Consul", "secrets")
    ]


def test_secrets_that_the_live_configuration_reads_are_looked_for(
    account: Doctored, tmp_path: Any
) -> None:
    token = 'consul {\n  token = "{{ env \\"OTHER_TOKEN\\" }}"\n}\n'
    account.was_pushed(folder(tmp_path, task("web"), token))
    assert any("OTHER_TOKEN missing from" in line for line in lines(cts("doctor").stdout))


def test_a_reader_that_refuses_is_told_for_each_check(
    account: Doctored, monkeypatch: pytest.MonkeyPatch
) -> None:
    def forbid(_: httpx.Request) -> httpx.Response:
        return httpx.Response(403, json={"Message": "Forbidden"})

    monkeypatch.setattr(client, "transport", lambda: httpx.MockTransport(forbid))
    said = lines(cts("doctor").stdout)
    assert "! access: you may see tasks, and not change them" in said
    assert any("the reader refused the request" in line for line in said)
