"""A run as HCP Terraform's API describes it, and what it means. Pure."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from cts.run.model import End, Run, RunStatus
from cts.run.news import HasEnded
from cts.terraform.cloud import Job

WAITS_IF_CONFIRMABLE = frozenset(
    {"planned", "cost_estimated", "policy_checked", "post_plan_completed"}
)
WAITS = frozenset(
    {
        "policy_override",
        "tf_policy_override",
        "pre_plan_awaiting_decision",
        "post_plan_awaiting_decision",
        "planned_and_saved",
    }
)
FINAL = frozenset(
    {
        "applied",
        "planned_and_finished",
        "policy_soft_failed",
        "errored",
        "discarded",
        "canceled",
        "force_canceled",
    }
)
"""Every other status, also one that is not known, means that the run goes on."""
COUNTS = {"additions": "add", "changes": "change", "destructions": "destroy", "imports": "import"}
NOT_BEGUN = frozenset({"pending", "unreachable", "queued", "managed_queued"})
"""Statuses of an apply."""
COLOURS = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
FRAME = "\x02\x03"
LONGEST_ERROR = 4_000
CLOCKS = 60.0
"""Seconds by which the server's clock may be behind ours."""


@dataclass(frozen=True, slots=True)
class HcpRun:
    """A run, with its plan and its apply if they were asked for."""

    resource: Mapping[str, Any]
    included: tuple[Mapping[str, Any], ...] = ()

    @property
    def id(self) -> str:
        return str(self.resource["id"])

    @property
    def attributes(self) -> Mapping[str, Any]:
        found: Mapping[str, Any] = self.resource["attributes"]
        return found

    @property
    def status(self) -> str:
        return str(self.attributes["status"])

    @property
    def message(self) -> str:
        return str(self.attributes.get("message") or "")

    @property
    def is_final(self) -> bool:
        return self.status in FINAL

    @property
    def waits(self) -> bool:
        """Whether a person has to decide."""
        can_be_confirmed = bool((self.attributes.get("actions") or {}).get("is-confirmable"))
        return self.status in WAITS or (can_be_confirmed and self.status in WAITS_IF_CONFIRMABLE)

    @property
    def apply_began(self) -> bool:
        times = self.attributes.get("status-timestamps") or {}
        status = self.phase("applies").get("status", "pending")
        return "applying-at" in times or status not in NOT_BEGUN

    def related(self, name: str) -> str:
        """The ID of a relationship; empty if there is none."""
        found = ((self.resource.get("relationships") or {}).get(name) or {}).get("data") or {}
        return str(found.get("id", ""))

    def phase(self, kind: str) -> Mapping[str, Any]:
        """The attributes of its `plans` or `applies`; empty if they are not there."""
        found = (each["attributes"] for each in self.included if each["type"] == kind)
        return next(found, {})

    @property
    def counts(self) -> dict[str, int] | None:
        """What the plan does; None if the server does not say."""
        plan = self.phase("plans")
        found = {word: plan.get(f"resource-{name}") for name, word in COUNTS.items()}
        told = {word: number for word, number in found.items() if isinstance(number, int)}
        return {w: n for w, n in told.items() if n or w != "import"} or None


def end_of(run: HcpRun, url: str, error: str) -> End:
    """How a final run ended. `error`: what Terraform said, if it failed."""
    status = run.status
    times = run.attributes.get("status-timestamps") or {}
    told = {
        step: str(times[name])
        for step, name in (("plan", "planning-at"), ("apply", "applying-at"))
        if name in times
    }
    began = run.apply_began
    match status:
        case "applied":
            return End(RunStatus.APPLIED, apply_began=True, counts=run.counts, times=told)
        case "planned_and_finished":
            planned = bool(run.attributes.get("plan-only"))
            kind = RunStatus.PLANNED if planned else RunStatus.UNCHANGED
            return End(kind, apply_began=False, counts=run.counts, times=told)
        case "errored":
            what, retryable = error or f"the run failed: see {url}", True
        case "discarded":
            what, retryable = f"it was discarded in HCP Terraform: see {url}", False
        case "policy_soft_failed":
            what, retryable = f"a policy failed: see {url}", False
        case _:
            what, retryable = f"it was cancelled in HCP Terraform: see {url}", False
    step = "apply" if began else "plan"
    return End(
        RunStatus.ERRORED,
        apply_began=began,
        error=what,
        retryable=retryable,
        step=step,
        counts=run.counts,
        times=told,
        because=""
        if retryable
        else "a person or a policy has stopped it; `cts run` starts a new one",
    )


def plain(log: str) -> str:
    """A log without colours, and without the characters around a whole one."""
    return COLOURS.sub("", log.strip(FRAME))


def error_in(log: str) -> str:
    """What Terraform said is wrong: from its first error on; empty if there is none."""
    at = re.search(r"^[│|\s]*Error: ", log, re.MULTILINE)
    return log[at.start() :].strip()[:LONGEST_ERROR] if at else ""


def message_of(run: Run, job: Job) -> str:
    """For people, and its end says which run of ours it is: so it is found again."""
    why = "; ".join(filter(None, (", ".join(job.why), job.changed)))
    return f"Consul-Terraform-Sync: task {run.task}, because of: {why} ({run.id})"


def is_ours(found: HcpRun, run: Run, version: str | None) -> bool:
    """Some servers forget messages: then it has our configuration, and came after the claim."""
    if found.message:
        return found.message.endswith(f"({run.id})")
    created = datetime.fromisoformat(str(found.attributes["created-at"])).timestamp()
    is_of_version = found.related("configuration-version") == version
    return is_of_version and created >= run.claimed_at - CLOCKS


def lost(run: Run) -> HasEnded:
    error = (
        f"the run can't be found in HCP Terraform ({run.build or 'it may not have been created'}): "
        "it was deleted, or the token may no longer see it"
    )
    end = End(RunStatus.ERRORED, apply_began=True, error=error, known=False)
    return HasEnded(end=end, build=run.build)
