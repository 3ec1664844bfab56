"""Change how Terraform works for a task: requests of the API about its version and its state."""

from collections.abc import Mapping

from cts.errors import BadRequest, Conflict
from cts.generation import DRIVER, TaskEntry
from cts.run.kept_version import upgraded
from cts.run.person import ask
from cts.run.place import StatePlace, is_placed
from cts.run.state import Reason, TaskState
from cts.terraform.definition import Definition
from cts.terraform.versions import NAMES, TERRAFORM, EngineVersion, allows, unfit
from cts.workflow import shown
from cts.workflow.tasks import Action, Answer, Request, TaskPorts, change, told, wishes


def upgrade(ports: TaskPorts, asked: Request) -> Answer:
    """`{"version": text}`: what the task works with from its next run on. Without a version, what a
    new task would get."""
    version = asked.body.get("version", "")
    if asked.body.keys() - {"version"} or not isinstance(version, str):
        raise BadRequest('the body must be a JSON object with "version", a text, and nothing else')

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
    return str(EngineVersion(engine, version.removeprefix("v")))


def move_state(ports: TaskPorts, asked: Request) -> Answer:
    """`{"to": "stack"}`: its Terraform state, which CTS has left in Consul, into the state bucket;
    `{"to": "consul"}`: the way back. By a run that applies nothing, also of a task that is held or
    disabled. A move that is under way is asked for once."""
    to = asked.body.get("to")
    if asked.body.keys() != {"to"} or to not in [*StatePlace]:
        raise BadRequest('the body must be a JSON object with "to": "stack" or "consul"')

    def decide(state: TaskState, entry: TaskEntry, now: float) -> TaskState:
        path = _path_in_consul(ports)
        if entry.driver != DRIVER or not path:
            raise Conflict(asked.task, "has its state where its configuration says: move it there")
        if not is_placed(state):
            raise Conflict(asked.task, "has not been looked for in Consul yet: try again later")
        if move := wishes(state).get(Reason.MOVE):
            if _target(move.path) == to:
                return state
            raise Conflict(asked.task, "moves its state the other way: wait until it has")
        if _target(state.path) == to:
            raise Conflict(asked.task, f"already has its state {WHERE[to]}")
        path = path if to == StatePlace.CONSUL else ""
        return ask(state, now, asked.id, asked.by, Reason.MOVE, path)

    return told(ports, asked, change(ports, asked, decide), Reason.MOVE)


def _target(path: str) -> StatePlace:
    return StatePlace.CONSUL if path else StatePlace.STACK


WHERE = {"stack": "in the state bucket", "consul": "in Consul"}


def _path_in_consul(ports: TaskPorts) -> str:
    """Below which CTS keeps states; empty if the configuration has a backend."""
    current = ports.live.current()
    return ports.generations.generation(current).former_state if current else ""


ROUTES: Mapping[str, Action] = {
    "/v1/tasks/<name>/upgrade-terraform": upgrade,
    "/v1/tasks/<name>/move-state": move_state,
}
"""As in `workflow/tasks.py`."""
