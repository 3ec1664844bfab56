"""The widget of the dashboard: what it shows, what it escapes, and what its buttons do."""

import json
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from cts import keys
from cts.workflow.draw import DESCRIPTION, draw
from cts.workflow.press import ACTIONS, BY, press
from cts.workflow.widget_parts import span
from tests import chromium
from tests.unit import widget_pages as pages
from tests.unit.api_fakes import ports_of
from tests.unit.reader_fakes import World, published
from tests.unit.system import system


class Parsed(HTMLParser):
    """Elements, the text of each, and what the clicks do."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.actions: list[tuple[dict[str, str | None], dict[str, str]]] = []
        self.text: list[str] = []
        self.lines: list[list[str]] = []
        self._action: dict[str, str | None] | None = None
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.tags.append(tag)
        if tag == "tr":
            self.lines.append([])
        if tag in ("td", "th"):
            self.lines[-1].append("")
        if tag == "cwdb-action":
            self._action = dict(attrs)

    def handle_endtag(self, tag: str) -> None:
        if tag == "table":
            self.lines.append([])  # what follows is in no cell

    def handle_data(self, data: str) -> None:
        if self._action is not None:
            self.actions.append((self._action, json.loads(data)))
            self._action = None
        elif self.lines and self.lines[-1]:
            self.lines[-1][-1] += data
        self.text.append(data)


def drawn(world: World, theme: str = "light", **asked: str) -> str:
    return draw(world.ports, pages.page(theme), asked)


ALLOWED = {
    "div", "style", "span", "table", "tr", "th", "td", "a", "p", "h3", "h4", "pre", "cwdb-action",
}  # fmt: skip


# ---- what it shows ------------------------------------------------------------------------


@pytest.mark.parametrize("number", [1, 50, pytest.param(500, marks=pytest.mark.slow)])
def test_every_task_has_a_row_and_the_urgent_ones_are_first(number: int) -> None:
    html = drawn(pages.tasks(number))
    head, *lines = [line for line in Parsed(html).lines if line]
    assert head == ["task", "state", "last runs", "last result", "views", "next"]
    assert len({line[0] for line in lines}) == len(lines) == number
    words = [line[1].partition(" (")[0].rstrip() for line in lines]
    assert words == sorted(words, key=lambda word: not word.startswith(("gave", "retry")))
    assert len(html) < 1_500_000  # Lambda takes 6 MB


@pytest.mark.parametrize(
    ("number", "said"),
    [
        (1, "1 task: 1 idle"),
        (
            50,
            "50 tasks: 5 gave up, 5 retrying, 5 held, 5 running, 5 waiting, 23 idle, 2 disabled",
        ),
    ],
)
def test_it_says_how_many_tasks_are_in_each_state(number: int, said: str) -> None:
    parsed = Parsed(drawn(pages.tasks(number)))
    assert said in parsed.text
    assert f"{number} view{'s' if number > 1 else ''}, mode live" in parsed.text


def test_without_tasks_it_says_how_to_begin() -> None:
    parsed = Parsed(drawn(World()))
    assert "No tasks are configured. Push a configuration with `cts push`." in parsed.text
    assert " No poller has watched Consul yet." in "".join(parsed.text)


@pytest.mark.parametrize(
    ("state", "cells"),
    [
        (pages.gave_up("a"), ("gave up it failed 5 times", "Error: quota reached", "")),
        (
            pages.gave_up("a", "Error: Invalid rule\n\n  on main.tf line 7:\n\nTwo are too few.\n"),
            ("gave up it failed 5 times", "Error: Invalid rule: Two are too few.", ""),
        ),
        (pages.idle("a"), ("idle ", "+0 ~1 -0", "")),
        (pages.buffered("a"), ("waiting change", "+0 ~1 -0", "in 21 s (change seen 4 s ago)")),
        (pages.running("a"), ("running change", "+0 ~1 -0", "")),
        (
            pages.asked_for("a"),
            ("due asked for", "+0 ~1 -0", "now (asked for 7 s ago)"),
        ),
        (pages.due("a"), ("due change", "+0 ~1 -0", "now (change seen 35 s ago)")),
        (
            pages.held_back("a"),
            ("held the firewall is replaced", "+0 ~1 -0", "change seen 35 s ago"),
        ),
        (pages.running("a", waits="approve it"), ("blocked approve it", "+0 ~1 -0", "")),
    ],
)
def test_a_row_says_what_a_task_does(state: Any, cells: tuple[str, ...]) -> None:
    world = World()
    world.add(state)
    world.read_services("a")
    [_, line] = [each for each in Parsed(drawn(world)).lines if each]
    assert (line[0], line[1], line[3], line[5]) == ("a", *cells)


def test_a_task_that_is_destroyed_is_being_deleted() -> None:
    world = World()
    world.declare(pages.idle("a"), enabled=False)
    world.read_services("a")
    world.tasks["a"] = replace(world.tasks["a"], leaving="r-0")
    world.publish(published())
    whole, alone = (Parsed(drawn(world, **asked)).text for asked in ({}, {"task": "a"}))
    assert ("being deleted" in whole, "1 task: 1 being deleted" in whole) == (True, True)
    assert ("being deleted" in alone, "disabled" in alone + whole) == (True, False)


def test_a_run_shows_what_changed_and_how_long_it_took() -> None:
    world = World()
    run = pages.ended_run()
    world.table.stored_runs[run.id] = run
    delta = {"former": "", "came": 1, "left": 0, "changed": 0, "unknown": 0}
    first = [{"view": "service web", "what": "came", "name": "n/web-2", "attributes": []}]
    key = keys.run_object(run.task, run.id, "delta.json")
    world.bucket.write(key, json.dumps(delta | {"first": first}).encode())
    html = drawn(world, run=run.id)
    lines = {tuple(line) for line in Parsed(html).lines}
    assert ("came", "service web", "n/web-2", "") in lines
    assert ("create", 'thing.it["web-2"]') in lines
    times = "waited 0.0 s, queued 18.0 s, start 1.1 s, init 3.2 s, plan 4.1 s, apply 3.9 s"
    assert ("time", times) in lines
    assert ("modules", "./modules/firewall") in lines
    assert ("providers", "registry.terraform.io/hashicorp/dns 3.4.3") in lines
    assert "build/cts%3A8745a7a9/log" in html


def test_a_run_in_hcp_terraform_leads_to_its_page_there() -> None:
    world = World()
    address = "https://app.terraform.io/app/acme/workspaces/web/runs/run-CZcmD7eagjhyX0vN"
    run = replace(pages.ended_run(), build=address)
    world.table.stored_runs[run.id] = run
    html = drawn(world, run=run.id)
    assert f'href="{address}"' in html
    assert "codebuild" not in html


@pytest.mark.parametrize("asked", [{"run": "web-1"}, {"task": "web"}, {"run": "../x"}])
def test_what_is_not_there_is_said(asked: dict[str, str]) -> None:
    [said] = [text for text in Parsed(drawn(World(), **asked)).text if "cts{" not in text]
    assert "not" in said


def test_it_describes_itself() -> None:
    assert "```yaml" in DESCRIPTION


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0, "0 s"), (119, "119 s"), (120, "2 min"), (7_200, "2 h"), (200_000, "2 d")],
)
def test_a_time_span_is_told_in_its_largest_unit(seconds: float, said: str) -> None:
    assert span(seconds) == said


# ---- what it escapes ----------------------------------------------------------------------


@pytest.mark.parametrize("text", pages.HOSTILE)
def test_text_from_outside_stays_text(text: str) -> None:
    world = World()
    run = pages.ended_run(error=text, address=text)
    world.table.stored_runs[run.id] = run
    world.add(pages.gave_up("web", text))
    for asked in ({}, {"task": "web"}, {"run": run.id}, {"run": text}, {"task": text}):
        parsed = Parsed(drawn(world, **asked))
        assert set(parsed.tags) <= ALLOWED
        assert all(act["endpoint"] in (pages.WIDGET, pages.BUTTON) for act, _ in parsed.actions)
    shown = text.replace("\u202e", "\ufffd")  # it would turn the direction of what follows
    assert shown in "".join(Parsed(drawn(world, run=run.id)).text)


# ---- buttons ------------------------------------------------------------------------------


def buttons(world: World, task: str) -> list[dict[str, str]]:
    acts = Parsed(drawn(world, task=task)).actions
    return [values for act, values in acts if act["action"] == "call"]


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        (pages.idle, ["run", "hold", "disable", "inspect"]),
        (pages.gave_up, ["retry", "run", "hold", "disable", "inspect"]),
        (pages.held, ["release", "disable", "inspect"]),
    ],
)
def test_a_task_has_the_buttons_that_its_state_allows(state: Any, expected: list[str]) -> None:
    world = World()
    world.add(state("web"))
    assert [each["action"] for each in buttons(world, "web")] == expected


def test_only_buttons_call_and_each_asks_first() -> None:
    world = World()
    world.add(pages.gave_up("web"))
    for act, values in Parsed(drawn(world, task="web")).actions:
        calls = act["action"] == "call"
        assert act["endpoint"] == (pages.BUTTON if calls else pages.WIDGET)
        assert ("action" in values) == calls == bool(act.get("confirmation"))


@pytest.mark.parametrize("action", ACTIONS)
def test_each_button_does_what_the_api_does(action: str) -> None:
    world = system()
    ports = ports_of(world)
    if action in ("retry", "release"):
        press(ports, {"task": "web", "action": "hold" if action == "release" else "run"}, "r-0")
    assert press(ports, {"task": "web", "action": action}, "r-1").startswith("<p>Task web ")
    state = world.table.state("web")
    if action in ("hold", "release"):
        assert bool(state.hold) == (action == "hold")
        assert state.holds[0].by == BY
    else:
        assert [wish.by for wish in state.wanted.values()] == [BY]


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"task": "web", "action": "drop"}, "&quot;drop&quot;"),
        ({"task": "<b>", "action": "run"}, "&lt;b&gt;"),
        ({}, "must be one of"),
        ({"task": "web", "action": "retry"}, "nothing to retry"),
    ],
)
def test_a_button_says_why_it_did_nothing(asked: dict[str, str], said: str) -> None:
    world = system()
    answer = press(ports_of(world), asked, "r-1")
    assert said in answer
    assert Parsed(answer).tags == ["p"]
    assert world.table.state("web").wanted == {}


# ---- in a browser -------------------------------------------------------------------------

WORLDS = {
    "0": World,
    "1": lambda: pages.tasks(1),
    "50": lambda: pages.tasks(50),
    "500": lambda: pages.tasks(500),
    "hostile": pages.hostile,
}
PROBE = """
<script>
const boxes = [...document.querySelectorAll(".cts")], page = document.documentElement;
document.title += ` rows=${document.querySelectorAll("tr").length}`
  + ` wide=${page.scrollWidth > innerWidth} visible=${boxes.every(box => box.offsetHeight > 0)}`
  + ` colors=${new Set(boxes.map(box => getComputedStyle(box).color)).size}`;
</script>
"""


@pytest.mark.slow
@pytest.mark.parametrize("name", WORLDS)
def test_it_looks_right_in_chromium(name: str, tmp_path: Path) -> None:
    """Light and dark on one page. Each row is there, nothing is wider than the page, and no text of
    a catalog ran as code."""
    world = WORLDS[name]()
    number = len(world.tasks)
    both = drawn(world, "light") + drawn(world, "dark")
    file = tmp_path / "widget.html"
    file.write_text(pages.shown_in(both, "light") + PROBE)
    dom = chromium.run(file, tmp_path / "profile", "--dump-dom", size=(1200, 600))
    rows = 2 * (number + 1) if number else 0
    assert f"<title>widget rows={rows} wide=false visible=true colors=2</title>" in dom
