"""Commands about the deployed stack. Modules that are slow to import are imported when needed."""

from collections.abc import Callable, Sequence
from typing import Annotated

import typer

from cts_cli.typed import Json, StackName


def proxy(
    listen: Annotated[
        str, typer.Option("--listen", metavar="HOST:PORT", help="A loopback address.")
    ] = "127.0.0.1:8558",
    stack: StackName = "cts",
) -> None:
    """Serve the stack's API on CTS's port, for existing scripts.

    Requests are signed with your AWS credentials and passed on, so that
    `curl localhost:8558/v1/status` works as with CTS. The port is only open to
    this machine, and refuses requests from web pages. Press Ctrl-C to stop.
    """
    from cts_cli import aws, proxy

    proxy.serve(aws.find_stack(stack), proxy.address(listen))


def generations(
    limit: Annotated[
        int, typer.Option(min=1, max=200, help="Maximum number of generations to show.")
    ] = 10,
    stack: StackName = "cts",
    as_json: Json = False,
) -> None:
    """List the configurations published so far, and what each one changed.

    `cts rollback GENERATION` makes one of them live again.
    """
    from cts_cli import aws, client, generations, output, words

    found = aws.find_stack(stack)
    newest = generations.newest(found, client.Reader.of(found).live(), limit)
    if as_json:
        output.print_json(generations.facts(newest))
    else:
        generations.print_generations(newest, words.now())


def doctor(stack: StackName = "cts", as_json: Json = False) -> None:
    """Check the stack, and say what to fix.

    From the connection to Consul to the last run of each task, with the
    secrets, permissions and quotas in between. Nothing is changed. What your
    credentials don't allow is reported as not checked. Exits with 1 if
    something must be fixed.
    """
    from cts_cli import aws, doctor, output

    findings = doctor.examine(aws.find_stack(stack))
    if as_json:
        output.print_json(doctor.facts(findings))
    else:
        doctor.print_findings(findings)
    raise typer.Exit(0 if doctor.is_healthy(findings) else 1)


COMMANDS: Sequence[Callable[..., None]] = (doctor, generations, proxy)
