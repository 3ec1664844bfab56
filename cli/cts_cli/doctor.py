"""Check a stack from Consul to the builds. Everything is only looked at; nothing is changed."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import httpx

from cts.config.blocks.schema import Group
from cts_cli import client, diagnoses, named_secrets, secrets, words
from cts_cli.account import Account
from cts_cli.aws import Stack, explaining_errors
from cts_cli.diagnoses import Finding, Level
from cts_cli.errors import CommandError, OlderStack
from cts_cli.import_facts import environment
from cts_cli.output import out, print_line, print_paragraph
from cts_cli.screen import Console, Text

LOOKS = {
    Level.OK: ("✓", "green"),
    Level.WARNING: ("!", "yellow"),
    Level.PROBLEM: ("✗", "red"),
    Level.UNCHECKED: ("?", "dim"),
}
MOST_BUSY = 5
"""Busy tasks whose runs are looked at: they are mostly busy for the same reason."""
FORBIDDEN = 403
NEEDS = {
    "Publisher": ("events:PutEvents",),
    "Poller": ("events:PutEvents",),
    "Runner": ("events:PutEvents", "codebuild:StartBuild"),
    "Tracker": ("events:PutEvents", "codebuild:StartBuild"),
    "Api": ("events:PutEvents",),
}
"""By function, what it must be allowed on the bus and on the project."""
ENVIRONMENTS = {
    "LINUX_CONTAINER": "Linux",
    "ARM_CONTAINER": "ARM",
    "LINUX_LAMBDA_CONTAINER": "Linux Lambda",
    "ARM_LAMBDA_CONTAINER": "ARM Lambda",
}
"""How Service Quotas names CodeBuild's environment types."""


@dataclass(frozen=True, slots=True)
class Check:
    area: str
    said: str
    """If nothing is wrong."""
    find: Callable[[Account], Iterable[Finding]]
    """Raises CommandError if it can't be checked."""


# ---- what is checked ----------------------------------------------------------------------------


def _stack(account: Account) -> Iterator[Finding]:
    return diagnoses.stack(account.described["StackStatus"], account.parameters)


def _access(account: Account) -> Iterator[Finding]:
    if not account.stack.api_url:
        raise OlderStack
    # Any answer but a refusal by IAM will do: this only shows that requests get through.
    with client.signing(account.stack.session, client.TIMEOUT) as http:
        try:
            code = http.get(f"{account.stack.api_url.rstrip('/')}/v1/health").status_code
        except httpx.TransportError as error:
            raise CommandError(f"cannot reach the API: {error}") from error
    return diagnoses.access(may_change=code != FORBIDDEN)


def _configuration(account: Account) -> Iterator[Finding]:
    return diagnoses.configuration(account.configuration)


def _secrets(account: Account) -> Iterator[Finding]:
    account.require_published()
    live = named_secrets.load(account.stack, account.reader)
    unread = [group.value for group in Group if group not in live.held]
    if live.live is None or unread:
        what = f"the {' and '.join(unread)} secret" if unread else "the live configuration"
        raise CommandError(f"you may not read {what}")
    return diagnoses.secrets(secrets.missing(account.stack, environment(live.live), ()))


def _poller(account: Account) -> Iterator[Finding]:
    account.require_published()
    return diagnoses.poller(account.watched["poller"])


def _consul(account: Account) -> Iterator[Finding]:
    account.require_published()
    stale = account.watched["stale_views"]
    return diagnoses.consul(stale, has_secret=account.stack.has_consul_secret)


def _tasks(account: Account) -> Iterator[Finding]:
    found = account.reader.get("status", "tasks")
    busy = [name for name, task in found.items() if task["state"] == "busy"][:MOST_BUSY]
    errors = {}
    for name in busy:
        runs = account.reader.get("runs", task=name, limit=1)["runs"]
        errors[name] = runs[0]["error"] if runs else ""
    return diagnoses.tasks(found, errors)


def _roles(account: Account) -> Iterator[Finding]:
    denied: dict[str, list[str]] = {}
    for function, actions in NEEDS.items():
        with explaining_errors("simulating what the functions may do"):
            found = account.aws("lambda").get_function_configuration(
                FunctionName=account.resource(function)
            )
            where = found["FunctionArn"].split(":")
            for action in actions:
                allowed = account.aws("iam").simulate_principal_policy(
                    PolicySourceArn=found["Role"],
                    ActionNames=[action],
                    ResourceArns=[_resource(account, action, where)],
                )["EvaluationResults"]
                if any(each["EvalDecision"] != "allowed" for each in allowed):
                    denied.setdefault(found["FunctionName"], []).append(action)
    return diagnoses.roles(denied)


def _resource(account: Account, action: str, function: Sequence[str]) -> str:
    """The ARN of the bus or the project. `function`: the parts of a function's ARN."""
    kind, name = {
        "events:PutEvents": ("event-bus", account.outputs["Bus"]),
        "codebuild:StartBuild": ("project", account.outputs["Project"]),
    }[action]
    _, partition, _, region, owner, *_ = function
    return f"arn:{partition}:{action.partition(':')[0]}:{region}:{owner}:{kind}/{name}"


def _triggers(account: Account) -> Iterator[Finding]:
    bus, off = account.outputs["Bus"], list[str]()
    # On a bus of its own, a rule's ID begins with the bus.
    rules = {each.rpartition("|")[2] for each in account.resources_of("AWS::Events::Rule")}
    with explaining_errors("looking at the stack's rules and schedules"):
        pages = account.aws("events").get_paginator("list_rules")
        for each in (rule for at in ("default", bus) for rule in _rules(pages, at)):
            if each["Name"] in rules and each["State"] == "DISABLED":
                off.append(each["Name"])
        for name in account.resources_of("AWS::Scheduler::Schedule"):
            if account.aws("scheduler").get_schedule(Name=name)["State"] == "DISABLED":
                off.append(name)
    return diagnoses.triggers(off)


def _rules(pages: Any, bus: str) -> Iterator[Mapping[str, str]]:
    for page in pages.paginate(EventBusName=bus):
        yield from page["Rules"]


def _events(account: Account) -> Iterator[Finding]:
    count = "ApproximateNumberOfMessages"
    with explaining_errors("counting dead letters"):
        found = account.aws("sqs").get_queue_attributes(
            QueueUrl=account.resource("DeadLetters"), AttributeNames=[count]
        )
    return diagnoses.undelivered(int(found["Attributes"][count]))


def _functions(account: Account) -> Iterator[Finding]:
    with explaining_errors("reading Lambda's limits"):
        found = account.aws("lambda").get_account_settings()
    return diagnoses.functions(found["AccountLimit"]["UnreservedConcurrentExecutions"])


def _builds(account: Account) -> Iterator[Finding]:
    parameters = account.parameters
    size = parameters["BuildComputeType"].rpartition("_")[2]
    kind = f"{ENVIRONMENTS[parameters['BuildEnvironmentType']]}/{size}"
    with explaining_errors("reading CodeBuild's quotas"):
        pages = account.aws("service-quotas").get_paginator("list_service_quotas")
        quotas = {
            each["QuotaName"].lower(): each["Value"]
            for page in pages.paginate(ServiceCode="codebuild")
            for each in page["Quotas"]
        }
    name = f"Concurrently running builds for {kind} environment"
    if name.lower() not in quotas:
        raise CommandError(f"CodeBuild has no quota '{name}'")
    return diagnoses.builds(quotas[name.lower()], int(parameters["Concurrency"]))


CHECKS = (
    Check("stack", "deployed", _stack),
    Check("access", "you may see and change tasks", _access),
    Check("configuration", "published", _configuration),
    Check("poller", "running", _poller),
    Check("Consul", "all views can be read", _consul),
    Check("secrets", "all that the configuration reads are stored", _secrets),
    Check("tasks", "no run has failed, and no state is locked", _tasks),
    Check("permissions", "functions may send events and start builds", _roles),
    Check("events", "all rules and schedules are enabled", _triggers),
    Check("events", "all were processed", _events),
    Check("quotas", "enough functions can run at once", _functions),
    Check("quotas", "enough builds can run at once", _builds),
)


def examine(stack: Stack) -> list[Finding]:
    account = Account(stack)
    return [finding for check in CHECKS for finding in _found(check, account)]


def _found(check: Check, account: Account) -> Iterable[Finding]:
    try:
        return [*check.find(account)] or [Finding(Level.OK, check.area, check.said)]
    except CommandError as error:
        return [Finding(Level.UNCHECKED, check.area, f"not checked: {error}")]


# ---- what is printed ----------------------------------------------------------------------------


def is_healthy(findings: Sequence[Finding]) -> bool:
    return all(each.level is not Level.PROBLEM for each in findings)


def facts(findings: Sequence[Finding]) -> dict[str, Any]:
    """For JSON output."""
    return {"healthy": is_healthy(findings), "findings": [asdict(each) for each in findings]}


def print_findings(findings: Sequence[Finding]) -> None:
    console = out()
    for each in findings:
        _print(console, each)
    problems = sum(each.level is Level.PROBLEM for each in findings)
    warnings = sum(each.level is Level.WARNING for each in findings)
    unchecked = sum(each.level is Level.UNCHECKED for each in findings)
    mark, style = LOOKS[Level.PROBLEM if problems else Level.OK]
    told = f"{problems} to fix" if problems else "nothing to fix"
    warned = f", {words.count(warnings, 'warning')}" if warnings else ""
    left = f", {unchecked} not checked" if unchecked else ""
    console.print()
    print_line(console, mark, style, f"{told}{warned}{left}")


def _print(console: Console, finding: Finding) -> None:
    style = "dim" if finding.level is Level.UNCHECKED else ""
    said = Text.assemble((f"{finding.area}: ", "bold"), (finding.what, style))
    print_paragraph(console, said, LOOKS[finding.level])
    if finding.evidence:
        print_paragraph(console, Text(finding.evidence, "dim"))
    if finding.fix:
        print_paragraph(console, Text(f"→ {finding.fix}", "cyan"))
