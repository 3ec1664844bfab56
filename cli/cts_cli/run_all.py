"""Run every task that may run, and wait for all of them."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from cts_cli import client, output, waits, words
from cts_cli.aws import Stack
from cts_cli.errors import CommandError
from cts_cli.push import interruptible
from cts_cli.task_commands import DONE


def run(stack: Stack, *, wait: bool, as_json: bool) -> int:
    """Returns the exit code: 1 if a run that was waited for did not succeed."""
    reader, api = client.Reader.of(stack), client.Api(stack)
    tasks = reader.get("status", "tasks")
    names = [name for name, task in tasks.items() if may_run(task)]
    asked = {name: api.post("tasks", name, "run")["asked"]["id"] for name in names}
    left_out = sorted(tasks.keys() - asked)
    if not asked and not as_json:
        output.err().print("no task to run")
        _print_left_out(left_out)
        return 0
    if not wait:
        _print_asked(asked, left_out, as_json=as_json)
        return 0
    ended: dict[str, Any] = {}
    with interruptible("The runs continue."), output.progress("waiting for runs") as progress:
        for run in until_ended(reader, asked, waits.every(1.0)):
            ended[run["task"]] = run
            if not as_json:
                output.print_ended(run)
            if left := len(asked) - len(ended):
                progress.tell(f"waiting for {words.count(left, 'run')}")
    failed = [name for name, run in ended.items() if run["status"] not in DONE]
    if as_json:
        output.print_json({"runs": ended, "left_out": left_out})
    else:
        output.err().print(f"{len(ended) - len(failed)} succeeded, {len(failed)} failed")
        _print_left_out(left_out)
    return 1 if failed else 0


def may_run(task: Mapping[str, Any]) -> bool:
    return bool(task["enabled"]) and task["state"] != "held"


def until_ended(
    reader: waits.Reader, asked: Mapping[str, str], ticks: Iterable[float]
) -> Iterator[dict[str, Any]]:
    """The run of each request once it has ended. `asked`: the request of each task."""
    left = dict(asked)
    for _ in ticks:
        for name, request in list(left.items()):
            runs = reader.get("runs", task=name, limit=waits.MOST_LOOKED_AT)["runs"]
            run = next((each for each in runs if each.get("request") == request), None)
            if run and run["status"] != "pending":
                del left[name]
                yield run
        if not left:
            return
    raise CommandError(f"these runs have not ended: {', '.join(left)}")


def _print_asked(asked: Mapping[str, str], left_out: list[str], *, as_json: bool) -> None:
    if as_json:
        output.print_json({"asked": asked, "left_out": left_out})
        return
    told = f"asked for {words.count(len(asked), 'run')}: `cts status` shows them"
    output.print_line(output.out(), "✓", "green", told)
    _print_left_out(left_out)


def _print_left_out(names: list[str]) -> None:
    if names:
        output.err().print(f"left out, because disabled or held: {', '.join(names)}", style="dim")
