"""What a stack costs in a month: the template, times how often things happen, times prices."""

from __future__ import annotations

import json
import re
import tomllib
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

FOLDER = Path(__file__).parent
TEMPLATE = FOLDER.parent / "template.yaml"
TASKS = (10, 100, 500)
MODES = ("live", "poll")
ALWAYS = {"Views"}
"""The metric that is written at each heartbeat."""
ON_CHANGE = {
    "Changes", "TasksTriggered", "OldestChangeSeconds", "RunsSucceeded", "RunSeconds",
    "ChangeToAppliedSeconds", "ResourcesAdded", "ResourcesChanged", "ResourcesDestroyed",
}  # fmt: skip
"""Those that are written when something changes. The others are for what goes wrong."""
BEATS_PER_MINUTE = {"live": 3, "poll": 1}
ONE_BY_ONE = 100
"""So many states are read one by one, each of which is charged as 4 KB."""


@dataclass(frozen=True, slots=True)
class Template:
    """What of the template has a price."""

    memory: Mapping[str, float]
    """Function -> GB."""
    storage: float
    """GB of the executor's disk."""
    alarms: int
    dashboards: int
    secrets: int
    metrics: frozenset[str]
    """Our own metrics on the dashboard or in an alarm."""


def template(path: Path = TEMPLATE) -> Template:
    import cfnlint.decode

    found, problems = cfnlint.decode.decode(str(path))
    if found is None:
        raise ValueError(f"{path}: {problems}")
    resources: Mapping[str, Any] = found["Resources"]
    usual = found["Globals"]["Function"]["MemorySize"]
    parameters = found["Parameters"]

    def of(kind: str) -> dict[str, Any]:
        return {name: each for name, each in resources.items() if each["Type"] == kind}

    memory = {
        name: each["Properties"].get("MemorySize", usual)
        for name, each in of("AWS::Serverless::Function").items()
    }
    for name in ("Poller", "Executor"):  # a parameter in the template
        memory[name] = parameters[f"{name}Memory"]["Default"]
    body = json.dumps(resources["Dashboard"]["Properties"]["DashboardBody"])
    named = set(re.findall(r"\b[A-Z]\w+\b", body))
    alarms = of("AWS::CloudWatch::Alarm")
    named |= {each["Properties"]["MetricName"] for each in alarms.values()}
    return Template(
        memory={name: size / 1024 for name, size in memory.items()},
        storage=parameters["ExecutorStorage"]["Default"] / 1024,
        alarms=len(alarms),
        dashboards=len(of("AWS::CloudWatch::Dashboard")),
        secrets=len(of("AWS::SecretsManager::Secret")),
        metrics=frozenset(named & (ALWAYS | ON_CHANGE)),
    )


def read(name: str) -> dict[str, Any]:
    return tomllib.loads((FOLDER / name).read_text())


def month(found: Template, tasks: int, mode: str) -> dict[str, float]:
    """USD by what is paid for, without builds."""
    price, assumed = read("prices.toml"), read("assumed.toml")
    took, each = assumed["seconds"], assumed["per_invocation"]
    days = assumed["days"]
    minutes, beats = days * 1440, days * 1440 * BEATS_PER_MINUTE[mode]
    runs = tasks * assumed["runs_per_task_and_day"] * days
    views = assumed["dashboard_views_per_day"] * days

    def run(name: str, times: float, seconds: float) -> float:
        second = found.memory[name] * price["lambda_gb_second"]
        return float(times * (seconds * second + price["lambda_requests"]))

    poller = run("Poller", minutes, took["pass_of_poller"])
    if mode == "live":
        stays = minutes * 60 * found.memory["Poller"] * price["lambda_gb_second"]
        poller = stays + run("Poller", minutes, took["tick_of_live_poller"])
    others = (
        run("Tracker", minutes + runs, took["tracker"])
        + run("Publisher", minutes / 5, took["publisher"])
        + run("Runner", runs, took["runner"])
        + run("Widget", views, took["widget"])
    )
    states = ceil(tasks * each["state_bytes"] / 4096)
    writes = 10 * runs + (beats if mode == "live" else 0)
    reads = minutes * _reads_per_minute(tasks, states, mode, assumed["reads"]) + views * states
    stored = (
        writes * price["dynamodb_write_unit"]
        + reads * price["dynamodb_read_unit"]
        + minutes * 2 * price["s3_get"]
        + runs * 12 * price["s3_put"]
    )
    calls = minutes * 2.2 + runs * 4
    logged = calls * each["log_bytes"] + beats * each["beat_log_bytes"]
    active = assumed["active_hours_per_day"][str(tasks)] / 24
    always, on_change = len(found.metrics & ALWAYS), len(found.metrics & ON_CHANGE)
    return {
        "poller": poller,
        "other functions": others,
        "table and buckets": stored,
        "schedules and events": minutes * 2.2 * price["scheduler_invocations"]
        + runs * 5 * price["event"],
        "logs": logged / 1e9 * price["logs_gb"],
        "metrics": (always + on_change * active) * price["metric_month"],
        "alarms": found.alarms * price["alarm_month"],
        "dashboard": found.dashboards * price["dashboard_month"],
        "secrets": found.secrets * price["secret_month"],
    }


FREE_STORAGE = 0.5
"""GB of a function's disk that cost nothing."""
OBSERVABILITY = ("logs", "metrics", "alarms", "dashboard")


def _reads_per_minute(tasks: int, states: int, mode: str, of: Mapping[str, float]) -> float:
    """A pass of mode poll reads the states twice: one by one, or all of them if they are many."""
    of_tracker = of["tracker"] + states
    if mode == "live":
        return of_tracker + of["tick_of_live_poller"]
    return of_tracker + of["pass_of_poller"] + 2 * (tasks if tasks <= ONE_BY_ONE else states)


def builds(tasks: int) -> float:
    """USD a month, at the assumed number of runs."""
    price, assumed = read("prices.toml"), read("assumed.toml")
    runs = tasks * assumed["runs_per_task_and_day"] * assumed["days"]
    return float(runs * assumed["minutes_per_build"] * price["build_minute"])


def warm(found: Template, tasks: int) -> float:
    """The same if all of these runs take the warm lane."""
    price, assumed = read("prices.toml"), read("assumed.toml")
    runs = tasks * assumed["runs_per_task_and_day"] * assumed["days"]
    disk = (found.storage - FREE_STORAGE) * price["lambda_storage_gb_second"]
    second = found.memory["Executor"] * price["lambda_gb_second"] + disk
    return float(runs * (assumed["seconds"]["executor"] * second + price["lambda_requests"]))
