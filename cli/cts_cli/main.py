"""The commands. What takes time to import is imported by the command that needs it."""

import io
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

import cts
from cts_cli.errors import CommandError, NotFound

if TYPE_CHECKING:
    from cts_cli.client import Reader


class Command(TyperCommand):
    def get_params(self, ctx: Any) -> Any:
        return _flags_without_type(super().get_params(ctx))


class Commands(TyperGroup):
    def get_params(self, ctx: Any) -> Any:
        return _flags_without_type(super().get_params(ctx))

    def invoke(self, ctx: Any) -> Any:
        """A CommandError ends a command as a sentence on standard error."""
        _replace_unprintable()
        try:
            return super().invoke(ctx)
        except CommandError as error:
            from cts_cli import output

            output.err().print(f"cts: {error}", style="red", markup=False)
            raise typer.Exit(error.exit_code) from error


def _flags_without_type(params: Any) -> Any:
    """A flag takes no value: so its help names no type of one."""
    for param in params:
        if getattr(param, "is_flag", False):
            param.metavar = ""
    return params


def _replace_unprintable() -> None:
    """A mark that the output's encoding lacks is printed as a question mark."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


app = typer.Typer(
    cls=Commands,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

INTERRUPTED_PUSH = "The push was made and will be answered: see `cts status`."
StackName = Annotated[
    str,
    typer.Option("--stack", envvar="CTS_STACK", metavar="NAME", help="The deployed stack's name."),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"cts {cts.__version__}")
        raise typer.Exit


@app.callback()
def main(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Consul-Terraform-Sync without a daemon.

    Push a configuration, then watch Terraform follow the services in Consul.

    Credentials and region are those of the AWS command line (AWS_PROFILE, AWS_REGION, ...).
    Exit codes: 0 done; 1 done, and the answer is bad news: a push that is
    not live, the log of a run that failed; 2 wrong usage, or out of reach;
    130 interrupted. For status and runs it is 0 whatever they show.
    """


@contextmanager
def _interruptible(said: str) -> Iterator[None]:
    """Ctrl-C ends a wait, and what is waited for goes on: `said` says so."""
    try:
        yield
    except KeyboardInterrupt as error:
        from cts_cli import output

        output.err().print(f"Interrupted. {said}", markup=False)
        raise typer.Exit(130) from error


def _reader(stack: str) -> "Reader":
    from cts_cli import aws, client

    return client.Reader(aws.find(stack))


@app.command(cls=Command)
def push(
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="The folder with the configuration.")
    ],
    stack: StackName = "cts",
    wait: Annotated[bool, typer.Option(help="Wait until it is published or rejected.")] = True,
    as_json: Json = False,
) -> None:
    """Make a folder the live configuration.

    Everything in DIR is pushed but hidden files: the .hcl and .json files at
    its top, and the modules and variable files they name. What is rejected
    changes nothing.
    """
    from cts.config.bundle import archive
    from cts_cli import answer, aws, client, output, waits, words
    from cts_cli import folder as folders

    files = folders.read(folder)
    found = aws.find(stack)
    reader = client.Reader(found)
    began = words.now()
    version = found.put_bundle(archive(files))
    pushed = f"pushed {words.count(len(files), 'file')} from '{folder}'"
    if not wait:
        if as_json:
            output.as_json({"outcome": "pushed", "source_version": version})
        else:
            typer.echo(f"{pushed}; `cts status` shows what comes of it")
        return
    text = f"{pushed}, waiting for the publisher"
    with _interruptible(INTERRUPTED_PUSH), output.progress(text) as progress:
        ticks = waits.every(1.0, waits.LONGEST_ANSWER)
        given = waits.for_answer(reader, found.newest_bundle, version, ticks, progress.tell)
    if as_json:
        output.as_json({"outcome": given.outcome, "source_version": version} | given.facts)
    else:
        answer.show(given, files, words.span((words.now() - began).total_seconds()))
    raise typer.Exit(0 if given.outcome is waits.Outcome.PUBLISHED else 1)


@app.command(cls=Command)
def status(stack: StackName = "cts", as_json: Json = False) -> None:
    """Show every task: how it fares, what it does now, its last run."""
    from cts_cli import output, tables, words

    reader = _reader(stack)
    tasks = reader.get("status", "tasks")
    found = {
        "summary": tables.summary(tasks.values()),
        "tasks": tasks,
        "configuration": reader.get("configuration"),
        **reader.get("poller"),
    }
    if as_json:
        output.as_json(found)
    else:
        tables.status(found, words.now())


@app.command(cls=Command)
def runs(
    task: Annotated[str | None, typer.Argument(metavar="TASK", help="Of this task only.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=200, help="At most so many.")] = 20,
    stack: StackName = "cts",
    as_json: Json = False,
) -> None:
    """List the newest runs."""
    from cts_cli import output, tables, words

    found = _runs(_reader(stack), task, limit)
    if as_json:
        output.as_json({"runs": found})
    else:
        tables.runs(found, words.now())


def _runs(reader: "Reader", task: str | None, limit: int) -> list[dict[str, Any]]:
    query: dict[str, str | int] = (
        {"limit": limit} if task is None else {"task": task, "limit": limit}
    )
    try:
        found: list[dict[str, Any]] = reader.get("runs", **query)["runs"]
    except NotFound as error:
        raise NotFound(f"{error}: `cts status` lists the tasks") from error
    return found


@app.command(cls=Command)
def logs(
    run: Annotated[str, typer.Argument(metavar="RUN", help="A run, or a task: its newest run.")],
    stack: StackName = "cts",
) -> None:
    """Print the log of a run, as it grows if the run goes on."""
    from cts_cli import output, waits

    reader = _reader(stack)
    run_id = run if waits.RUN_ID.fullmatch(run) else _newest(reader, run)
    text = f"reading the log of {run_id}"
    with _interruptible("The run goes on."), output.progress(text) as progress:
        ended = waits.along(reader, run_id, waits.every(1.0), progress.show, progress.tell)
    output.ended(ended)
    raise typer.Exit(1 if ended["status"] == "errored" else 0)


def _newest(reader: "Reader", task: str) -> str:
    found = _runs(reader, task, 1)
    if not found:
        raise CommandError(f"task '{task}' has not run yet")
    run_id: str = found[0]["id"]
    return run_id
