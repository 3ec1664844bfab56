"""Answer the reader's requests for runs and their logs."""

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote

from cts.errors import BadRequest, NoLog, RunNotFound, TaskNotFound
from cts.keys import RUN_ID, task_of
from cts.run.model import Run
from cts.workflow import shown_runs
from cts.workflow.delta_record import recorded
from cts.workflow.read import ApiRequest, ReadPorts, Route, live_tasks, once

USUAL_RUNS = 20
MOST_RUNS = 200
LONGEST_LOG = 2_000_000
"""In bytes. Lambda rejects responses over 6 MB, and JSON may double the size of the text."""


def runs(ports: ReadPorts, request: ApiRequest) -> dict[str, Any]:
    """The newest runs, up to `limit=`, of one task (`task=`) or of all."""
    name = once(request, "task", "task")
    found = ports.runs.runs(name, _limit(once(request, "limit", "limit")))
    if name is not None and not found and name not in live_tasks(ports):
        raise TaskNotFound(name)
    return {"runs": [shown_runs.run(each) for each in found]}


def _limit(text: str | None) -> int:
    if text is None:
        return USUAL_RUNS
    if not re.fullmatch("[0-9]{1,9}", text) or not 1 <= int(text) <= MOST_RUNS:
        raise BadRequest(f"limit must be a whole number from 1 to {MOST_RUNS}, not '{text}'")
    return int(text)


def run(ports: ReadPorts, _request: ApiRequest, run: str) -> dict[str, Any]:
    """One run, with what differed in its input."""
    found = _found(ports, run)
    return {**shown_runs.run(found), "delta": recorded(ports.records, found)}


def log(ports: ReadPorts, _request: ApiRequest, run: str) -> str:
    """The build's log, or the end of it if it is very long."""
    found = _found(ports, run)
    read = ports.objects.log_end(found.task, found.id, LONGEST_LOG)
    if read is None:
        raise NoLog(found.id)
    text, left_out = read
    note = f"[first {left_out} bytes omitted]\n" if left_out else ""
    return note + text.decode(errors="replace")


def _found(ports: ReadPorts, run_id: str) -> Run:
    run_id = unquote(run_id)
    found = ports.runs.run(task_of(run_id), run_id) if RUN_ID.fullmatch(run_id) else None
    if found is None:
        raise RunNotFound(run_id)
    return found


ROUTES: Mapping[str, Route] = {
    "/v1/runs": runs,
    "/v1/runs/<run>": run,
    "/v1/runs/<run>/log": log,
}
"""As those of `read`."""
