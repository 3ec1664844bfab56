"""The commands `cts state`."""

from typing import Annotated

import typer

from cts_cli.task_commands import TaskName, Wait, ask_for_run
from cts_cli.typed import Command, Commands, Json, StackName

app = typer.Typer(
    cls=Commands, no_args_is_help=True, help="Move Terraform states that CTS left in Consul."
)
Back = Annotated[bool, typer.Option("--back", help="From the state bucket to Consul.")]


@app.command(cls=Command)
def move(
    task: TaskName,
    back: Back = False,
    wait: Wait = False,
    stack: StackName = "cts",
    as_json: Json = False,
) -> None:
    """Move a task's Terraform state from Consul to the state bucket.

    For a task that goes on with a state of CTS. Nothing is applied, also if the
    task is held. What is in Consul stays there, but is no longer used: never
    start CTS with it again, unless you have moved the state --back.
    """
    body = {"to": "consul" if back else "stack"}
    ask_for_run(stack, task, "move-state", body, wait=wait, as_json=as_json)
