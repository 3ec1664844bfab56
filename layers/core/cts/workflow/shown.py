"""Tasks and poller, as the JSON values of the API's responses. No I/O.

CTS's keys come first, then our own. All times are ISO 8601, UTC.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cts.events import iso
from cts.generation import TaskEntry
from cts.run.due import next_due
from cts.run.reasons import told
from cts.run.state import Outcome, Reason, TaskState, Wish
from cts.run.status import TaskStatus, task_status
from cts.watch.fingerprint import fingerprint_of
from cts.watch.lease import Lease, lives
from cts.watch.needs import Firsts, looked_at, unread, watched
from cts.watch.query import View
from cts.watch.stale import MOST_WHYS, Stale, StaleViews
from cts.watch.view import Row

MOST_VIEWS = 5
"""Maximum number of views listed for a task, so that 500 tasks stay within Lambda's 6 MB."""


def maybe(at: float | None) -> str | None:
    return iso(at) if at is not None else None


@dataclass(frozen=True, slots=True)
class Known:
    """Some tasks, with what is known about them and the views they need."""

    tasks: Mapping[str, TaskEntry]
    states: Mapping[str, TaskState]
    rows: Mapping[str, Row]
    firsts: Firsts
    stale: StaleViews
    now: float

    def state(self, task: str) -> TaskState:
        return self.states.get(task, TaskState(task))

    def views(self, entry: TaskEntry) -> set[View]:
        """All views that the task uses, including a listing."""
        return {*watched(entry.conditions, self.firsts)}

    def stale_views(self, entry: TaskEntry) -> list[Stale]:
        """The task's views that are recorded as stale, oldest first."""
        known = self.stale.views
        if not known:
            return []
        found = [known[view.id] for view in self.views(entry) if view.id in known]
        return sorted(found, key=lambda each: (each.since, each.view))


def summary(look: Known, waiting: int) -> dict[str, Any]:
    """The number of tasks by status and by whether they are enabled, and how many of them use a
    stale view. Tasks that wait for unsupported features are counted separately."""
    statuses = [task_status(look.state(name).recent) for name in look.tasks]
    enabled = [entry.enabled for entry in look.tasks.values()]
    return {
        "task_summary": {
            "status": {status.value: statuses.count(status) for status in TaskStatus},
            "enabled": {"true": enabled.count(True), "false": enabled.count(False)},
            "stale": sum(bool(look.stale_views(entry)) for entry in look.tasks.values()),
            "waiting": waiting,
        }
    }


def task(look: Known, name: str) -> dict[str, Any]:
    entry, state = look.tasks[name], look.state(name)
    stale = look.stale_views(entry)
    word, reason, at = _doing(look, entry, state, stale)
    return {
        "task_name": name,
        "status": task_status(state.recent).value,
        "enabled": entry.enabled,
        "providers": [],
        "services": [],
        "events_url": f"/v1/status/tasks/{name}?include=events" if state.recent else "",
        "description": entry.description,
        "state": word,
        "reason": reason,
        "at": maybe(at),
        "run": state.running.run if state.running else None,
        "wanted": [_wish(reason.value, wish) for reason, wish in state.wanted.items()],
        "hold": hold(state),
        "leaving": bool(entry.leaving),
        "terraform": terraform(state),
        "gave_up": state.gave_up,
        "woken_by": _woken_by(look, entry),
        "retry_at": maybe(state.retry_at),
        "last_run": _last_run(state.recent[0]) if state.recent else None,
        "recent_runs": [
            {"run": each.run, "success": each.success, "ended_at": iso(each.ended_at)}
            for each in state.recent
        ],
        "stale": [
            {"view": each.view, "since": iso(each.since), "why": each.why}
            for each in stale[:MOST_VIEWS]
        ],
        "stale_count": len(stale),
        "trigger_events": list(entry.events),
        "ignored": _ignores(look, entry, state),
    }


def _woken_by(look: Known, entry: TaskEntry) -> list[str]:
    """The views of the task's condition, a change of which is a reason to run. Without any, only
    its schedule or a person is."""
    views = watched((entry.condition,), look.firsts)
    return [str(view) for view in views[:MOST_VIEWS]]


def _ignores(look: Known, entry: TaskEntry, state: TaskState) -> bool:
    """Whether something has changed since the task's last success, and none of it is an event
    that triggers the task."""
    if not entry.events or state.done is None or state.gave_up or _not_read(look, entry):
        return False
    now = fingerprint_of(entry.definition, looked_at(entry.condition, look.rows, look.firsts))
    return now != state.done.trigger and Reason.CHANGE not in state.wanted


def _doing(
    look: Known, entry: TaskEntry, state: TaskState, stale: list[Stale]
) -> tuple[str, str, float | None]:
    """One word for what the task is doing, the reason, and since or until when."""
    if state.running:
        waits, at = state.running.waits, state.running.claimed_at
        return ("blocked", waits, at) if waits else ("running", told(state.running.serves), at)
    if state.hold:
        why = "; ".join(filter(None, (state.hold, state.unplaced)))
        return "held", why, state.held.since if state.held else None
    going = _wanting(state, entry.enabled, look.now)
    rests = going[0] in ("idle", "scheduled")
    if state.gave_up and rests:
        return "gave_up", state.gave_up, state.recent[0].ended_at if state.recent else None
    if missing := _not_read(look, entry):
        return "not_read", missing, None
    if rests and entry.enabled and stale:
        return "stale", _first([each.view for each in stale]), stale[0].since
    return going


def _wanting(state: TaskState, enabled: bool, now: float) -> tuple[str, str, float | None]:
    why = told(state.wanted)
    at = next_due(state, enabled)
    if at is None:
        return "idle", why, None
    if at > now:
        sinces = [each.busy_since for each in state.wanted.values() if each.busy_since is not None]
        if sinces:
            return "busy", why, min(sinces)
        tick = state.wanted.get(Reason.SCHEDULE)
        word = "scheduled" if tick and tick.due_at == at else "waiting"
        return "retrying" if state.retry_at == at else word, why, at
    return ("queued", why, state.queued_since) if state.queued_since else ("due", why, at)


def _not_read(look: Known, entry: TaskEntry) -> str:
    """The views that the task needs but that have not been read from Consul yet."""
    return _first([str(view) for view in unread(entry.conditions, look.rows, look.firsts)])


def _first(views: list[str]) -> str:
    more = [f"and {len(views) - MOST_VIEWS} more"] if len(views) > MOST_VIEWS else []
    return ", ".join(views[:MOST_VIEWS] + more)


def _wish(reason: str, wish: Wish) -> dict[str, str | None]:
    """`by`: the person who asked; null for a change and a schedule."""
    times = {"since": iso(wish.since), "due_at": iso(wish.due_at)}
    return {"reason": reason, **times, "by": wish.by or None}


def hold(state: TaskState) -> dict[str, str] | None:
    """None if the task is not held."""
    held = state.held
    return {"why": held.why, "by": held.by, "since": iso(held.since)} if held else None


def terraform(state: TaskState) -> dict[str, Any]:
    """The version that the task keeps, null before its first run; which version a user last asked
    for, and who; and where its state is: `stack` or `consul`, null if its backend says so, or if
    it has not run."""
    asked = state.upgrade
    return {
        "version": state.terraform or None,
        "upgrade": {"version": asked.version or None, "by": asked.by, "at": iso(asked.at)}
        if asked
        else None,
        "state": state.place or None,
    }


def _last_run(outcome: Outcome) -> dict[str, Any]:
    return {
        "id": outcome.run,
        "success": outcome.success,
        "started_at": maybe(outcome.started_at),
        "ended_at": iso(outcome.ended_at),
        "error": outcome.error,
        "counts": outcome.counts,
    }


def poller(lease: Lease | None, now: float, *, live: bool) -> dict[str, Any] | None:
    """Which poller holds the watch; None if there has never been one. In mode `poll` no poller
    stays, and the heartbeat is the time of the last write, so it does not show whether a poller is
    alive. `passed`: how many views have no blocking query and are polled once a second."""
    if lease is None:
        return None
    age = max(0.0, now - lease.heartbeat_at)
    return {
        "epoch": lease.epoch,
        "generation": lease.generation,
        "started_at": iso(lease.started_at),
        "heartbeat_at": iso(lease.heartbeat_at),
        "heartbeat_age": round(age, 3),
        "mode": "live" if live else "poll",
        "alive": lives(lease, now) if live else None,
        "views": lease.views,
        "passed": lease.passed,
    }


def stale_views(look: Known) -> dict[str, Any]:
    """The views that can't be read from Consul, and the tasks that use them.

    `of`: the total number of views. `why`: the most frequent reasons. `unlisted`: how many of
    `count` are not listed, so that more tasks may be affected.
    """
    stale = look.stale
    whys = Counter(each.why for each in stale.views.values())
    return {
        "count": stale.count,
        "of": len({view for entry in look.tasks.values() for view in look.views(entry)}),
        "since": maybe(min((each.since for each in stale.views.values()), default=None)),
        "why": [why for why, _ in whys.most_common(MOST_WHYS)],
        "tasks": sorted(name for name, entry in look.tasks.items() if look.stale_views(entry)),
        "unlisted": max(0, stale.count - len(stale.views)),
    }
