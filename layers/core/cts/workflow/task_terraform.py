"""Change what Terraform does for a task: requests of the API about its version."""

from collections.abc import Mapping

from cts.errors import BadRequest, Conflict
from cts.generation import DRIVER, TaskEntry
from cts.run.kept_version import upgraded
from cts.run.state import TaskState
from cts.terraform.definition import Definition
from cts.terraform.versions import NAMES, TERRAFORM, EngineVersion, allows, unfit
from cts.workflow import shown
from cts.workflow.tasks import Action, Answer, Request, TaskPorts, change


def upgrade(ports: TaskPorts, asked: Request) -> Answer:
    """`{"version": text}`: what the task works with from its next run on. Without a version, what a
    new task would get."""
    version = asked.body.get("version", "")
    if asked.body.keys() - {"version"} or not isinstance(version, str):
        raise BadRequest('the body must be a JSON object with "version", a text, and nothing else')
    version = version.removeprefix("v")

    def decide(state: TaskState, entry: TaskEntry, now: float) -> TaskState:
        if entry.driver != DRIVER:
            raise Conflict(asked.task, "has the version of its workspace: change it there")
        definition = ports.definitions.definition(entry.definition)
        kept = _wanted(asked.task, version, entry, definition) if version else ""
        return upgraded(state, kept, asked.by, now)

    after = change(ports, asked, decide)
    return 200, {"task": asked.task, "terraform": shown.terraform(after)}


def _wanted(task: str, version: str, entry: TaskEntry, definition: Definition) -> str:
    """What the task keeps from now on. Raises BadRequest or Conflict if it would not use it."""
    engine = definition.engine or TERRAFORM
    if wrong := unfit(engine, version):
        raise BadRequest(": ".join(wrong))
    if definition.terraform_version:
        raise Conflict(
            task, f"has {definition.terraform_version} in its configuration: change it there"
        )
    required = entry.required_version
    if not allows(required, version):
        raise Conflict(task, f"has a module that requires {NAMES[engine]} {required}")
    return str(EngineVersion(engine, version))


ROUTES: Mapping[str, Action] = {"/v1/tasks/<name>/upgrade-terraform": upgrade}
"""As in `workflow/tasks.py`."""
