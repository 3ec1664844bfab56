"""Draw the widget of the dashboard. It only reads."""

from collections.abc import Mapping
from typing import Any

from cts.errors import CtsError
from cts.workflow import read, read_runs, widget_views
from cts.workflow.html import tag
from cts.workflow.read import ApiRequest, ReadPorts
from cts.workflow.widget_parts import Page

MOST_RUNS = 20
DESCRIPTION = """## Tasks of cts

Draws the tasks of the stack: what each is doing, its last runs, stale views, and when it runs next.
A click on a task shows its runs and buttons, a click on a run what changed and how long it took.

Without parameters it shows all tasks, with `task` one of them, with `run` one run.

```yaml
task:
run:
```
"""


def draw(ports: ReadPorts, page: Page, asked: Mapping[str, Any]) -> str:
    """The view that is asked for, as HTML; what can't be shown says why."""
    try:
        return _drawn(ports, page, asked)
    except CtsError as error:
        return page.whole(tag("p", error))


def _drawn(ports: ReadPorts, page: Page, asked: Mapping[str, Any]) -> str:
    if run := asked.get("run"):
        return widget_views.run(page, read_runs.run(ports, ApiRequest("/v1/runs"), str(run)))
    if name := asked.get("task"):
        found = read.task(ports, ApiRequest("/v1/status/tasks"), str(name))
        limit = {"task": [str(name)], "limit": [str(MOST_RUNS)]}
        runs = read_runs.runs(ports, ApiRequest("/v1/runs", limit))["runs"]
        return widget_views.task(page, found[str(name)], runs)
    tasks = read.tasks(ports, ApiRequest("/v1/status/tasks"))
    unsupported = read.status(ports, ApiRequest("/v1/status"))["task_summary"]["waiting"]
    watch = read.poller(ports, ApiRequest("/v1/poller"))
    return widget_views.table(page, tasks, watch, unsupported)
