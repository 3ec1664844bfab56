"""The demo's steps in Consul, and its output about what follows."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape

from cts_cli.shown import LINES, printable
from local.demo.catalog import Catalog
from local.stack import Stack

TOKEN = "s3cr3t"
PATIENCE = 600.0
"""Seconds to wait for a step's runs to end: generous, for slow machines."""
HOPS = (
    ("buffer", "seen", "triggered"),
    ("start", "triggered", "started"),
    ("init", "init", "plan"),
    ("plan", "plan", "apply"),
    ("apply", "apply", "ended"),
    ("record", "ended", "finished"),
)


class StoryEnded(Exception):
    """Something that the demo waited for did not happen."""


@dataclass(frozen=True, slots=True)
class Step:
    title: str
    act: Callable[[], None]
    tasks: frozenset[str]
    """The tasks that this step runs, once each."""


class Story:
    def __init__(self, stack: Stack, console: Console, configuration: Path) -> None:
        self._configuration = configuration
        self._stack = stack
        self._console = console
        self._catalog = Catalog(stack.consul_client())
        self._seen = 0

    def tell(self) -> None:
        (self._stack.devices / "firewall").mkdir(parents=True)
        (self._stack.devices / "firewall" / ".token").write_text(TOKEN)
        both, firewall = frozenset({"firewall", "dns"}), frozenset({"firewall"})
        steps = [
            Step("cts secret set, cts push: two tasks, firewall and dns", self._push, both),
            Step("Register web-1, web-2 and api-1", self._register, both),
            Step("The check of web-2 goes critical", self._critical, both),
            Step("Deregister api-1, which dns does not watch", self._deregister, firewall),
        ]
        for number, step in enumerate(steps, 1):
            self._tell_step(number, step)
        self._console.print("[bold]Afterwards[/]: cts status, cts runs\n")
        self._cts("status")
        self._cts("runs")

    # ---- what is done -----------------------------------------------------------------------

    def _push(self) -> None:
        self._cts("secret", "set", "FIREWALL_TOKEN", given=TOKEN)
        self._cts("push", str(self._configuration))

    def _register(self) -> None:
        self._catalog.register("web-1", "web", "10.0.0.1", 8080)
        self._catalog.register("web-2", "web", "10.0.0.2", 8080)
        self._catalog.register("api-1", "api", "10.0.0.3", 9090)

    def _critical(self) -> None:
        self._catalog.register("web-2", "web", "10.0.0.2", 8080, status="critical")

    def _deregister(self) -> None:
        self._catalog.deregister("api-1")

    def _cts(self, *arguments: str, given: str | None = None) -> None:
        environment = {
            **os.environ,
            **self._stack.env,
            "COLUMNS": str(min(self._console.width, 110)),
            "FORCE_COLOR": "1" if self._console.is_terminal else "",
        }
        self._console.file.flush()
        command = [str(Path(sys.executable).parent / "cts"), *arguments]
        done = subprocess.run(command, env=environment, input=given, text=True, check=False)
        if done.returncode:
            raise StoryEnded(f"`cts {' '.join(arguments)}` failed")

    # ---- what is told -----------------------------------------------------------------------

    def _tell_step(self, number: int, step: Step) -> None:
        self._console.print(f"[bold cyan]{number}  {step.title}")
        began = time.time()
        step.act()
        waiting = set(step.tasks)
        with self._console.status(f"waiting for {', '.join(sorted(waiting))}"):
            times: dict[str, dict[str, float]] = {}
            while waiting:
                for event in self._news(began + PATIENCE, waiting):
                    self._tell_event(event, began, times)
                    if event["detail_type"] == "RunFinished":
                        waiting.discard(event["detail"]["task"])
        self._tell_device(step.tasks)
        self._console.print()

    def _news(self, deadline: float, waiting: Collection[str]) -> list[dict[str, Any]]:
        """New events on our bus. Waits until there are some."""
        while True:
            found = self._stack.events(since=self._seen)
            if found:
                self._seen = found[-1]["n"]
            ours = [each for each in found if each["kind"] == "put" and each["source"] == "cts"]
            if ours:
                return ours
            if time.time() > deadline:
                raise StoryEnded(f"no run of {', '.join(sorted(waiting))} within {PATIENCE:.0f} s")
            time.sleep(0.05)

    def _tell_event(
        self, event: dict[str, Any], began: float, times: dict[str, dict[str, float]]
    ) -> None:
        detail, at = event["detail"], _seconds(event["at"])
        match event["detail_type"]:
            case "CatalogChanged":
                self._line(at - began, "Consul", f"changed: {plain(', '.join(detail['views']))}")
                for task in detail["tasks"]:
                    times.setdefault(task, {}).setdefault("seen", _seconds(detail["at"]))
            case "TaskTriggered":
                times.setdefault(detail["task"], {}).setdefault("triggered", at)
                self._line(at - began, "poller", f"triggers [bold]{plain(detail['task'])}")
            case "RunStarted":
                task, why = plain(detail["task"]), plain(detail["why"][0])
                lane = f", {detail['lane']} lane" if detail["lane"] else ""
                text = f"starts a run of [bold]{task}[/] ({why}{lane})"
                self._line(at - began, "runner", text)
            case "RunFinished":
                self._tell_end(detail, at - began, times.get(detail["task"], {}) | {"finished": at})

    def _tell_end(self, detail: dict[str, Any], after: float, times: dict[str, float]) -> None:
        if detail["status"] == "errored":
            raise StoryEnded(f"the run of {detail['task']} failed: {detail['error']}")
        counts = detail["counts"] or {}
        keys = ("add", "change", "destroy", "import", "move", "forget")
        plan = ", ".join(f"{counts[key]} to {key}" for key in keys if key in counts)
        applied = detail["status"] == "applied"
        done = f"{plan}; [green]applied[/]" if applied else "[green]nothing to apply[/]"
        self._line(after, "Terraform", f"[bold]{plain(detail['task'])}[/]: {done}")
        if not self._stack.hcp:
            self._tell_hops(detail, times)

    def _tell_hops(self, detail: dict[str, Any], times: dict[str, float]) -> None:
        """How long each step of a build took."""
        result = self._object("WorkBucket", f"runs/{detail['task']}/{detail['run_id']}/result.json")
        at = {name: _seconds(each) for name, each in result["at"].items()}
        at |= times
        hops = [
            f"{name} {at[end] - at[begin]:.1f}"
            for name, begin, end in HOPS
            if begin in at and end in at and at[end] >= at[begin]
        ]
        self._console.print(f"      [dim]seconds: {', '.join(hops)}")

    def _tell_device(self, tasks: Collection[str]) -> None:
        """The objects that the test provider made for each task, which are files."""
        for task in sorted(tasks):
            files = (self._stack.devices / task).glob("*.json")
            objects = sorted((json.loads(file.read_text()) for file in files), key=_name)
            lines = [f"[bold]{plain(_name(each))}[/] {plain(each['content'])}" for each in objects]
            self._console.print(f"   [dim]{task} now holds[/] {lines[0] if lines else 'nothing'}")
            for line in lines[1:]:
                self._console.print(f"   {'':{len(task)}}           {line}")

    def _line(self, after: float, who: str, text: str) -> None:
        self._console.print(f"   [dim]{after:+7.2f} s[/]  [magenta]{who:<10}[/] {text}")

    def _object(self, bucket: str, key: str) -> Any:
        name = self._stack.outputs[bucket]
        body = self._stack.client("s3").get_object(Bucket=name, Key=key)["Body"].read()
        return json.loads(body)


def _name(held: dict[str, Any]) -> str:
    return str(held["name"])


def plain(text: str) -> str:
    """Text from elsewhere: not markup, and nothing that a terminal acts on."""
    return escape(printable(text, LINES))


def _seconds(iso: str) -> float:
    return datetime.fromisoformat(iso).timestamp()
