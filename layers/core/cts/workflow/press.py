"""What the buttons of the dashboard do: the same as the API's requests."""

from collections.abc import Mapping
from typing import Any

from cts.config.task_change import Verb
from cts.errors import BadRequest, CtsError
from cts.workflow import tasks
from cts.workflow.edit_steps import EditPorts, changed
from cts.workflow.html import tag

BY = "the dashboard"
"""CloudWatch does not tell a function who has pressed a button; CloudTrail knows."""
WHY = "held on the dashboard"
ACTIONS: Mapping[str, tuple[tasks.Action, dict[str, str], str]] = {
    "run": (tasks.run, {}, "runs as soon as possible"),
    "retry": (tasks.retry, {}, "is tried again"),
    "inspect": (tasks.inspect, {}, "is planned, and nothing is applied"),
    "hold": (tasks.hold, {"why": WHY}, "is held"),
    "release": (tasks.release, {}, "is released"),
}
"""A button's action -> what the API does, with which body, and what is said of the task then."""
SETS = {"enable": (True, "is enabled"), "disable": (False, "is disabled")}
"""The same of what changes the configuration: the option `enabled`."""


def press(ports: EditPorts, asked: Mapping[str, Any], request: str) -> str:
    """Carry out `asked` (`task`, `action`); what happened or why not, as HTML."""
    try:
        return str(tag("p", _done(ports, asked, request)))
    except CtsError as error:
        return str(tag("p", error))


def _done(ports: EditPorts, asked: Mapping[str, Any], request: str) -> str:
    name, action = str(asked.get("task", "")), str(asked.get("action", ""))
    if action in SETS:
        enabled, said = SETS[action]
        asked_for = tasks.Request(request, name, BY, {})
        changed(ports, asked_for, Verb.SET, name, {"enabled": enabled}, BadRequest)
        return f"Task {name} {said}."
    if action not in ACTIONS:
        known = ", ".join([*ACTIONS, *SETS])
        raise BadRequest(f'"action" must be one of {known}, not "{action}"')
    does, body, said = ACTIONS[action]
    does(ports.asking, tasks.Request(request, name, BY, body))
    return f"Task {name} {said}."
