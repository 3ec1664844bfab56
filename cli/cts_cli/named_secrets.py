"""Single names in the stack's secrets: set, listed and removed, without showing a value."""

import re
import sys
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import typer

from cts.config import bundle
from cts.config.blocks.model import Configuration
from cts.config.blocks.schema import Group
from cts.config.written import configuration
from cts_cli import output, push, secrets, words
from cts_cli.aws import Stack
from cts_cli.client import Reader
from cts_cli.errors import CommandError
from cts_cli.import_facts import environment, read_names
from cts_cli.screen import Text
from cts_cli.secrets import Held

NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}")
PREFIXES = {"CONSUL_": Group.CONNECTION, "TFC_": Group.HCP}
"""How names begin that are not for tasks."""
Answer = TypeVar("Answer")
UNCHANGED = "Nothing was changed."


@dataclass(frozen=True, slots=True)
class Secrets:
    stack: Stack
    held: Mapping[Group, Held]
    """Those that the caller may read."""
    live: Configuration | None
    """The live configuration, without the tasks that were deleted through the API. None if there is
    none, or the caller may not read it."""
    reader: Reader

    def groups_with(self, name: str) -> list[Group]:
        return [group for group, held in self.held.items() if name in held.values]

    def group_to_set(self, name: str, given: Group | None) -> Group:
        """Where the name is, or else where the live configuration reads it, or else where its
        beginning belongs."""
        if not given and self.groups_with(name):
            return self.group_of(name, None)
        read = environment(self.live).get(name) if self.live else None
        known = (group for prefix, group in PREFIXES.items() if name.startswith(prefix))
        return given or Group(read or next(known, Group.TASK))

    def group_of(self, name: str, given: Group | None) -> Group:
        """Where the name is. Raises CommandError if it is nowhere, or in several secrets."""
        found = [group for group in self.groups_with(name) if given in (None, group)]
        if not found:
            where = f"the stack's {given} secret" if given else "the stack's secrets"
            raise CommandError(
                f"'{name}' is not in {where}: `cts secret list` shows the names that are"
            )
        if len(found) > 1:
            raise CommandError(
                f"'{name}' is in several secrets: choose one with --group {' or '.join(found)}"
            )
        return found[0]

    def users(self, name: str, group: Group) -> list[str] | None:
        """The tasks that use it. None if that is not known."""
        if self.live is None:
            return None
        live = self.live
        tasks = [task.name for task in live.tasks]
        rest = replace(live, terraform_provider=(), tasks=())
        if environment(rest).get(name) == group:
            return tasks
        if environment(live).get(name) != group:
            return []
        parts = (
            (task, [task.serverless, *map(live.provider, task.providers)]) for task in live.tasks
        )
        return [
            task.name for task, found in parts if any(name in read_names(each) for each in found)
        ]

    def gave_up(self, tasks: Collection[str]) -> list[str]:
        """Those of them that are enabled and gave up. Only to say so: an error prevents nothing
        else."""
        try:
            found = self.reader.get("status", "tasks") if tasks else {}
        except CommandError:
            return []
        stopped = {name for name, task in found.items() if task["state"] == "gave_up"}
        return [name for name in tasks if name in stopped and found[name]["enabled"]]


def load(stack: Stack, reader: Reader) -> Secrets:
    found = {group: secrets.read(stack, group) for group in stack.secrets}
    held = {group: each for group, each in found.items() if each is not None}
    return Secrets(stack, held, _live(stack, reader), reader)


def _live(stack: Stack, reader: Reader) -> Configuration | None:
    """Only to say who uses a secret: whatever prevents it prevents nothing else."""
    try:
        live = reader.live()
        if live is None or (body := stack.bundle(live["source_version"])) is None:
            return None
        pushed = configuration(bundle.unpacked(body))
        kept = {*live["tasks"], *live["waiting"]}
        return replace(pushed, tasks=tuple(each for each in pushed.tasks if each.name in kept))
    except (CommandError, bundle.UnreadableBundle):
        return None


def check_name(name: str) -> None:
    """Raises CommandError, which does not show the name: it may have the value in it."""
    if not NAME.fullmatch(name):
        raise CommandError(
            "NAME must be letters, digits and underscores, not begin with a digit, and have at "
            "most 128 characters; the value is asked for"
        )


# ---- commands -----------------------------------------------------------------------------------


def store(found: Secrets, name: str, group: Group, *, as_json: bool) -> None:
    value = _value(name)
    doing = f"storing {name} in the stack's {group} secret"
    former = secrets.change(found.stack, group, lambda held: {**held, name: value}, doing)
    replaced = name in former and former[name] != value
    users = found.users(name, group)
    gave_up = found.gave_up(users or ())
    if as_json:
        facts = {"name": name, "group": group, "replaced": replaced, "tasks": users}
        output.print_json({**facts, "gave_up": gave_up})
        return
    again = " (replaced)" if replaced else ""
    _say(f"stored in the stack's {group} secret: {name}{again}{_used(users)}")
    if gave_up:
        told = f"{', '.join(gave_up)} gave up earlier: run {', '.join(words.retries(gave_up))}"
        output.print_line(output.out(), "!", "yellow", told)


def remove(found: Secrets, name: str, group: Group, *, yes: bool, as_json: bool) -> None:
    users = found.users(name, group)
    if not (yes or _agreed(name, group, users)):
        output.err().print(UNCHANGED)
        raise typer.Exit(1)

    def without(held: secrets.Values) -> secrets.Values:
        return {each: value for each, value in held.items() if each != name}

    doing = f"removing {name} from the stack's {group} secret"
    secrets.change(found.stack, group, without, doing)
    if as_json:
        output.print_json({"name": name, "group": group, "tasks": users})
    else:
        _say(f"removed from the stack's {group} secret: {name}{_used(users)}")


def print_list(found: Secrets, *, as_json: bool) -> None:
    if as_json:
        output.print_json({"secrets": [*_facts(found)], "unreadable": _unreadable(found)})
        return
    console = output.out()
    for group, held in found.held.items():
        told = words.count(len(held.values), "secret")
        if held.changed_at:
            told += f", changed {words.ago(held.changed_at.isoformat(), words.now())}"
        console.print(Text.assemble((group.value, "bold"), (f"  {told}", "dim")))
        for name in sorted(held.values):
            text = Text.assemble(f"  {name}", (_used(found.users(name, group)), "dim"))
            console.print(text, soft_wrap=True)
    for each in _unreadable(found):
        output.err().print(f"the stack's {each} secret can't be read: access denied")


def _facts(found: Secrets) -> list[dict[str, Any]]:
    return [
        {
            "name": name,
            "group": group,
            "changed_at": held.changed_at.isoformat() if held.changed_at else None,
            "tasks": found.users(name, group),
        }
        for group, held in found.held.items()
        for name in sorted(held.values)
    ]


def _unreadable(found: Secrets) -> list[str]:
    return [group.value for group in found.stack.secrets if group not in found.held]


def _used(tasks: Collection[str] | None) -> str:
    if tasks is None:
        return ""
    if not tasks:
        return "; not used by the live configuration"
    return f"; used by {', '.join(tasks)}"


def _say(text: str) -> None:
    output.print_line(output.out(), "✓", "green", text)


# ---- what is typed ------------------------------------------------------------------------------


def _value(name: str) -> str:
    """What is typed, or on standard input. The end of a lone line is not part of it."""
    if push.is_interactive():
        return _answered(lambda: output.hidden_answer(f"Value of {name}"))
    text = _standard_input()
    lone = text.removesuffix("\n").removesuffix("\r")
    value = text if "\n" in lone else lone
    if not value:
        raise CommandError("there is no value on standard input")
    return value


def _standard_input() -> str:
    if sys.stdin is None:  # it was closed
        return ""
    try:
        return sys.stdin.buffer.read().decode()
    except UnicodeDecodeError as error:
        raise CommandError("the value on standard input must be UTF-8 text") from error


def _agreed(name: str, group: Group, users: Collection[str] | None) -> bool:
    if not push.is_interactive():
        raise CommandError(
            f"this would remove '{name}'{_used(users)}; there is no terminal to ask on, so pass "
            "--yes to confirm"
        )
    question = f"Remove {name} from the stack's {group} secret{_used(users)}?"
    return _answered(lambda: output.is_confirmed(question))


def _answered(ask: Callable[[], Answer]) -> Answer:
    try:
        return ask()
    except typer.Abort as error:
        output.err().print(f"\n{UNCHANGED}")
        raise typer.Exit(130) from error
