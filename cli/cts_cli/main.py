"""The commands. Modules that are slow to import are imported by the command that needs them."""

import atexit
import gc
import shlex
from pathlib import Path
from typing import Annotated

import typer

import cts
from cts_cli import (
    cts_commands,
    read_commands,
    secret_commands,
    stack_commands,
    state_commands,
    task_commands,
)
from cts_cli.typed import Command, Commands, Json, StackName, path

# Python would look through all that was imported before it ends, which takes a tenth of a second.
atexit.register(gc.freeze)

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

Paths = Annotated[list[Path], typer.Argument(metavar="PATH...", help=SOURCES, parser=path)]


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
           a run that was waited for and failed, something for doctor to report
      2    wrong usage, something could not be reached, or the result could
           not be written
      130  interrupted

    status and runs exit with 0 whatever they show: use --json in scripts.
    """


@app.command(cls=Command)
def validate(
    paths: Annotated[
        list[Path] | None,
        typer.Argument(metavar="PATH...", help=SOURCES, parser=path, show_default=False),
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
    paths: Paths,
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
    paths: Paths,
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
        push.dry_run(found, client.Reader.of(found), prepared, as_json=as_json)
        return
    raise typer.Exit(push.run(found, client.Reader.of(found), prepared, how))


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
    reader = client.Reader.of(found)
    former = rollback.find(found, reader.live(), generation)
    prepared, how = rollback.prepare(former, found), push.How(yes, wait, as_json)
    raise typer.Exit(push.run(found, reader, prepared, how))


app.add_typer(secret_commands.app, name="secret")
app.add_typer(cts_commands.app, name="task")
app.add_typer(state_commands.app, name="state")
for command in (*read_commands.COMMANDS, *task_commands.COMMANDS, *stack_commands.COMMANDS):
    app.command(cls=Command)(command)
