"""Tasks that are deleted with all that their runs have created: ask for the run that destroys it,
and delete them once it is done."""

from contextlib import suppress

from cts.config.task_change import TaskChange, Verb
from cts.errors import Unavailable
from cts.generation import TaskEntry
from cts.run.due import due
from cts.run.leaving import asked_to_leave, is_destroyed
from cts.workflow.change import change
from cts.workflow.publish import PublishPorts
from cts.workflow.settle import triggered


def see_off(ports: PublishPorts, seconds: float) -> None:
    """Do for each task that is to be destroyed what is next. What a push has ended is left alone.
    Safe to call at any time. `seconds`: as in `publish`."""
    leaving = {name: each.task for name, each in ports.api_tasks.all().items() if each.task.leaving}
    current = ports.published.current() if leaving else None
    tasks = ports.objects.generation(current).tasks if current else {}
    for name, asked in leaving.items():
        entry = tasks.get(name)
        if entry is None or entry.leaving != asked.leaving:
            continue
        if is_destroyed(ports.tasks.state(name), asked.leaving):
            delete = TaskChange(Verb.DESTROYED, name, asked.by, ports.now(), request=asked.leaving)
            change(ports, delete, seconds)
        else:
            _ask(ports, name, entry, asked.by)


def _ask(ports: PublishPorts, name: str, entry: TaskEntry, by: str) -> None:
    """For the run, once for each request."""
    while True:
        state, now = ports.tasks.state(name), ports.now()
        after = asked_to_leave(state, entry.leaving, by, now)
        if after == state:
            return
        if ports.tasks.put_state(after):
            break
    if due(after, entry.enabled, now):
        with suppress(Unavailable):  # the sweep sends it
            ports.bus.send([triggered(after)])
