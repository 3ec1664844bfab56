"""What `cts doctor` makes of what it found: what is wrong, and what to do about it. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from cts.config.blocks.schema import Group
from cts.run.error_text import error_line
from cts.run.place import PROGRAM
from cts_cli import causes, words
from cts_cli.problems import brief

MOST_NAMED = 5
"""Tasks named in one finding. The others are counted."""


class Level(StrEnum):
    OK = "ok"
    WARNING = "warning"
    PROBLEM = "problem"
    UNCHECKED = "unchecked"


@dataclass(frozen=True, slots=True)
class Finding:
    level: Level
    area: str
    what: str
    fix: str = ""
    evidence: str = ""
    """The error itself, in one line."""


# ---- the stack and whoever asks -----------------------------------------------------------------


def stack(status: str, parameters: Mapping[str, str]) -> Iterator[Finding]:
    """`status`: CloudFormation's word for the stack's last operation."""
    if "FAILED" in status or status.startswith(("ROLLBACK", "DELETE")):
        fix = "look at the stack's events in CloudFormation, then deploy again"
        yield Finding(Level.PROBLEM, "stack", f"the last deployment ended as {status}", fix)
    if parameters.get("ConsulAddress", "").startswith("http://"):
        what = "ConsulAddress is plain HTTP: the token and all answers are sent unencrypted"
        fix = "serve Consul's API over HTTPS, and deploy with that address"
        yield Finding(Level.WARNING, "stack", what, fix)


def access(*, may_change: bool) -> Iterator[Finding]:
    if not may_change:
        what = "you may see tasks, and not change them"
        fix = "if you should, attach the policy in the stack's output OperatorPolicy to your role"
        yield Finding(Level.WARNING, "access", what, fix)


def configuration(found: Mapping[str, Any]) -> Iterator[Finding]:
    """`found`: as the reader answers."""
    live, rejected = found["live"], found["rejected"]
    if live is None:
        what, fix = "no configuration has been published", "push one with `cts push`"
        yield Finding(Level.PROBLEM, "configuration", what, fix)
    if rejected:
        problems = words.count(rejected["problem_count"], "problem")
        first = brief(rejected["problems"][0]).plain if rejected["problems"] else ""
        what = f"the last push was rejected: {problems}"
        fix = "fix what `cts status` lists, and push the configuration again"
        yield Finding(Level.PROBLEM, "configuration", what, fix, first)
    if live and live.get("waiting"):
        told = words.some(list(live["waiting"]), MOST_NAMED)
        what = f"{told}: accepted, but needs what is not supported"
        yield Finding(Level.WARNING, "configuration", what, "`cts status` says what that is")


def secrets(missing: Mapping[Group, Sequence[str]]) -> Iterator[Finding]:
    """`missing`: by group, the names that the live configuration reads."""
    for group, names in missing.items():
        what = f"{', '.join(names)} missing from the stack's {group} secret"
        fix = f"store {'it' if len(names) == 1 else 'them'} with {words.set_secrets(names, group)}"
        yield Finding(Level.PROBLEM, "secrets", what, fix)


# ---- Consul -------------------------------------------------------------------------------------


def poller(found: Mapping[str, Any] | None) -> Iterator[Finding]:
    fix = (
        "look at the log of the stack's function poller, and whether SubnetIds and "
        "SecurityGroupIds let it reach DynamoDB, S3 and EventBridge (docs/operations.md, "
        "PollerSilent)"
    )
    if found is None:
        yield Finding(Level.PROBLEM, "poller", "no poller has run yet", fix)
        return
    if found["alive"] is False:
        silent = words.about(found["heartbeat_age"])
        what = f"no poller is running: the last heartbeat was {silent} ago"
        yield Finding(Level.PROBLEM, "poller", what, fix)
    if passed := found["passed"]:
        what = (
            f"{passed} of {words.count(found['views'], 'view')} share connections: "
            "changes to them are seen about a second later"
        )
        fix = "if that is too late, watch fewer services: a filter or regexp instead of many names"
        yield Finding(Level.WARNING, "poller", what, fix)


def consul(stale: Mapping[str, Any], *, has_secret: bool) -> Iterator[Finding]:
    """`has_secret`: whether the stack was deployed with ConsulSecretArn."""
    token = (
        "in the secret of the parameter ConsulSecretArn"
        if has_secret
        else "with `cts secret set CONSUL_HTTP_TOKEN`"
    )
    told: set[str] = set()
    for why in stale["why"]:
        line = " ".join(why.split())
        cause = causes.find(line, causes.CONSUL)
        what = cause.what if cause else "some views can't be read"
        if what not in told:
            told.add(what)
            fix = cause.fix.format(token=token) if cause else "see docs/operations.md, Stale views"
            yield Finding(Level.PROBLEM, "Consul", what, fix, line)


# ---- tasks --------------------------------------------------------------------------------------


def tasks(found: Mapping[str, Any], errors: Mapping[str, str]) -> Iterator[Finding]:
    """`found`: by name, as the reader answers. `errors`: of the last runs of busy tasks."""
    grouped: dict[tuple[str, str], list[tuple[str, str]]] = {}
    for name, task in found.items():
        if error := errors.get(name) or _error(task):
            cause = causes.find(error, causes.RUN)
            what = cause.what if cause else error_line(error)
            fix = cause.fix if cause else "`cts logs {task}` shows the whole log"
            grouped.setdefault((what, fix), []).append((name, error_line(error)))
    for (what, how), of in grouped.items():
        names = [name for name, _ in of]
        evidence = "" if of[0][1] == what else of[0][1]
        told = f"{words.some(names, MOST_NAMED)}: {what}"
        retry = words.some(words.retries(names), MOST_NAMED)
        fix = how.format(task=names[0], retry=retry)
        yield Finding(Level.PROBLEM, "tasks", told, fix, evidence)
    for name, task in found.items():
        if task["state"] == "held":
            yield _held(name, task)


def _held(name: str, task: Mapping[str, Any]) -> Finding:
    """A person knows why a task is held. The stack holds one only because something is wrong."""
    why, by = " ".join(task["reason"].split()), (task["hold"] or {}).get("by")
    if by != PROGRAM:
        what = f"{name} is held by {by or 'a user'}: {why}"
        return Finding(Level.WARNING, "tasks", what, f"once it may run: `cts release {name}`")
    fix = f"do what the reason says, then run `cts release {name}`"
    return Finding(Level.PROBLEM, "tasks", f"{name} is held, to be safe", fix, why)


def _error(task: Mapping[str, Any]) -> str:
    """Why its last run failed; empty if it did not."""
    run = task["last_run"]
    return str(run["error"] or task["gave_up"] or "") if run and not run["success"] else ""


# ---- AWS ----------------------------------------------------------------------------------------


def roles(denied: Mapping[str, Sequence[str]]) -> Iterator[Finding]:
    """`denied`: by function, what its role may not do although it needs to."""
    for function, actions in denied.items():
        what = f"the role of {function} may not do {', '.join(actions)}"
        fix = "deploy the stack again, and allow this in PermissionsBoundary and in your SCPs"
        yield Finding(Level.PROBLEM, "permissions", what, fix)


def triggers(disabled: Sequence[str]) -> Iterator[Finding]:
    """`disabled`: EventBridge's rules and schedules of the stack that are."""
    if disabled:
        are = "is" if len(disabled) == 1 else "are"
        what = f"{', '.join(disabled)} {are} disabled: functions are not called when they should be"
        yield Finding(Level.PROBLEM, "events", what, "enable each in EventBridge")


def undelivered(messages: int) -> Iterator[Finding]:
    if messages:
        what = f"{words.count(messages, 'event')} could not be processed"
        fix = "see docs/operations.md, Dead letters"
        yield Finding(Level.PROBLEM, "events", what, fix)


ENOUGH_FUNCTIONS = 10
"""Functions at once: two pollers during a hand-over, and the others."""


def functions(concurrency: int) -> Iterator[Finding]:
    if concurrency < ENOUGH_FUNCTIONS:
        what = f"only {concurrency} functions can run at once in this account and region"
        fix = "ask for more in Service Quotas: AWS Lambda, Concurrent executions"
        yield Finding(Level.WARNING, "quotas", what, fix)


def builds(quota: float, wanted: int) -> Iterator[Finding]:
    """`wanted`: the parameter Concurrency."""
    if quota < wanted:
        what = f"{quota:g} builds can run at once, and the stack's Concurrency is {wanted}"
        fix = "ask for more in Service Quotas (AWS CodeBuild), or deploy with a lower Concurrency"
        yield Finding(Level.WARNING if quota else Level.PROBLEM, "quotas", what, fix)
