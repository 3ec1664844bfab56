"""How an existing configuration of CTS would run here, as text."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from cts.config.blocks.model import Configuration
from cts.config.blocks.schema import Group
from cts.config.rules.warnings import NOT_NEEDED_BECAUSE
from cts_cli import grid, import_facts, outside, problems, validate, words
from cts_cli.output import print_paragraph
from cts_cli.screen import Console, Text
from cts_cli.shown import each_text, shown
from cts_cli.validate import Checked

DIFFERENCES = "docs/differences.md"
MOVING = "docs/moving-from-cts.md"
DEFAULT, LOCAL = "", "local"
"""Backends: CTS's default, and the one that the state bucket replaces."""
LONGEST_GROUP = max(map(len, Group))
WIDEST = 34
"""Columns of a name."""
MOVE_STATE = (
    "terraform state pull > TASK.tfstate",
    "aws s3 cp TASK.tfstate s3://STATE_BUCKET/tasks/TASK/terraform.tfstate",
)
STATE_BUCKET = "STATE_BUCKET is the output StateBucket of the stack"
KEEP_OUT = (
    "Leave {names} with CTS, and out of what is pushed: delete these blocks in a copy of the "
    "configuration. Otherwise they would run here, too, as soon as they are supported."
)
KEEP_DISABLED = (
    "Write enabled = false for these in CTS's files, too: when CTS starts again, it only reads "
    "its files."
)
STOP = "Stop CTS, and don't let it start again."
FLAGS = (
    ("-once", "`cts push` runs each new task once, and others only if they changed"),
    ("-inspect", "`cts push --inspect`: tasks are planned, and held until you release them"),
    ("-inspect-task", "`cts inspect TASK`"),
)


def print_report(console: Console, checked: Checked, arguments: str) -> None:
    """`arguments`: the paths as they were given."""
    found = each_text(import_facts.facts(checked), shown)
    if found["problems"]:
        validate.print_checked(console, checked)
        console.print()
    _tasks(console, found["tasks"], validate.would_run(checked))
    _state(console, found["state"], has_commands=not found["problems"])
    _parameters(console, found["parameters"])
    _secrets(console, found)
    told = {each["option"] for each in found["parameters"] if each["option"]}
    _warnings(console, [each for each in checked.warnings_beside_tasks if each["path"] not in told])
    _behaviour(console, checked.result.configuration)
    _flags(console)
    _outside(console, outside.copies(checked.result.configuration))
    _next(console, found, shown(arguments))


def _heading(console: Console, text: str, more: str = "") -> None:
    console.print()
    console.print(Text.assemble((text, "bold"), (f"  {more}" if more else "", "dim")))


# ---- tasks ----------------------------------------------------------------------------------


def _tasks(console: Console, tasks: Sequence[Mapping[str, Any]], would_run: str) -> None:
    if not tasks:
        console.print("no tasks")
        return
    console.print(Text.assemble((words.count(len(tasks), "task"), "bold"), f", {would_run}"))
    console.print()
    grid.print_rows(console, [_row(task) for task in tasks], ("module",))


def _row(task: Mapping[str, Any]) -> grid.Row:
    name = Text(task["name"], "bold")
    if not task["enabled"]:
        name.append(" (disabled)", "dim")
    module = " ".join(filter(None, (task["module"], task["version"])))
    cells = {"task": name, "runs for": Text(task["runs_when"]), "module": Text(module)}
    below = None
    if reasons := ", ".join(task["waits_for"]):
        below = Text.assemble(("! accepted, does not run yet: ", "yellow"), reasons)
    return grid.Row(cells, below)


# ---- what moves -----------------------------------------------------------------------------


def _state(console: Console, state: Mapping[str, str], *, has_commands: bool) -> None:
    _heading(console, "Terraform state")
    _say(console, f"CTS keeps it in {state['where']}.")
    match state["backend"]:
        case backend if backend == DEFAULT:
            _say(
                console,
                "It stays there: a new task for which a state is found there goes on with it. Stop "
                "CTS before you release the task. The stack's token needs the permissions that "
                "CTS has for it, and builds must be able to reach Consul.",
            )
        case backend if backend == LOCAL:
            how = ", as below" if has_commands else ""
            _say(
                console,
                "It is not imported yet, and a task that begins without it creates everything a "
                f"second time: move it before the first push{how}.",
            )
        case "cloud":
            _say(
                console,
                "It stays there, and tasks go on with it if their workspaces keep their names: "
                "stop CTS before the first push.",
            )
        case backend:
            _say(
                console,
                f'It stays there, and tasks with backend "{backend}" go on with it: stop CTS '
                "before you release a task.",
            )


def _parameters(console: Console, parameters: Sequence[Mapping[str, str]]) -> None:
    _heading(console, "Parameters of the stack")
    _entries(
        console,
        [
            (each["name"], Text.assemble((each["value"] or "?", "cyan"), f"  {each['note']}"))
            for each in parameters
        ],
    )


def _secrets(console: Console, found: Mapping[str, Any]) -> None:
    if secrets := found["secrets"]:
        _heading(console, "Secrets", "`cts push` moves them from the files to the stack's secrets")
        rows = [(each["name"], _kept_in(each["group"], each["place"])) for each in secrets]
        _entries(console, rows)
    if environment := found["environment"]:
        _heading(console, "Environment variables", "put them into the stack's secrets yourself")
        _entries(console, [(name, _kept_in(group)) for name, group in environment.items()])
        for name, group in environment.items():
            _say(console, words.SET_SECRET.format(name=name, group=group), "cyan")
    if vault := found["vault"]:
        _heading(console, "Vault", vault["address"])
        _say(console, "Builds read from it, with the token in the stack's secret.")


def _kept_in(group: str, where: str = "") -> Text:
    told = Text.assemble("→ ", (f"{group:<{LONGEST_GROUP}}", "cyan"), f"  {where}")
    told.rstrip()
    return told


# ---- what is different ----------------------------------------------------------------------


def _warnings(console: Console, warnings: Sequence[Mapping[str, Any]]) -> None:
    unneeded = [each for each in warnings if validate.is_unneeded(each)]
    if unneeded:
        _heading(console, "Without effect", "accepted, but not needed here")
        _entries(console, [(each["path"], Text(_why(each["what"]))) for each in unneeded])
    others = [each for each in warnings if not validate.is_unneeded(each)]
    if others:
        _heading(console, "Warnings", "`cts validate` shows the lines")
        problems.print_briefly(console, others, problems.WARNING)


def _why(what: str) -> str:
    return what.removeprefix(NOT_NEEDED_BECAUSE)


def _behaviour(console: Console, configuration: Configuration) -> None:
    _heading(console, "What is different", DIFFERENCES)
    for told in behaviour(configuration):
        print_paragraph(console, Text(told), ("  ·", "dim"))


def behaviour(configuration: Configuration) -> Iterator[str]:
    yield "A push only runs tasks that have changed, several at once; CTS runs all when it starts."
    yield "A failed run is retried for about 15 minutes; CTS gives up within seconds."
    blocks = (task.condition for task in configuration.tasks if task.condition)
    yield from dict.fromkeys(each for block in blocks if (each := block.told().difference))
    consul = configuration.consul
    registration = consul.service_registration if consul else None
    if not registration or registration.enabled:
        yield (
            "Nothing is registered in Consul, so there is no health check: use the stack's "
            "alarms instead."
        )
    yield "The API is a function URL with IAM, not a port; `cts proxy` serves it on port 8558."


def _flags(console: Console) -> None:
    _heading(console, "What replaces the flags of CTS")
    _entries(console, [(flag, Text(told)) for flag, told in FLAGS])


def _outside(console: Console, copies: Sequence[outside.Copy]) -> None:
    if not copies:
        return
    _heading(console, "Paths outside of the folder", "a push has the files below one folder")
    _say(console, "Copy them into it, in that folder, and change the options:")
    for command in dict.fromkeys(each.command for each in copies):
        _say(console, f"  {shown(command)}", "cyan")
    _entries(console, [(shown(each.option), Text(f'= "{each.target}"')) for each in copies])
    _say(
        console,
        "If CTS is started in another folder that contains all of them, you need no copies: run "
        "this command there, and pass the configuration's files.",
    )


def _next(console: Console, found: Mapping[str, Any], arguments: str) -> None:
    """The steps in an order in which CTS and the stack never both apply a task."""
    if found["problems"]:
        _heading(console, "Next")
        _say(console, "fix the problems above, then run this command again")
        return
    _heading(console, "Next", "in this order, CTS and the stack never both apply a task")
    for number, (told, commands) in enumerate(steps(found, arguments), 1):
        print_paragraph(console, Text(told), (f"  {number}.", "dim"))
        for command in commands:
            print_paragraph(console, Text(command, "cyan"), ("      ", ""))


def steps(found: Mapping[str, Any], arguments: str) -> Iterator[tuple[str, Sequence[str]]]:
    """Each with its commands. `found`: as in `import_facts`; `arguments`: for `cts push`."""
    moving = [each["name"] for each in found["tasks"] if not each["waits_for"]]
    staying = [each["name"] for each in found["tasks"] if each["waits_for"]]
    yield "Deploy the stack, with the parameters above.", ("sam build && sam deploy --guided",)
    if staying:
        yield KEEP_OUT.format(names=", ".join(staying)), ()
        yield (
            "Disable the others in CTS. A run that is in progress there ends first.",
            [f"consul-terraform-sync task disable {each}" for each in moving],
        )
        yield KEEP_DISABLED, ()
    if found["state"]["backend"] == LOCAL:
        if not staying:
            yield STOP, ()
        where = f"Move the state of each task, in its working folder. {STATE_BUCKET}."
        yield where, MOVE_STATE
    yield (
        "Push, which plans and holds each task.",
        (f"cts push --adopt {arguments}",),
    )
    if not staying and found["state"]["backend"] != LOCAL:
        yield f"{STOP} Then plan again: something may have changed.", ("cts inspect TASK --wait",)
    yield (
        f"Release each task once you have seen its plan. {MOVING} has the way back.",
        ("cts release TASK",),
    )


# ---- lines ----------------------------------------------------------------------------------


def _say(console: Console, text: str, style: str = "") -> None:
    print_paragraph(console, Text(text, style), (" ", ""))


def _entries(console: Console, rows: Sequence[tuple[str, Text]]) -> None:
    """Names in a separate column, unless they are too long for it."""
    column = max((len(name) for name, _ in rows if len(name) <= WIDEST), default=0)
    for name, told in rows:
        mark = name
        if len(name) > column:
            console.print(Text(f"  {name}"), soft_wrap=True)
            mark = ""
        print_paragraph(console, told, (f"  {mark:<{column}} ", ""))
