"""The commands `cts secret`. Modules that are slow to import are imported when needed."""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cts.config.blocks.schema import Group
from cts_cli.errors import CommandError
from cts_cli.typed import Command, Commands, Json, StackName

if TYPE_CHECKING:
    from cts_cli.named_secrets import Secrets

Name = Annotated[str, typer.Argument(metavar="NAME", help='The name that {{ env "NAME" }} reads.')]
InGroup = Annotated[
    Group | None,
    typer.Option(
        "--group",
        help="The secret to use, if NAME alone does not tell: of the connection to Consul, of "
        "HCP Terraform, or of tasks.",
        show_default=False,
    ),
]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Remove it without asking.")]


class ValuesHidden(Commands):
    """Anything that is typed may be a value, which an error of Typer's would show."""

    def make_context(self, *arguments: Any, **options: Any) -> Any:
        _, typed, *_ = arguments
        with _hiding_values() if typed else nullcontext():  # else Typer shows the help
            return super().make_context(*arguments, **options)

    def invoke(self, ctx: Any) -> Any:
        with _hiding_values():
            return super().invoke(ctx)


@contextmanager
def _hiding_values() -> Iterator[None]:
    try:
        yield
    except typer.TyperException as error:
        if not error.message:  # only NAME is missing
            raise
        raise CommandError(
            "wrong usage, not shown here because a value may have been typed. The only argument "
            "is NAME: leave the value out to be asked for it, or pass it on standard input; "
            "`cts secret --help` lists the commands"
        ) from None


app = typer.Typer(
    cls=ValuesHidden,
    no_args_is_help=True,
    help="Set, list or remove secrets that builds and the poller use.",
)


def _secrets(stack: str) -> "Secrets":
    from cts_cli import aws, client, named_secrets

    found = aws.find_stack(stack)
    return named_secrets.load(found, client.Reader.of(found))


@app.command("set", cls=Command)
def set_(
    name: Name,
    group: InGroup = None,
    stack: StackName = "cts",
    as_json: Json = False,
) -> None:
    """Store a secret, or replace it.

    You are asked for the value, and it is not shown. Without a terminal, it is
    read from standard input: cts secret set NAME < FILE. It is never an
    argument, because other users and the shell's history can see those.
    """
    from cts_cli import named_secrets

    named_secrets.check_name(name)
    found = _secrets(stack)
    named_secrets.store(found, name, found.group_to_set(name, group), as_json=as_json)


@app.command("list", cls=Command)
def list_(stack: StackName = "cts", as_json: Json = False) -> None:
    """List the names of all secrets, and which tasks use them. No value is shown."""
    from cts_cli import named_secrets

    named_secrets.print_list(_secrets(stack), as_json=as_json)


@app.command(cls=Command)
def remove(
    name: Name,
    group: InGroup = None,
    yes: Yes = False,
    stack: StackName = "cts",
    as_json: Json = False,
) -> None:
    """Remove a secret.

    You are asked to confirm. A rollback to a configuration that uses the name
    will then need it again.
    """
    from cts_cli import named_secrets

    found = _secrets(stack)
    named_secrets.remove(found, name, found.group_of(name, group), yes=yes, as_json=as_json)
