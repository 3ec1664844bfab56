"""Whether CTS has left Terraform states in Consul: looked for before a task's first run.

Only names are of interest: what is found is neither stored nor shown.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection

from cts.conditions import consul_kv
from cts.errors import Refused, Unavailable
from cts.generation import Generation
from cts.ports import Consul
from cts.run.place import StatePlace
from cts.watch.query import View
from cts.watch.snapshot import EMPTY

WITHIN = 20.0
"""Seconds for all tasks together: the hand-over between two pollers waits for it."""

HasState = Callable[[str], Awaitable[bool]]
"""Whether the stack's state bucket has a state of a task."""


async def look(
    consul: Consul, generation: Generation, tasks: Collection[str], has_state: HasState
) -> dict[str, StatePlace | str]:
    """Where each of the tasks keeps its state, or why that can't be told."""
    looking = {
        task: asyncio.create_task(_look(consul, generation.state_in_consul(task), task, has_state))
        for task in tasks
    }
    try:
        if looking:
            await asyncio.wait(looking.values(), timeout=WITHIN)
        return {
            task: each.result()
            if each.done()
            else _why(generation.state_in_consul(task), "no answer in time")
            for task, each in looking.items()
        }
    finally:
        for each in looking.values():
            each.cancel()
        await asyncio.gather(*looking.values(), return_exceptions=True)


async def _look(consul: Consul, key: str, task: str, has_state: HasState) -> StatePlace | str:
    """A state in the stack's bucket counts more: only a stack that has run the task has made it."""
    try:
        answer = await consul.ask(View(consul_kv.KEY, key), consistent=True)
        if answer.snapshot == EMPTY or await has_state(task):
            return StatePlace.STACK
    except (Refused, Unavailable) as error:
        return _why(key, str(error))
    return StatePlace.CONSUL


def _why(key: str, why: str) -> str:
    prefix = key.rpartition("/")[0]
    return (
        f"whether CTS has left a state at {key} in Consul can't be told: {why}. Give the token "
        f'key_prefix "{prefix}/" {{ policy = "read" }}; or, if CTS has never run this task, '
        "release it, and it begins with an empty state"
    )
