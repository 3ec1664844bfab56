"""Create, change and delete tasks: CTS's own requests, and what goes beyond them.

The publisher makes the change, so that it is live when the answer says so. A run that was asked for
is waited for, unless the caller prefers not to.
"""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import unquote

from cts.config.task_change import Verb
from cts.errors import BadRequest, CtsError, NotDone, TaskNotFound
from cts.run.model import RunStatus
from cts.run.state import Reason
from cts.workflow import read_paths, shown_runs, task_patch, task_terraform, tasks
from cts.workflow.edit_steps import (
    EditPorts,
    EditRequest,
    ask,
    changed,
    failure,
    plan,
    waited,
)
from cts.workflow.task_schema import task_of
from cts.workflow.tasks import Answer

OK = 200
SKIPPED = "Task is disabled, inspection was skipped."


# ---- CTS's requests -----------------------------------------------------------------------


def create(ports: EditPorts, asked: EditRequest) -> Answer:
    values = asked.query.get("run", [])
    if values and values[0] not in ("now", "inspect"):
        what = 'value is not one of the allowed values ["now","inspect"]'
        raise BadRequest(_of_run(what if values[0] else "empty value is not allowed"))
    task = task_of(asked.text, asked.content_type)
    if len(values) > 1:
        what = "multiple values for single value parameter 'run'"
        raise BadRequest(f"Invalid format for parameter run: {what}")
    if values == ["inspect"]:
        return _inspected_draft(ports, asked, task)
    name, at = task["name"], ports.asking.now()
    found = changed(ports, asked, Verb.CREATE, name, task, NotDone, at=at)
    if values == ["now"] and found.task["enabled"]:
        wish = ask(ports, asked, name, tasks.run)
        if not asked.waits:
            return 202, {"task": found.task, **wish}
        run = waited(ports, asked, name, wish)
        if not run.status.succeeded:  # as in CTS, it is then not there
            changed(ports, asked, Verb.DISCARD, name, task, NotDone, at=at)
            raise NotDone(failure(run))
    return 201, {"task": found.task}


def _inspected_draft(ports: EditPorts, asked: EditRequest, task: Mapping[str, Any]) -> Answer:
    name, at = task["name"], ports.asking.now()
    if not task["enabled"]:
        changed(ports, asked, Verb.CREATE, name, task, BadRequest, dry_run=True)
        return 200, {"task": task, "run": {"plan": SKIPPED, "changes_present": False}}
    changed(ports, asked, Verb.DRAFT, name, task, BadRequest, at=at)
    wish = ask(ports, asked, name, tasks.inspect)
    if not asked.waits:
        return 202, {"task": task, **wish}
    run = waited(ports, asked, name, wish)
    changed(ports, asked, Verb.DISCARD, name, task, BadRequest, at=at)
    if run.status is not RunStatus.PLANNED:
        raise BadRequest(failure(run))
    return 200, {"task": task, "run": plan(ports, run)}


def set_(ports: EditPorts, asked: EditRequest) -> Answer:
    """PATCH. CTS takes `enabled` only, and answers it with no more than a plan."""
    if not asked.task or "/" in asked.task:
        raise BadRequest(NO_NAME)
    run = task_patch.run_of(asked.query)
    fields = task_patch.fields_of(asked.text)
    is_cts = fields.keys() == {task_patch.ENABLED}
    if run == "inspect":
        if not is_cts:
            raise BadRequest("run=inspect plans a change of 'enabled' only: use dry_run=true")
        return _inspected(ports, asked, enabled=fields[task_patch.ENABLED])
    found = _edited(ports, asked, Verb.SET, fields, run)
    return (200, {}) if is_cts and found[0] == 200 and not _is_dry(asked) else found


def _inspected(ports: EditPorts, asked: EditRequest, *, enabled: bool) -> Answer:
    if not enabled:
        changed(ports, asked, Verb.SET, asked.task, {}, NotDone, dry_run=True)
        return 200, {"inspect": {"changes_present": False, "plan": ""}}
    return _planned(ports, asked, tasks.inspect, "updating")


def _planned(ports: EditPorts, asked: EditRequest, action: tasks.Action, doing: str) -> Answer:
    wish = ask(ports, asked, asked.task, action)
    if not asked.waits:
        return 202, wish
    run = waited(ports, asked, asked.task, wish)
    if run.status is not RunStatus.PLANNED:
        what = f"Error {doing} task '{run.task}'. Unable to inspect task"
        raise NotDone(f"{what}: {failure(run)}")
    return 200, {"inspect": plan(ports, run)}


def delete(ports: EditPorts, asked: EditRequest) -> Answer:
    """A run in progress goes on to its end, and none follows, except one that destroys what the
    others have created, if that is asked for."""
    if _is_set(asked, "destroy"):
        return _destroyed(ports, asked)
    changed(ports, asked, Verb.DELETE, asked.task, {}, NotDone)
    return 202, {}


def _destroyed(ports: EditPorts, asked: EditRequest) -> Answer:
    """Asked for again: tried again, if it failed."""
    if task_patch.run_of(asked.query) == "inspect":
        return _planned(ports, asked, tasks.inspect_destroy, "deleting")
    tasks.check_may_be_destroyed(ports.asking, asked.task)
    changed(ports, asked, Verb.DESTROY, asked.task, {}, NotDone)
    state = ports.asking.tasks.state(asked.task)
    code, wish = tasks.told(ports.asking, asked, state, Reason.DESTROY)
    if not asked.waits:
        return code, wish
    run = waited(ports, asked, asked.task, wish)
    if not run.status.succeeded:
        raise NotDone(failure(run))
    changed(ports, asked, Verb.DESTROYED, asked.task, {}, NotDone)
    return 200, {"run": shown_runs.run(run)}


# ---- beyond CTS ---------------------------------------------------------------------------


def replace(ports: EditPorts, asked: EditRequest) -> Answer:
    """PUT: the whole task."""
    run = task_patch.run_of(asked.query)
    if run == "inspect":
        raise BadRequest("run=inspect is not supported here: use dry_run=true")
    task = task_of(asked.text, asked.content_type)
    if task.pop("name") != asked.task:
        raise BadRequest("the task's name can't be changed: create another task, and delete this")
    return _edited(ports, asked, Verb.REPLACE, task, run)


def _edited(
    ports: EditPorts, asked: EditRequest, verb: Verb, fields: Mapping[str, Any], run: str
) -> Answer:
    is_dry = _is_dry(asked)
    found = changed(ports, asked, verb, asked.task, fields, NotDone, dry_run=is_dry)
    if is_dry:
        return 200, {"task": found.task, "before": found.before}
    if run == "now" and found.task["enabled"]:
        wish = ask(ports, asked, asked.task, tasks.run)
        if not asked.waits:
            return 202, {"task": found.task, **wish}
        ended = waited(ports, asked, asked.task, wish)
        if not ended.status.succeeded:
            raise NotDone(failure(ended))
    return 200, {"task": found.task}


def _is_dry(asked: EditRequest) -> bool:
    return _is_set(asked, "dry_run")


def _is_set(asked: EditRequest, name: str) -> bool:
    values = asked.query.get(name, [])
    if any(each not in ("true", "false") for each in values) or len(values) > 1:
        raise BadRequest(f"{name} must be true or false, and given once")
    return values == ["true"]


NO_NAME = (
    "no task name was included in the api request. Updating a task requires the task name: "
    "'/v1/tasks/:task_name'"
)


def _of_run(what: str) -> str:
    return f'parameter "run" in query has an error: {what}'


# ---- routes -------------------------------------------------------------------------------

Route = Callable[[EditPorts, EditRequest], Answer]


def _with_body(action: tasks.Action) -> Route:
    def acted(ports: EditPorts, asked: EditRequest) -> Answer:
        return action(ports.asking, tasks.with_body(asked, asked.text))

    return acted


ACTIONS = {**tasks.ROUTES, **task_terraform.ROUTES}
ROUTES: Sequence[tuple[str, str, Route]] = [
    ("POST", "/v1/tasks", create),
    ("PATCH", "/v1/tasks/<name>", set_),
    ("PUT", "/v1/tasks/<name>", replace),
    ("DELETE", "/v1/tasks/<name>", delete),
    *(("POST", path, _with_body(action)) for path, action in ACTIONS.items()),
]
"""Method, path as a pattern for the resolver, handler."""


def unknown(event: Mapping[str, Any]) -> CtsError:
    """The response if no route matches. The resolver knows only some characters in names."""
    http = event["requestContext"]["http"]
    for method, path, _ in ROUTES:
        found = re.fullmatch(path.replace("<name>", "(?P<name>[^/]+)"), http["path"])
        if method == http["method"] and found:
            return TaskNotFound(unquote(found["name"]))
    return read_paths.not_allowed(http["method"], http["path"]) or tasks.unknown(event, ACTIONS)


def body(answer: Answer, request: str) -> str:
    """With the request's ID, which CTS leaves out of what it answers to a good PATCH."""
    code, found = answer
    is_bare = code == OK and (not found or "inspect" in found)
    return json.dumps(found if is_bare else {**found, "request_id": request}) + "\n"
