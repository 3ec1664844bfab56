"""The commands that change tasks. Modules that are slow to import are imported when needed."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cts_cli.typed import Json, StackName

if TYPE_CHECKING:
    from cts_cli.aws import Stack

DONE = frozenset({"applied", "planned_and_finished", "planned", "moved"})
"""Statuses of runs that did what was asked for."""
TaskName = Annotated[str, typer.Argument(metavar="TASK", help="Name of the task.")]
Wait = Annotated[bool, typer.Option("--wait", help="Wait for its end, and print its log.")]


def hold(
    task: TaskName,
    why: Annotated[str, typer.Option("--why", help="The reason, for everyone to see.")],
    stack: StackName = "cts",
    as_json: Json = False,
) -> None:
    """Keep a task from running until it is released.

    A run that is in progress ends as usual. Changes are still noticed: what has
    changed in the meantime is applied once the task is released. `cts inspect`
    shows what that would do.
    """
    found = _post(stack, task, "hold", {"why": why})
    _print(found, as_json, f"{task} is held: nothing is applied until `cts release {task}`")


def release(task: TaskName, stack: StackName = "cts", as_json: Json = False) -> None:
    """Let a held task run again, whatever held it."""
    found = _post(stack, task, "release")
    _print(found, as_json, f"{task} is not held")


def retry(
    task: TaskName, wait: Wait = False, stack: StackName = "cts", as_json: Json = False
) -> None:
    """Try again what failed, at once.

    For a task that gave up, or that waits for its next attempt.
    """
    ask_for_run(stack, task, "retry", wait=wait, as_json=as_json)


def run(
    task: Annotated[
        str | None, typer.Argument(metavar="TASK", help="Name of the task.", show_default=False)
    ] = None,
    every: Annotated[
        bool, typer.Option("--all", help="Run every task that is enabled and not held.")
    ] = False,
    wait: Wait = False,
    stack: StackName = "cts",
    as_json: Json = False,
) -> None:
    """Run a task now, or all of them, whether or not anything has changed.

    If a run is in progress, another one follows it. With --all and --wait, one
    line is printed for each task, in the order in which they end. Exits with 1
    if a run that was waited for fails.
    """
    if every is (task is not None):
        raise typer.BadParameter("write a task, or --all")
    if task is not None:
        ask_for_run(stack, task, "run", wait=wait, as_json=as_json)
        return
    from cts_cli import aws, run_all

    found = aws.find_stack(stack)
    raise typer.Exit(run_all.run(found, wait=wait, as_json=as_json))


def inspect(
    task: TaskName, wait: Wait = False, stack: StackName = "cts", as_json: Json = False
) -> None:
    """Plan a task without applying anything.

    Also for tasks that are held or disabled. With --wait the plan is printed;
    otherwise `cts logs TASK` shows it.
    """
    ask_for_run(stack, task, "inspect", wait=wait, as_json=as_json)


def upgrade_terraform(
    task: TaskName,
    version: Annotated[
        str, typer.Argument(metavar="VERSION", help="Such as 1.12.2.", show_default=False)
    ] = "",
    stack: StackName = "cts",
    as_json: Json = False,
) -> None:
    """Choose the version of Terraform that a task runs with.

    A task keeps the version of its first run, so that an upgrade of the stack
    does not change it. From its next run on it uses VERSION, or, without it,
    what a new task would get. `cts inspect` shows what that would do.
    """
    found = _post(stack, task, "upgrade-terraform", {"version": version})
    wants = found["terraform"]["version"] or "the version that a new task would get"
    _print(found, as_json, f"{task}: {wants}, from its next run on")


COMMANDS: Sequence[Callable[..., None]] = (
    hold,
    release,
    retry,
    run,
    inspect,
    upgrade_terraform,
)


def _post(stack: str, task: str, action: str, body: dict[str, Any] | None = None) -> Any:
    from cts_cli import aws

    return _asked(aws.find_stack(stack), task, action, body)


def _asked(stack: "Stack", task: str, action: str, body: dict[str, Any] | None = None) -> Any:
    from cts_cli import client
    from cts_cli.errors import NotFound

    try:
        return client.Api(stack).post("tasks", task, action, body=body)
    except NotFound as error:
        raise NotFound(f"{error}: `cts status` lists the tasks") from error


def _print(found: Any, as_json: bool, said: str) -> None:
    from cts_cli import output

    if as_json:
        output.print_json(found)
    else:
        output.print_line(output.out(), "✓", "green", said)


def ask_for_run(
    name: str,
    task: str,
    action: str,
    body: dict[str, Any] | None = None,
    *,
    wait: bool,
    as_json: bool,
) -> None:
    """Ask the stack with that name for a run of the task, and wait for it if that is wanted."""
    from cts_cli import aws, client, output, waits
    from cts_cli.push import interruptible

    stack = aws.find_stack(name)
    found = _asked(stack, task, action, body)
    if not wait:
        _print(found, as_json, f"asked for: `cts status` shows {task}, `cts logs {task}` its log")
        return
    reader, text = client.Reader.of(stack), f"waiting for the run of {task} to begin"
    with interruptible("The run continues."), output.progress(text) as progress:
        request = found["asked"]["id"]
        run_id = waits.for_run(reader, task, request, waits.every(1.0), progress.tell)
        show = (lambda _: None) if as_json else progress.show
        ended = waits.along(reader, run_id, waits.every(1.0), show, progress.tell)
    if as_json:
        output.print_json(ended)
    else:
        output.print_ended(ended)
    raise typer.Exit(0 if ended["status"] in DONE else 1)
