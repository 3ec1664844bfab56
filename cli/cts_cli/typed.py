"""What commands have in common: how they are typed, and how their errors are printed."""

import io
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

from cts_cli.errors import CommandError

StackName = Annotated[
    str,
    typer.Option("--stack", envvar="CTS_STACK", metavar="NAME", help="Name of the deployed stack."),
]


def path(text: str) -> Path:
    """Of an empty text, pathlib makes the working directory. It is more likely a variable without
    a value, in quotes."""
    if not text:
        raise typer.BadParameter("the path is empty: for the working directory, write '.'")
    return Path(text)


Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


class Command(TyperCommand):
    def get_params(self, ctx: Any) -> Any:
        return _flags_without_type(super().get_params(ctx))


class Commands(TyperGroup):
    def get_params(self, ctx: Any) -> Any:
        return _flags_without_type(super().get_params(ctx))

    def make_context(self, *arguments: Any, **options: Any) -> Any:
        with _showing_usage_errors():
            return super().make_context(*arguments, **options)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """A command that is one of `cts task` is named in the error."""
        try:
            return super().resolve_command(ctx, args)
        except typer.TyperException as error:
            task = self.commands.get("task")
            if isinstance(task, TyperGroup) and args[0] in task.commands:
                error.message = f"No such command '{args[0]}'. Did you mean 'cts task {args[0]}'?"
            raise

    def invoke(self, ctx: Any) -> Any:
        """Print a CommandError as a sentence on standard error and exit with its code."""
        _replace_unprintable()
        try:
            with _showing_usage_errors():
                return super().invoke(ctx)
        except CommandError as error:
            from cts.build.masking import masked
            from cts_cli import output
            from cts_cli.screen import Text

            console, (first, *others) = output.err(), masked(str(error)).split("\n")
            output.print_paragraph(console, Text(first, "red"), ("cts:", "red"))
            for line in others:
                console.print(line, style="red")
            raise typer.Exit(error.exit_code) from error


@contextmanager
def _showing_usage_errors() -> Iterator[None]:
    """Typer prints them, with what was typed in them."""
    try:
        yield
    except typer.TyperException as error:
        from cts_cli.shown import LINES, printable

        error.message = printable(error.message, LINES)
        raise


def _flags_without_type(params: Any) -> Any:
    """Flags take no value, so their help shows no type."""
    for param in params:
        if getattr(param, "is_flag", False):
            param.metavar = ""
    return params


def _replace_unprintable() -> None:
    """Print characters that the output's encoding lacks as question marks."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
