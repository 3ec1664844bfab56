"""Which lane a run takes."""

from dataclasses import replace

from cts.generation import TaskEntry
from cts.run.lane import Capacity, chosen, needs_of
from cts.run.model import TERRAFORM, Run
from cts.run.state import Reason, TaskState
from cts.terraform.definition import Definition
from cts.terraform.warm import obstacles


def in_lane(
    run: Run, state: TaskState, entry: TaskEntry, definition: Definition, capacity: Capacity
) -> Run:
    """The run with its driver, and why; one in HCP Terraform as it is."""
    if run.driver != TERRAFORM:
        return run
    found = [*obstacles(definition)]
    if Reason.MOVE in run.why:
        found = ["it moves a state from or to Consul"]
    needs = needs_of(state.needs, entry.definition)
    choice = chosen(entry.lane, found, needs, capacity, run.claimed_at)
    return replace(run, driver=choice.driver, lane_why=choice.why)
