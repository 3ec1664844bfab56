"""The commands. Modules that are slow to import are imported by the command that needs them."""

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

import cts
from cts.keys import RUN_ID
from cts_cli import secret_commands, stack_commands, state_commands, task_commands
from cts_cli.errors import CommandError, NotFound
from cts_cli.typed import Command, Commands, Json, StackName

if TYPE_CHECKING:
    from cts_cli.client import Reader


app = typer.Typer(
    cls=Commands,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do it without asking.")]
Wait = Annotated[bool, typer.Option(help="Wait until it is published or rejected.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only show what would change.")]
INSPECT = "Hold new and changed tasks, and show their plans."
ADOPT = "Hold new tasks, and show their plans."
SOURCES = "A folder, or a list of configuration files and folders."


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

    Credentials and region are taken from the usual AWS settings (AWS_PROFILE,
    AWS_REGION, ...).

    \b
    Exit codes:
      0    success
      1    the command ran but found problems: an invalid configuration,
           a push that did not go live, the log of a failed run,
           a run that was waited for and failed
      2    wrong usage, or something could not be reached
      130  interrupted

    status and runs exit with 0 whatever they show: use --json in scripts.
    """


def _reader(stack: str) -> "Reader":
    from cts_cli import aws, client

    return client.Reader(aws.find_stack(stack))


@app.command(cls=Command)
def validate(
    paths: Annotated[
        list[Path] | None, typer.Argument(metavar="PATH", help=SOURCES, show_default=False)
    ] = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="Exit with code 1 if a task would not run here.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Check a configuration locally, without AWS.

    Given one folder, read the .hcl and .json files at its top level; paths in
    them are relative to that folder. Given files, or several paths, read them
    in order; paths in them are relative to the working directory. The default
    is the working directory.
    """
    from cts_cli import output, validate

    checked = validate.check(paths or [Path()])
    if as_json:
        output.print_json(checked.facts)
    else:
        validate.print_checked(output.out(), checked)
    fails = checked.result.problems or (strict and checked.waiting)
    raise typer.Exit(1 if fails else 0)


@app.command(name="import", cls=Command)
def import_(
    paths: Annotated[list[Path], typer.Argument(metavar="PATH", help=SOURCES)],
    as_json: Json = False,
) -> None:
    """Show how a Consul-Terraform-Sync configuration would run here.

    Pass the same paths as to -config-file and -config-dir. Nothing is changed,
    and no access to AWS is needed.
    """
    from cts_cli import import_facts, import_text, output, validate

    checked = validate.check(paths)
    if as_json:
        output.print_json(import_facts.facts(checked))
    else:
        import_text.print_report(output.out(), checked, shlex.join(map(str, paths)))
    raise typer.Exit(1 if checked.result.problems else 0)


@app.command(cls=Command)
def push(
    paths: Annotated[list[Path], typer.Argument(metavar="PATH", help=SOURCES)],
    yes: Yes = False,
    dry_run: DryRun = False,
    stack: StackName = "cts",
    inspect: Annotated[bool, typer.Option("--inspect", help=INSPECT)] = False,
    adopt: Annotated[bool, typer.Option("--adopt", help=ADOPT)] = False,
    wait: Wait = True,
    as_json: Json = False,
) -> None:
    """Make a configuration live.

    First the configuration is checked, as with `cts validate`, and the changes
    are shown. If tasks would be removed or stopped, you are asked to confirm.
    Only the configuration files and the modules and files they refer to are
    pushed. Any secrets in them are moved to the stack's secrets.

    With --inspect or --adopt, nothing is applied for the tasks that are held
    until you run `cts release`. The exit code is 1 if a plan failed.
    """
    from cts_cli import aws, client, plans, push, validate

    checked = validate.check(paths)
    push.refuse_invalid(checked, as_json)
    found = aws.find_stack(stack)
    holding = plans.holding(inspect=inspect, adopt=adopt)
    prepared, how = push.prepare(checked, found), push.How(yes, wait, as_json, holding)
    if dry_run:
        push.dry_run(found, client.Reader(found), prepared, as_json=as_json)
        return
    raise typer.Exit(push.run(found, client.Reader(found), prepared, how))


@app.command(cls=Command)
def rollback(
    generation: Annotated[
        int | None,
        typer.Argument(metavar="GENERATION", help="Number of the generation.", show_default=False),
    ] = None,
    yes: Yes = False,
    stack: StackName = "cts",
    wait: Wait = True,
    as_json: Json = False,
) -> None:
    """Make an earlier configuration live again.

    Without GENERATION, go back to the newest generation whose files differ
    from the live one's; `cts generations` lists them. The changes are shown,
    and you are asked to confirm. The files are pushed again, as a new
    generation. They are kept for 90 days. Secrets keep their current values: a
    rollback does not restore earlier ones.
    """
    from cts_cli import aws, client, push, rollback

    found = aws.find_stack(stack)
    reader = client.Reader(found)
    former = rollback.find(found, reader.live(), generation)
    prepared, how = rollback.prepare(former, found), push.How(yes, wait, as_json)
    raise typer.Exit(push.run(found, reader, prepared, how))


app.add_typer(secret_commands.app, name="secret")
app.add_typer(state_commands.app, name="state")
for command in (*task_commands.COMMANDS, *stack_commands.COMMANDS):
    app.command(cls=Command)(command)


@app.command(cls=Command)
def status(stack: StackName = "cts", as_json: Json = False) -> None:
    """Show each task: its status, what it is doing, and its last run.

    Problems with reading Consul, or with the poller, are shown first.
    """
    from cts_cli import output, status, words

    reader = _reader(stack)
    tasks, configuration = reader.get("status", "tasks"), reader.get("configuration")
    live = configuration["live"] or {}
    waiting = live.get("waiting", {})  # an older stack answers none
    found = {
        "summary": status.summary(tasks.values(), len(waiting)),
        "tasks": tasks,
        "configuration": configuration,
        **reader.get("poller"),
    }
    if as_json:
        output.print_json(found)
    else:
        status.print_status(found, words.now())


@app.command(cls=Command)
def runs(
    what: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="TASK | show RUN",
            help="Show only this task's runs, or one run.",
            show_default=False,
        ),
    ] = None,
    limit: Annotated[
        int, typer.Option(min=1, max=200, help="Maximum number of runs to show.")
    ] = 20,
    stack: StackName = "cts",
    as_json: Json = False,
) -> None:
    """List the most recent runs, or show one.

    `cts runs show RUN` shows what a run did, and what differed in its input
    from the last successful run: which instances, keys or nodes came, left
    or changed. RUN is a run ID, or a task's name for its latest run.
    """
    from cts_cli import output, runs, words

    found: Any
    match what or []:
        case ["show", run]:
            reader = _reader(stack)
            found, show = reader.get("runs", _run_id(reader, run)), runs.print_run
        case []:
            found, show = {"runs": _runs(_reader(stack), None, limit)}, runs.print_runs
        case [task]:
            found, show = {"runs": _runs(_reader(stack), task, limit)}, runs.print_runs
        case _:
            raise typer.BadParameter("write a task, or `show` and a run")
    if as_json:
        output.print_json(found)
    else:
        show(found, words.now())


def _runs(reader: "Reader", task: str | None, limit: int) -> list[dict[str, Any]]:
    query: dict[str, str | int] = (
        {"limit": limit} if task is None else {"task": task, "limit": limit}
    )
    try:
        found: list[dict[str, Any]] = reader.get("runs", **query)["runs"]
    except NotFound as error:
        live = reader.get("configuration")["live"] or {}
        waits = live.get("waiting", {}).get(task)  # an older stack answers none
        if waits is None:
            raise NotFound(f"{error}: `cts status` lists the tasks") from error
        reasons, do = waits["reasons"], "does" if len(waits["reasons"]) == 1 else "do"
        raise CommandError(
            f"task '{task}' is waiting: {', '.join(reasons)} {do} not run yet"
        ) from error
    return found


@app.command(cls=Command)
def logs(
    run: Annotated[
        str, typer.Argument(metavar="RUN", help="Run ID, or a task's name for its latest run.")
    ],
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Go on with the next runs of the task.")
    ] = False,
    stack: StackName = "cts",
    as_json: Json = False,
) -> None:
    """Print a run's log, and follow it while the run is in progress.

    With --follow, print the logs of the task's next runs, too, until Ctrl-C.
    Exits with 1 if the run failed.
    """
    from cts_cli import logs, output

    reader = _reader(stack)
    run_id = _run_id(reader, run)
    if follow:
        if as_json:
            raise typer.BadParameter("--follow never ends, so it has no --json")
        logs.follow(reader, run_id)
        return
    ended = logs.read(reader, run_id) if as_json else logs.show(reader, run_id)
    if as_json:
        output.print_json(ended)
    raise typer.Exit(1 if ended["status"] == "errored" else 0)


def _run_id(reader: "Reader", run: str) -> str:
    """`run`: a run's ID, or a task's name for its latest run."""
    if RUN_ID.fullmatch(run):
        return run
    found = _runs(reader, run, 1)
    if not found:
        raise CommandError(f"task '{run}' has not run yet")
    run_id: str = found[0]["id"]
    return run_id
