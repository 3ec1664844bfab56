"""The commands that only read. Modules that are slow to import are imported when needed."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cts.build.begun import Begun
from cts.keys import RUN_ID
from cts_cli.errors import CommandError, NotFound
from cts_cli.typed import Json, StackName

if TYPE_CHECKING:
    from cts_cli.client import Reader


def status(stack: StackName = "cts", as_json: Json = False) -> None:
    """Show each task: its status, what it is doing, and its last run.

    Problems with reading Consul, or with the poller, are shown first.
    """
    overview = _overview(stack)
    from cts_cli import output, status, words  # while the stack answers

    found = overview.answer()
    live = found["configuration"]["live"] or {}
    waiting = live.get("waiting", {})  # an older stack answers none
    shown = {"summary": status.summary(found["tasks"].values(), len(waiting)), **found}
    if as_json:
        output.print_json(shown)
    else:
        status.print_status(shown, words.now())


def tasks(stack: StackName = "cts", as_json: Json = False) -> None:
    """List the tasks as they are configured, by a push or with `cts task create`.

    `cts status` shows what they are doing.
    """
    from cts_cli import output, tasks

    found = _reader(stack).get("tasks")
    if as_json:
        output.print_json(found)
    else:
        tasks.print_tasks(found["tasks"])


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


COMMANDS: Sequence[Callable[..., None]] = (status, tasks, runs, logs)


def _overview(stack: str) -> "Begun[dict[str, Any]]":
    """From the reader that answered the last time, or else the one that CloudFormation names."""
    from cts_cli import aws, client, known_reader

    session = aws.session()
    known = known_reader.find(session, stack)

    def overview() -> dict[str, Any]:
        failed = None
        if known:
            try:
                return client.Reader(session, known).overview()
            except CommandError as error:  # the stack may have been deleted or deployed again
                failed = error
        found = aws.find_stack(stack)
        if failed and found.reader_url == known:
            raise failed
        answer = client.Reader.of(found).overview()
        known_reader.keep(session, stack, found.reader_url)
        return answer

    return Begun(overview)


def _reader(stack: str) -> "Reader":
    from cts_cli import aws

    found = Begun(partial(aws.find_stack, stack))
    from cts_cli import client  # while AWS answers

    return client.Reader.of(found.answer())


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


def _run_id(reader: "Reader", run: str) -> str:
    """`run`: a run's ID, or a task's name for its latest run."""
    if RUN_ID.fullmatch(run):
        return run
    found = _runs(reader, run, 1)
    if not found:
        raise CommandError(f"task '{run}' has not run yet")
    run_id: str = found[0]["id"]
    return run_id
