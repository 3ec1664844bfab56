"""Faults: which calls and event deliveries go wrong, and how. Pure matching and counting.

A rule skips its first `nth - 1` matches, then acts `times` times (0: always).
"""

from __future__ import annotations

import dataclasses
import threading
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


class On(StrEnum):
    CALL = "call"  # a request to an AWS service by a function, a build or a user
    DELIVERY = "delivery"  # an event delivered from a bus to a target


class Phase(StrEnum):
    BEFORE = "before"  # the call has no effect
    AFTER = "after"  # the call takes effect, but its response goes wrong


class Do(StrEnum):
    KILL = "kill"  # the caller: a function's sandbox, or a build's process group
    REFUSE = "refuse"  # answer with `code`
    DROP = "drop"  # calls: answer success, do nothing; deliveries: lose the event
    DELAY = "delay"  # by `seconds`; a call goes on sooner if the rule is taken out of force
    DOUBLE = "double"  # deliveries only
    TRIPLE = "triple"  # deliveries only


class BadRule(ValueError):
    """A rule that can't apply to any call or delivery. The message says why."""


@dataclass(frozen=True, slots=True)
class Rule:
    """Empty fields match everything.

    Calls: `caller` is a function's logical ID or name, "build" or "user"; `resource` is part of
    the resource's ARN or of one of its keys ("bucket/key", "pk/sk").
    Deliveries: `detail_type` exactly, `target` as `caller`, `detail` top-level members by value.
    Asynchronous invocations are of the type "Invocation", and their payload is the detail.
    """

    do: Do
    on: On = On.CALL
    phase: Phase = Phase.BEFORE
    caller: str = ""
    service: str = ""
    action: str = ""
    resource: str = ""
    detail_type: str = ""
    detail: Mapping[str, Any] = field(default_factory=dict)
    target: str = ""
    nth: int = 1
    times: int = 1
    seconds: float = 0.0
    code: str = "ThrottlingException"
    message: str = "Rate exceeded"
    status: str = "FAILED"  # the final status of a killed build: FAILED or FAULT


def rule(values: Mapping[str, Any]) -> Rule:
    """Reads a rule from JSON. Raises BadRule."""
    known = {f.name for f in dataclasses.fields(Rule)}
    if unknown := sorted(set(values) - known):
        raise BadRule(
            f"Unknown in a rule: {', '.join(unknown)}; known: {', '.join(sorted(known))}."
        )
    try:
        enums = {"do": Do(values["do"]), "on": On(values.get("on", On.CALL))}
        read = Rule(**{**values, **enums, "phase": Phase(values.get("phase", Phase.BEFORE))})
    except KeyError:
        raise BadRule("A rule needs `do`: what should go wrong.") from None
    except ValueError as problem:
        raise BadRule(f"{problem} in a rule.") from None
    if read.on is On.CALL and read.do in (Do.DOUBLE, Do.TRIPLE):
        raise BadRule(f"{read.do} is for deliveries only, not for calls.")
    if read.on is On.DELIVERY and read.do in (Do.KILL, Do.REFUSE):
        raise BadRule(
            f"{read.do} is for calls only; a delivery can be dropped, delayed, doubled or tripled."
        )
    return read


@dataclass(frozen=True, slots=True)
class Call:
    """One request, as seen by rules and records. `keys`: "pk/sk" or "bucket/key"."""

    caller: str
    function: str  # the function's deployed name, or ""
    service: str
    action: str
    resource: str
    keys: tuple[str, ...] = ()
    writes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Delivery:
    detail_type: str
    detail: Mapping[str, Any]
    target: str  # the function's logical id
    function: str


def follows(rule: Rule, call: Call) -> bool:
    return (
        rule.on is On.CALL
        and _is(rule.caller, call.caller, call.function)
        and _is(rule.service, call.service)
        and _is(rule.action, call.action)
        and any(rule.resource in text for text in (call.resource, *call.keys))
    )


def concerns(rule: Rule, delivery: Delivery) -> bool:
    return (
        rule.on is On.DELIVERY
        and _is(rule.detail_type, delivery.detail_type)
        and _is(rule.target, delivery.target, delivery.function)
        and all(delivery.detail.get(name) == value for name, value in rule.detail.items())
    )


def _is(wanted: str, *names: str) -> bool:
    return not wanted or wanted.lower() in (name.lower() for name in names)


class Faults:
    """The active rules, with how often each matched and acted. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._rules: dict[int, Rule] = {}
        self._matched: dict[int, int] = {}
        self._fired: dict[int, int] = {}
        self._last = 0

    def add(self, rule: Rule) -> int:
        with self._lock:
            self._last += 1
            self._rules[self._last] = rule
            self._matched[self._last] = self._fired[self._last] = 0
            return self._last

    def clear(self) -> None:
        """Removes all rules."""
        with self._lock:
            self._rules.clear()

    def in_force(self, rule: Rule) -> bool:
        with self._lock:
            return any(each is rule for each in self._rules.values())

    def listing(self) -> list[dict[str, Any]]:
        with self._lock:
            return [
                {
                    "id": number,
                    "rule": dataclasses.asdict(rule),
                    "matched": self._matched[number],
                    "fired": self._fired[number],
                }
                for number, rule in self._rules.items()
            ]

    def for_call(self, call: Call) -> dict[int, Rule]:
        """The rules that act on this call now, by id. Counts the match."""
        return self._acting(r for r in self._snapshot() if follows(r[1], call))

    def for_delivery(self, delivery: Delivery) -> dict[int, Rule]:
        return self._acting(r for r in self._snapshot() if concerns(r[1], delivery))

    def _snapshot(self) -> list[tuple[int, Rule]]:
        with self._lock:
            return list(self._rules.items())

    def _acting(self, matching: Iterable[tuple[int, Rule]]) -> dict[int, Rule]:
        acting = {}
        for number, rule in matching:
            with self._lock:
                self._matched[number] += 1
                if self._matched[number] < rule.nth:
                    continue
                if rule.times and self._fired[number] >= rule.times:
                    continue
                self._fired[number] += 1
            acting[number] = rule
        return acting
