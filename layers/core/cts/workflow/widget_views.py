"""The views of the dashboard's widget: all tasks, one task, one run. They are made of what the
reader's API returns. No I/O."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

from cts.run.error_text import error_line
from cts.run.reasons import told
from cts.watch.delta import short
from cts.workflow.html import Html, joined, rows, tag
from cts.workflow.widget_parts import Page, counts, facts, number_of, span, word

URGENT = (
    "gave_up", "retrying", "blocked", "not_read", "stale", "held", "busy", "being_deleted",
    "running", "queued", "due", "waiting",
)  # fmt: skip
"""What comes first in the table; everything else follows by name."""
STEPS = ("waited", "queued", "start", "init", "plan", "apply")

Json = Mapping[str, Any]


# ---- all tasks ------------------------------------------------------------------------------


def table(page: Page, tasks: Mapping[str, Json], watch: Json, unsupported: int) -> str:
    """`watch`: what the API returns of the poller."""
    if not tasks:
        hint = "No tasks are configured. Push a configuration with `cts push`."
        return page.whole(_health(page, watch), tag("p", hint))
    head = ("task", "state", "last runs", "last result", "views", "next")
    urgent = sorted(tasks.values(), key=_urgency)
    more = f"{unsupported} more wait for features that are not supported." if unsupported else ""
    return page.whole(
        _health(page, watch),
        tag("p", _summary(urgent), class_="dim"),
        tag("table", rows([head], "th"), rows(_row(page, each) for each in urgent)),
        tag("p", more, class_="dim"),
    )


def _urgency(task: Json) -> tuple[int, str]:
    state = _state(task)
    place = URGENT.index(state) if state in URGENT else len(URGENT)
    return place, task["task_name"]


def _summary(urgent: Sequence[Json]) -> str:
    """How many tasks there are in each state."""
    found = Counter(_state(each).replace("_", " ") for each in urgent)
    said = ", ".join(f"{number} {state}" for state, number in found.items())
    return f"{number_of('task', len(urgent))}: {said}"


def _state(task: Json) -> str:
    """In the words of `cts status`."""
    if task["state"] != "idle":
        return str(task["state"])
    if task["leaving"]:
        return "being_deleted"
    return "idle" if task["enabled"] else "disabled"


def _health(page: Page, watch: Json) -> Html:
    poller, stale = watch["poller"], watch["stale_views"]
    parts: list[object] = []
    if poller is None:
        parts.append(joined([word("not_read"), " No poller has watched Consul yet."]))
    else:
        alive = poller["alive"]
        state = "silent" if alive is False else "watching" if alive else "checked"
        tone = "bad" if alive is False else "good"
        shown = tag("span", state, class_=f"w {tone}")
        parts.append(joined([shown, " Consul: heartbeat ", page.ago(poller["heartbeat_at"])]))
        views = poller["views"]  # not known in mode poll
        number = f"{number_of('view', views)}, " if views else ""
        parts.append(tag("span", f"{number}mode {poller['mode']}", class_="dim"))
    if stale["count"]:
        why = "; ".join(stale["why"])
        said = f" {stale['count']} of {stale['of']} views since "
        parts.append(joined([word("stale"), said, page.ago(stale["since"]), f": {why}"]))
    return tag("div", *(tag("span", part) for part in parts), class_="bar")


def _row(page: Page, task: Json) -> list[object]:
    name, last = task["task_name"], task["last_run"] or {}
    views = joined([word("stale"), f" {task['stale_count']}"]) if task["stale_count"] else "fresh"
    reason = _reason(task)
    return [
        page.link(name, task=name),
        joined([word(_state(task)), " ", tag("span", short(reason), class_="dim", title=reason)]),
        tag("span", _dots(task["recent_runs"]), page.ago(last.get("ended_at")), class_="nowrap"),
        _result(last),
        tag("span", views, class_="nowrap"),
        _next(page, task),
    ]


def _result(last: Json) -> object:
    """An error's line; all of it is a tooltip, and in the view of the run."""
    if last.get("success", True):
        return counts(last.get("counts"))
    error = last["error"] or "failed"
    return tag("span", short(error_line(error)), title=error, class_="result")


def _reason(task: Json) -> str:
    return "" if task["state"] in ("idle", "scheduled") else str(task["reason"])


def _dots(recent: Sequence[Json]) -> Html:
    return tag("span", *map(_dot, recent), class_="dots") if recent else Html("")


def _dot(recent: Json) -> Html:
    tone = "" if recent["success"] else " bad"
    return tag("span", class_=f"dot{tone}", title=f"{recent['run']} {recent['ended_at']}")


def _next(page: Page, task: Json) -> Html:
    """When it runs next, and how long what is wanted has waited; of what may not run only that."""
    wanted = task["wanted"]
    if not wanted or task["run"]:
        return Html("")
    first = min(wanted, key=lambda each: str(each["due_at"]))
    reason, since = first["reason"], Html("")
    if reason != "schedule":
        seen = " seen " if reason == "change" else " "
        since = joined([told([reason]), seen, page.ago(first["since"])])
    if task["hold"] or not task["enabled"]:
        return tag("span", since, class_="dim")
    waited = joined([" (", since, ")"]) if since else ""
    return joined([page.due(first["due_at"]), tag("span", waited, class_="dim")])


# ---- one task -------------------------------------------------------------------------------


def task(page: Page, found: Json, runs: Sequence[Json]) -> str:
    name, reason = found["task_name"], found["reason"]
    head = ("run", "result", "why", "change to end", "resources", "ended")
    return page.whole(
        tag("h3", name),
        tag("p", found["description"]),
        joined(_buttons(page, found)),
        facts({
            "state": joined([word(_state(found)), " ", reason, " ", page.ago(found["at"])]),
            "held": _hold(page, found["hold"]),
            "stale views": "; ".join(f"{each['view']}: {each['why']}" for each in found["stale"]),
            "next": _next(page, found),
        }),
        tag("h4", "Runs"),
        tag("table", rows([head], "th"), rows(_run_row(page, each) for each in runs)),
    )  # fmt: skip


def _hold(page: Page, hold: Json | None) -> object:
    if hold is None:
        return None
    return joined([hold["why"], " (", hold["by"], ", ", page.ago(hold["since"]), ")"])


def _buttons(page: Page, found: Json) -> list[Html]:
    name, shown = found["task_name"], []
    if found["state"] in ("gave_up", "retrying"):
        shown.append(page.press("Retry", name, "retry", f"Try again what failed of {name}?"))
    if found["hold"]:
        shown.append(page.press("Release", name, "release", f"Let {name} run again?"))
    elif found["enabled"]:
        shown.append(page.press("Run now", name, "run", f"Run {name} now, changed or not?"))
        shown.append(page.press("Hold", name, "hold", f"Apply nothing for {name} until released?"))
    if found["enabled"]:
        shown.append(page.press("Disable", name, "disable", f"Never run {name} until enabled?"))
    else:
        keeps = "Keep and run" if found["leaving"] else "Run"
        shown.append(page.press("Enable", name, "enable", f"{keeps} {name} when it changes?"))
    shown.append(page.press("Inspect", name, "inspect", f"Plan {name} without applying it?"))
    return shown


def _run_row(page: Page, run: Json) -> list[object]:
    took = run["seconds"]
    whole = span(took.get("waited", 0) + took["total"]) if "total" in took else ""
    return [
        page.link(run["id"], run=run["id"]),
        word(run["status"]),
        told(run["why"]),
        whole,
        counts(run["counts"]),
        page.ago(run["ended_at"]),
    ]


# ---- one run --------------------------------------------------------------------------------


def run(page: Page, found: Json) -> str:
    took = found["seconds"]
    return page.whole(
        tag("h3", found["id"]),
        facts({
            "result": joined([word(found["status"]), " ", page.ago(found["ended_at"])]),
            "task": page.link(found["task"], task=found["task"]),
            "why": told(found["why"]),
            "waits": found["waits"],
            "asked by": found["by"],
            "lane": ": ".join(filter(None, (found["lane"], found["lane_why"]))),
            "time": ", ".join(f"{step} {took[step]:.1f} s" for step in STEPS if step in took),
            "next try": page.ago(found["retry_at"]),
            "gave up": found["gave_up"],
            "Terraform": found["terraform"],
            "modules": _used(found["modules"]),
            "providers": _used(found["providers"]),
            "log": _log(page, found),
            "follow it": f"cts logs {found['id']}",
            "correlation id": found["correlation_id"],
        }),
        _error(found["error"]),
        tag("h4", "What changed in Consul"),
        _delta(found["delta"]),
        tag("h4", "What changes in the infrastructure"),
        _changes(found),
    )  # fmt: skip


def _used(found: Sequence[Json]) -> str:
    return ", ".join(f"{each['source']} {each['version']}".strip() for each in found)


def _error(error: str | None) -> Html:
    return joined([tag("h4", "Error"), tag("pre", error)]) if error else Html("")


def _log(page: Page, found: Json) -> Html | None:
    """CodeBuild's page of the build, or HCP Terraform's of the run."""
    if not found["build"] or found["lane"] == "warm":
        return None
    if found["build"].startswith("https://"):
        return _page("run in HCP Terraform", found["build"])
    project, build = found["build"].partition(":")[0], quote(found["build"], safe="")
    console = f"https://{page.region}.console.aws.amazon.com/codesuite/codebuild/projects"
    address = f"{console}/{quote(project)}/build/{build}/log?region={page.region}"
    return _page("log of the build", address)


def _page(shown: str, address: str) -> Html:
    return tag("a", shown, href=address, target="_blank", class_="btn")


def _delta(delta: Json | None) -> Html:
    if delta is None:
        return tag("p", "It was not recorded.", class_="dim")
    numbers = ", ".join(f"{delta[what]} {what}" for what in ("came", "left", "changed"))
    listed = [
        (each["what"], each["view"], each["name"], ", ".join(each["attributes"]))
        for each in delta["first"]
    ]
    return joined([tag("p", numbers), tag("table", rows(listed), class_="list")])


def _changes(found: Json) -> Html:
    if found["counts"] is None:
        return tag("p", "There was no plan.", class_="dim")
    listed = [(each["action"], each["address"]) for each in found["changes"]]
    return joined([tag("p", counts(found["counts"])), tag("table", rows(listed), class_="list")])
