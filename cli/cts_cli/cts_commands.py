"""The commands `cts task`: those of CTS, with its flags, output and exit codes. Modules that are
slow to import are imported when needed."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from cts_cli.errors import CommandError, ExitCode
from cts_cli.typed import Command, Commands, path

if TYPE_CHECKING:
    from cts_cli.tasks_api import TasksApi

Names = Annotated[
    list[str] | None, typer.Argument(metavar="TASK", help="Name of the task.", show_default=False)
]
TaskFile = Annotated[
    Path | None,
    typer.Option(
        "--task-file",
        "-task-file",
        metavar="FILE",
        parser=path,
        help="A configuration file with one task block.",
        show_default=False,
    ),
]
AutoApprove = Annotated[
    bool, typer.Option("--auto-approve", "-auto-approve", help="Don't ask for approval.")
]
Inspect = Annotated[
    bool, typer.Option("--inspect", "-inspect", help="Only show the plan; change nothing.")
]
Destroy = Annotated[
    bool, typer.Option("--destroy", "-destroy", help="First destroy what its runs created.")
]
InStack = Annotated[
    str,
    typer.Option(
        "--stack", "-stack", envvar="CTS_STACK", metavar="NAME", help="Name of the deployed stack."
    ),
]
AsJson = Annotated[bool, typer.Option("--json", "-json", help="Print JSON.")]

FLAGS = "auto-approve|destroy|inspect|json"
BOOLEAN = re.compile(rf"(--?(?:{FLAGS}))=(1|t|true|0|f|false)", re.IGNORECASE)
TRUE = ("1", "t", "true")


class CtsCommand(Command):
    def parse_args(self, ctx: Any, args: list[str]) -> Any:
        """Flags may have a value, such as `-auto-approve=false`."""
        found = [(each, BOOLEAN.fullmatch(each)) for each in args]
        kept = [
            flag[1] if flag else each
            for each, flag in found
            if flag is None or flag[2].lower() in TRUE
        ]
        try:
            return super().parse_args(ctx, kept)
        except typer.TyperException as error:
            typed = ", ".join(args)
            what = f"unsupported arguments in flags '{typed}'"
            return _fail(what, _with_whole_flag(error, args), ExitCode.FLAGS)


def _with_whole_flag(error: Any, args: list[str]) -> str:
    """Its message. Of a flag with one dash it names only the first letter."""
    flag = getattr(error, "option_name", "")
    whole = next((each for each in args if each.startswith(flag)), flag)
    return str(error.message).replace(f"option: {flag}", f"option: {whole}")


class CtsCommands(Commands):
    """Errors have the form and the exit codes of CTS."""

    def make_context(self, *arguments: Any, **options: Any) -> Any:
        with _as_cts():
            return super().make_context(*arguments, **options)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        try:
            return super().resolve_command(ctx, args)
        except typer.TyperException as error:
            there_are = f"The commands of `cts task` are: {', '.join(self.commands)}"
            _fail(error.message, there_are, ExitCode.COMMAND)

    def invoke(self, ctx: Any) -> Any:
        with _as_cts():
            return super().invoke(ctx)


@contextmanager
def _as_cts() -> Iterator[None]:
    try:
        yield
    except typer.TyperException as error:
        if not error.message:  # the help was printed
            error.exit_code = ExitCode.COMMAND
            raise
        _fail("unsupported arguments in flags", error.message, ExitCode.FLAGS)


app = typer.Typer(
    cls=CtsCommands,
    no_args_is_help=True,
    help="Create, delete, enable or disable a task, with CTS's flags, output and exit codes.",
)


@app.command(cls=CtsCommand)
def create(
    task_file: TaskFile = None,
    auto_approve: AutoApprove = False,
    inspect: Inspect = False,
    stack: InStack = "cts",
    as_json: AsJson = False,
) -> None:
    """Create a task and run it.

    First its plan is shown, and you are asked to approve it. A module in a
    local folder must be part of the configuration that was pushed.
    """
    if task_file is None:
        _fail("no task file provided", "Pass -task-file=FILE.", ExitCode.REQUIRED)
    from cts_cli import task_file as files
    from cts_cli import task_flows

    with task_flows.failing("unable to create request"):
        task = files.read(task_file)
    how = task_flows.How(auto_approve, inspect, as_json)
    task_flows.create(_api(stack, ""), task, how)


@app.command(cls=CtsCommand)
def delete(
    names: Names = None,
    destroy: Destroy = False,
    auto_approve: AutoApprove = False,
    inspect: Inspect = False,
    stack: InStack = "cts",
    as_json: AsJson = False,
) -> None:
    """Delete a task. What its runs created stays, unless you pass -destroy.

    A run that is in progress goes on to its end. A task of the configuration
    that was pushed comes back when a push changes it: delete it there, too.
    With -destroy, the plan is shown first, and you are asked to approve it.
    """
    name = _one(names)
    if inspect and not destroy:
        _fail("-inspect needs -destroy", "Without it, there is no plan.", ExitCode.FLAGS)
    from cts_cli import task_flows

    does = task_flows.destroy if destroy else task_flows.delete
    does(_api(stack, name), name, task_flows.How(auto_approve, inspect, as_json))


@app.command(cls=CtsCommand)
def enable(
    names: Names = None,
    auto_approve: AutoApprove = False,
    inspect: Inspect = False,
    stack: InStack = "cts",
    as_json: AsJson = False,
) -> None:
    """Enable a task, and run it if its plan has changes.

    If the plan has changes, you are asked to approve it.
    """
    name = _one(names)
    from cts_cli import task_flows

    how = task_flows.How(auto_approve, inspect, as_json)
    task_flows.enable(_api(stack, name), name, how)


@app.command(cls=CtsCommand)
def disable(names: Names = None, stack: InStack = "cts", as_json: AsJson = False) -> None:
    """Disable a task: it no longer runs until it is enabled."""
    name = _one(names)
    from cts_cli import task_flows

    task_flows.disable(_api(stack, name), name, as_json=as_json)


def _fail(error: str, details: str = "", code: ExitCode = ExitCode.ERROR) -> NoReturn:
    from cts_cli import cts_says

    cts_says.fail(error, details, code)


def _one(names: list[str] | None) -> str:
    match names or []:
        case [name]:
            return name
        case []:
            told = "No arguments were passed to the command"
        case several:
            listed = ", ".join(several)
            told = f"{len(several)} arguments were passed to the command: '{listed}'"
    error = "this command requires one argument: [options] <task name>"
    return _fail(error, told, ExitCode.REQUIRED)


def _api(stack: str, name: str) -> "TasksApi":
    from cts_cli import aws, tasks_api

    try:
        return tasks_api.TasksApi(aws.find_stack(stack))
    except CommandError as error:
        whom = f" for '{name}'" if name else ""
        _fail(f"unable to create client{whom}", str(error))
