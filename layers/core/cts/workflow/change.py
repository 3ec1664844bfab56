"""Change a task because a person asks for it through the API: check, store, publish."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from cts.config.api_tasks import (
    ApiTask,
    StoredTask,
    decided,
    objects,
    place,
    without_drafts,
)
from cts.config.bundle import UnreadableBundle
from cts.config.limits import OverLimit
from cts.config.rules.problem import Code, Problem
from cts.config.task_change import Changed, ChangeOutcome, Object, TaskChange, Verb
from cts.config.task_object import has_hidden
from cts.config.written import as_written
from cts.errors import Unavailable
from cts.run.person import has_planned
from cts.stored import load
from cts.workflow import publish
from cts.workflow.publish import PublishOutcome, PublishPorts
from cts.workflow.to_publish import CheckedPush, ToPublish, check, files_of, to_publish

MOST_TRIES = 10
MOST_TOLD = 5
"""Problems in an answer."""


def read(raw: object) -> TaskChange:
    """What the api asks for. Raises ValueError."""
    return load(TaskChange, raw)


def told(made: Changed) -> dict[str, Any]:
    """For the log: no variables, which may be secret."""
    return {"outcome": made.outcome, "problems": made.problems}


def change(ports: PublishPorts, asked: TaskChange, seconds: float) -> Changed:
    """What was pushed is published or rejected first, so that the change is made to what is live.
    Raises Unavailable if others keep being faster. `seconds`: as in `publish`."""
    for attempt in range(MOST_TRIES):
        stored = ports.api_tasks.all().get(asked.name)  # first: what was read later may be newer
        now = to_publish(ports) or ToPublish(None, {}, None, None)
        if attempt == 0 and now.is_new_push:
            publish.publish(ports, seconds)
            continue
        known, gone = _known(now, ports.environment), now.gone.get(asked.name, "")
        made = decided(asked, _in_the_way(ports, now, asked), known.get(asked.name), gone)
        if isinstance(made, Changed):
            return made
        checked = check(_with(now, made), ports.environment, asked.name)
        if wrong := _wrong(checked, asked):
            return Changed(ChangeOutcome.INVALID, problems=wrong)
        found = Changed(ChangeOutcome.CHANGED, _shown(checked, asked.name))
        before = check(now, ports.environment) if asked.dry_run else None
        if before is not None:
            return replace(found, before=_shown(before, asked.name))
        if _put(ports, made, stored):
            _publish(ports, asked, seconds)
            return found
    raise Unavailable(f"changing task {asked.name}: others keep changing it at the same time")


def _in_the_way(ports: PublishPorts, now: ToPublish, asked: TaskChange) -> StoredTask | None:
    """What is stored of the task. A draft whose plan has come makes room for another one."""
    found = now.tasks.get(asked.name)
    if found is None or asked.verb is not Verb.DRAFT:
        return found
    if not has_planned(ports.tasks.state(asked.name), found.task.at):
        return found
    return without_drafts({asked.name: found}).get(asked.name)


def _known(now: ToPublish, environment: Mapping[str, str]) -> Mapping[str, Object]:
    """The Task objects as they were pushed. A bundle that can't be read says nothing: the check
    tells why."""
    try:
        return objects(*as_written(files_of(now), environment))
    except (UnreadableBundle, OverLimit):
        return {}


def _with(now: ToPublish, made: ApiTask) -> ToPublish:
    others = {name: each for name, each in now.tasks.items() if name != made.name}
    return replace(now, tasks=others | ({made.name: StoredTask(made, "new")} if made.says else {}))


def _shown(checked: CheckedPush, name: str) -> dict[str, Any]:
    tasks = checked.compiled.shown if checked.compiled else []
    return next((each for each in tasks if each["name"] == name), {})


def _wrong(checked: CheckedPush, asked: TaskChange) -> tuple[str, ...]:
    if has_hidden(asked.fields):
        what = f"task {asked.name}: *** stands for a secret that is not shown"
        return (f"{what}; write a reference to it, as in {{{{resolve:secretsmanager:NAME}}}}",)
    if checked.problems or checked.compiled is None:
        return _told(checked, asked.name)
    return _secrets(checked, asked)


def _told(checked: CheckedPush, name: str) -> tuple[str, ...]:
    """What is wrong with the task; if nothing is, with all there is."""
    own = [each for each in checked.problems if each.place.file == place(name)]
    return tuple(_text(each) for each in (own or checked.problems)[:MOST_TOLD])


def _secrets(checked: CheckedPush, asked: TaskChange) -> tuple[str, ...]:
    """A push is warned of them; from the API, the warning would reach no user."""
    if asked.verb is Verb.DISCARD:
        return ()
    paths = tuple(f"task.{asked.name}.{field}." for field in asked.fields)
    found = (each for each in checked.warnings if each.code is Code.LITERAL_SECRET)
    return tuple(_text(each) for each in found if f"{each.path}.".startswith(paths))[:MOST_TOLD]


def _text(problem: Problem) -> str:
    facts = problem.as_json()
    where = f"{facts['path']}: " if facts["path"] else ""
    fix = f"; {facts['fix']}" if facts["fix"] else ""
    return f"{where}{facts['what']}{fix}"


def _put(ports: PublishPorts, made: ApiTask, stored: StoredTask | None) -> bool:
    if made.says:
        return ports.api_tasks.put(made, stored)
    return ports.api_tasks.delete(made.name, stored) if stored else True


def _publish(ports: PublishPorts, asked: TaskChange, seconds: float) -> None:
    """A push that is rejected meanwhile does not count: then again without it."""
    outcome = publish.publish(ports, seconds, asked.by).outcome
    if outcome is PublishOutcome.REJECTED:
        outcome = publish.publish(ports, seconds, asked.by).outcome
    if outcome is PublishOutcome.BEING_CHECKED:
        told = "the change is stored, and goes live when other publishers have ended"
        raise Unavailable(f"changing task {asked.name}: {told}")
