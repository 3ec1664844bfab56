"""The logs of runs, as they grow."""

from itertools import takewhile
from typing import Any

from cts.keys import task_of
from cts_cli import output, waits
from cts_cli.client import Reader
from cts_cli.push import interruptible
from cts_cli.screen import Text


def show(reader: Reader, run_id: str) -> dict[str, Any]:
    """Print a run's log until the run ends. Returns the run."""
    text = f"reading the log of {run_id}"
    with interruptible("The run continues."), output.progress(text) as progress:
        ended = waits.along(reader, run_id, waits.every(1.0), progress.show, progress.tell)
    output.print_ended(ended)
    return ended


def read(reader: Reader, run_id: str) -> dict[str, Any]:
    """The run, with the log there is."""
    run: dict[str, Any] = reader.get("runs", run_id)
    return {**run, "log": reader.text("runs", run_id, "log")}


def follow(reader: Reader, run_id: str) -> None:
    """Print the log of a run, and then those of its task's next ones, until Ctrl-C."""
    task, following = task_of(run_id), run_id
    while following:
        output.err().print(Text(following, "bold"))
        show(reader, following)
        following = _next(reader, task, following)


def _next(reader: Reader, task: str, former: str) -> str:
    """The run that follows a former one, once there is one."""
    with interruptible(""), output.progress(f"waiting for the next run of {task}"):
        for _ in waits.every(2.0):
            runs = reader.get("runs", task=task, limit=waits.MOST_LOOKED_AT)["runs"]
            newer = [*takewhile(lambda run: run["id"] != former, runs)]
            if newer:
                return str(newer[-1]["id"])
    return ""
