"""Systems that the dashboard's widget draws, and the page around it as CloudWatch makes it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from cts.conditions import services
from cts.run.model import Change, End, Run, RunStatus, Used
from cts.run.state import Hold, Outcome, Reason, Running, TaskState, Wish
from cts.watch.lease import Lease
from cts.watch.query import View
from cts.workflow.widget_parts import Page
from tests.fakes import RUN
from tests.unit.reader_fakes import NOW, World, published

if TYPE_CHECKING:
    from collections.abc import Callable

WIDGET = "arn:aws:lambda:eu-west-1:111122223333:function:cts-widget"
BUTTON = "arn:aws:lambda:eu-west-1:111122223333:function:cts-button"
BACKGROUNDS = {"light": "#ffffff", "dark": "#0f1b2a"}
HOSTILE = (
    "<script>document.title='owned'</script>",
    '"><img src=x onerror="document.title=\'owned\'">',
    "'; alert(1); //",
    "</cwdb-action><cwdb-action action='call'>{}</cwdb-action>",
    "<style>*{display:none}</style>",
    "\u202egnp.exe \U0001f600 " + "wide" * 60,
)


def page(theme: str = "light") -> Page:
    return Page(WIDGET, BUTTON, "eu-west-1", theme, NOW)


def shown_in(html: str, theme: str) -> str:
    """The widget's frame, without CloudWatch's own style sheet."""
    style = f"margin:12px;background:{BACKGROUNDS[theme]}"
    title = "<title>widget</title><meta charset=utf-8>"
    return f"<!doctype html><html><head>{title}</head><body style='{style}'>{html}</body></html>"


def outcome(task: str, n: int, *, success: bool = True, error: str | None = None) -> Outcome:
    ended = NOW - 90 - n * 3_600
    counts = {"add": n % 3, "change": 1, "destroy": n % 2}
    return Outcome(f"{task}-{n}", success, ended, error, ended - 31, counts)


def idle(task: str) -> TaskState:
    return TaskState(task, recent=tuple(outcome(task, n) for n in range(5)))


def gave_up(task: str, why: str = "Error: quota reached") -> TaskState:
    recent = (outcome(task, 0, success=False, error=why), outcome(task, 1))
    return TaskState(task, failures=5, gave_up="it failed 5 times", failed="f", recent=recent)


def running(task: str, waits: str = "") -> TaskState:
    serves = {Reason.CHANGE: Wish(NOW - 40, NOW - 40, "c-1", "f")}
    run = Running(f"{task}-9", serves, "f", "f", NOW - 35, None, waits=waits)
    return replace(idle(task), running=run)


def held(task: str, why: str = "the firewall is replaced") -> TaskState:
    hold = Hold(why, "arn:aws:sts::111122223333:assumed-role/Operator/ann", NOW - 7_200)
    return replace(idle(task), hold=why, holds=(hold,))


def buffered(task: str) -> TaskState:
    return replace(idle(task), wanted={Reason.CHANGE: Wish(NOW - 4, NOW + 21, "c-2", "g")})


def due(task: str) -> TaskState:
    return replace(idle(task), wanted={Reason.CHANGE: Wish(NOW - 35, NOW - 5, "c-4", "g")})


def asked_for(task: str) -> TaskState:
    return replace(idle(task), wanted={Reason.PERSON: Wish(NOW - 7, NOW - 7, "c-5")})


def held_back(task: str) -> TaskState:
    return replace(held(task), wanted=due(task).wanted)


def retrying(task: str) -> TaskState:
    wanted = {Reason.CHANGE: Wish(NOW - 300, NOW + 90, "c-3", "f")}
    recent = (outcome(task, 0, success=False, error="Error: the device does not respond"),)
    return TaskState(task, wanted=wanted, failures=2, failed="f", retry_at=NOW + 90, recent=recent)


KINDS: tuple[Callable[[str], TaskState], ...] = (
    idle, idle, idle, running, idle, gave_up, buffered, idle, held, retrying,
)  # fmt: skip


def tasks(number: int) -> World:
    """So many tasks, a tenth of each kind, and one view that is stale."""
    world = World()
    for n in range(number):
        name = f"{('firewall', 'dns', 'balancer', 'mesh')[n % 4]}-{n:03}"
        world.declare(KINDS[n % len(KINDS)](name), enabled=n % 17 != 4)
        world.read_services(name)
    world.publish(published())
    world.table.leased = Lease(3, "me", 1, NOW - 400, NOW - 4, NOW - 400, "", views=number)
    if number > 4:
        world.went_stale(View(services.SERVICE, "firewall-004"))
    return world


def hostile() -> World:
    """Text from outside tries to become markup."""
    world = World()
    for n, text in enumerate(HOSTILE):
        name = f"task-{n}"
        world.add((gave_up(name, text), held(name, text))[n % 2])
        world.read_services(name)
    world.went_stale(View(services.SERVICE, "task-0"), why=HOSTILE[0])
    return world


STEPS = {
    "started": "00:16:58", "init": "00:16:59.1", "plan": "00:17:02.3", "apply": "00:17:06.4",
    "ended": "00:17:10.3",
}  # fmt: skip


def ended_run(error: str | None = None, address: str = 'thing.it["web-2"]') -> Run:
    """Claimed at 00:16:40."""
    end = End(
        RunStatus.ERRORED if error else RunStatus.APPLIED,
        apply_began=True,
        error=error,
        counts={"add": 2, "change": 0, "destroy": 1},
        terraform="1.11.4",
        modules=(Used("./modules/firewall", "", "h1:m=", "firewall"),),
        providers=(Used("registry.terraform.io/hashicorp/dns", "3.4.3", "h1:p="),),
        times={step: f"1970-01-01T{time}+00:00" for step, time in STEPS.items()},
        changes=(Change("create", address), Change("destroy", 'thing.it["web-1"]')),
    )
    return replace(RUN, status=end.status, end=end, ended_at=1_031.0, build="cts:8745a7a9")
