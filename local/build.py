"""One CodeBuild build: its record in the API's form, and the events it sends. No I/O."""

from __future__ import annotations

import secrets
import threading
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

FINAL = {"SUCCEEDED", "FAILED", "FAULT", "TIMED_OUT", "STOPPED"}


@dataclass(slots=True)
class PhaseRecord:
    kind: str
    start: float
    status: str = ""
    end: float = 0.0
    context: list[dict[str, str]] = field(default_factory=list)


@dataclass(slots=True)
class Build:
    """`settings` is the project with the overrides applied."""

    id: str
    arn: str
    number: int
    settings: dict[str, Any]
    source_version: str
    initiator: str
    started: float
    status: str = "IN_PROGRESS"
    ended: float = 0.0
    phases: list[PhaseRecord] = field(default_factory=list)
    exported: dict[str, str] = field(default_factory=dict)
    role_session: str = ""
    credentials: tuple[str, str, str] | None = None
    """Key, secret and token of its role; None if the role does not trust CodeBuild."""
    authorization: str = field(default_factory=lambda: secrets.token_urlsafe(16))
    """What its processes send to get these credentials."""
    shell: int = 0  # its process, once started
    stop: threading.Event = field(default_factory=threading.Event)
    killed_as: str = ""  # the status forced by a fault

    @property
    def project(self) -> str:
        return str(self.settings["name"])

    @property
    def variables(self) -> list[dict[str, str]]:
        found: list[dict[str, str]] = self.settings["environment"].get("environmentVariables", [])
        return [{"type": "PLAINTEXT", **variable} for variable in found]

    def acts_as(self, role_session: str) -> bool:
        """Whether a session of a role is this build's: that of its container, or that of its run,
        whose name is the end of the run's ID."""
        runs = [each["value"] for each in self.variables if each["name"] == "CTS_RUN_ID"]
        return self.role_session == role_session or any(
            run.endswith(f"-{role_session}") for run in runs
        )

    def credentials_answer(self) -> dict[str, str]:
        """As the container's credentials endpoint answers."""
        assert self.credentials is not None
        key, secret, token = self.credentials
        expires = datetime.now(UTC) + timedelta(hours=1)
        return {
            "AccessKeyId": key,
            "SecretAccessKey": secret,
            "Token": token,
            "Expiration": f"{expires:%Y-%m-%dT%H:%M:%SZ}",
        }

    @property
    def log_group(self) -> str:
        config = self.settings.get("logsConfig", {}).get("cloudWatchLogs", {})
        return str(config.get("groupName") or f"/aws/codebuild/{self.project}")

    @property
    def log_stream(self) -> str:
        config = self.settings.get("logsConfig", {}).get("cloudWatchLogs", {})
        name = self.id.partition(":")[2]
        return f"{config['streamName']}/{name}" if config.get("streamName") else name

    @property
    def current_phase(self) -> str:
        return self.phases[-1].kind if self.phases else "SUBMITTED"

    def begin(self, kind: str) -> None:
        """Starts a phase. The previous one, if still open, has succeeded."""
        self.end("SUCCEEDED")
        self.phases.append(PhaseRecord(kind, time.time()))

    def end(self, status: str, message: str = "", code: str = "") -> None:
        """Ends the open phase, if any."""
        if self.phases and not self.phases[-1].status:
            phase = self.phases[-1]
            phase.status, phase.end = status, time.time()
            if message:
                phase.context = [{"statusCode": code or "CLIENT_ERROR", "message": message}]

    def record(self) -> dict[str, Any]:
        """The API's Build structure, without the members that AWS omits."""
        record = {
            "id": self.id,
            "arn": self.arn,
            "buildNumber": self.number,
            "startTime": self.started,
            "currentPhase": self.current_phase,
            "buildStatus": self.status,
            "sourceVersion": self.source_version,
            "resolvedSourceVersion": self.source_version,
            "projectName": self.project,
            "phases": [_phase_record(phase) for phase in self.phases],
            "source": self.settings["source"],
            "artifacts": {"location": ""},
            "environment": {**self.settings["environment"], "environmentVariables": self.variables},
            "serviceRole": self.settings["serviceRole"],
            "logs": self._logs(),
            "timeoutInMinutes": self.settings["timeoutInMinutes"],
            "queuedTimeoutInMinutes": self.settings.get("queuedTimeoutInMinutes", 480),
            "buildComplete": self.status in FINAL,
            "initiator": self.initiator,
            "exportedEnvironmentVariables": [
                {"name": name, "value": value} for name, value in self.exported.items()
            ],
        }
        if self.ended:
            record["endTime"] = self.ended
        return record

    def _logs(self) -> dict[str, str]:
        return {
            "groupName": self.log_group,
            "streamName": self.log_stream,
            "deepLink": f"https://console.aws.amazon.com/cloudwatch/home#logEvent:group={self.log_group};stream={self.log_stream}",
        }

    def event(self) -> dict[str, Any]:
        """The detail of `CodeBuild Build State Change`."""
        return {
            "build-status": self.status,
            "project-name": self.project,
            "build-id": self.arn,
            "current-phase": self.current_phase,
            "current-phase-context": "[: ]",
            "version": "1",
            "additional-information": self._information(),
        }

    def _information(self) -> dict[str, Any]:
        environment = self.settings["environment"]
        logs = self._logs()
        source = {
            k: self.settings["source"][k]
            for k in ("location", "type")
            if k in self.settings["source"]
        }
        information: dict[str, Any] = {
            "timeout-in-minutes": self.settings["timeoutInMinutes"],
            "queued-timeout-in-minutes": self.settings.get("queuedTimeoutInMinutes", 480),
            "build-complete": self.status in FINAL,
            "build-number": self.number,
            "initiator": self.initiator,
            "build-start-time": _spoken(self.started),
            "source": source,
            "source-version": self.source_version,
            "artifact": {"location": ""},
            "environment": {
                "image": environment.get("image", ""),
                "privileged-mode": environment.get("privilegedMode", False),
                "image-pull-credentials-type": "CODEBUILD",
                "compute-type": environment.get("computeType", ""),
                "type": environment.get("type", ""),
                "environment-variables": self.variables,
            },
            "logs": {
                "group-name": logs["groupName"],
                "stream-name": logs["streamName"],
                "deep-link": logs["deepLink"],
            },
            "phases": [_phase_event(phase) for phase in self.phases],
        }
        if self.exported:
            information["exported-environment-variables"] = [
                {"name": name, "value": value, "type": "PLAINTEXT"}
                for name, value in self.exported.items()
            ]
        return information


def _phase_record(phase: PhaseRecord) -> dict[str, Any]:
    record: dict[str, Any] = {"phaseType": phase.kind, "startTime": phase.start}
    if phase.status:
        record |= {
            "phaseStatus": phase.status,
            "endTime": phase.end,
            "durationInSeconds": round(phase.end - phase.start),
            "contexts": phase.context or [{"statusCode": "", "message": ""}],
        }
    return record


def _phase_event(phase: PhaseRecord) -> dict[str, Any]:
    event: dict[str, Any] = {"phase-type": phase.kind, "start-time": _spoken(phase.start)}
    if phase.status:
        texts = [f"{context['statusCode']}: {context['message']}" for context in phase.context]
        event |= {
            "phase-status": phase.status,
            "end-time": _spoken(phase.end),
            "duration-in-seconds": round(phase.end - phase.start),
            "phase-context": texts or [": "],
        }
    return event


def _spoken(moment: float) -> str:
    """Times in events: "Sep 1, 2017 4:12:29 PM", UTC."""
    at = datetime.fromtimestamp(moment, UTC)
    return f"{at:%b} {at.day}, {at.year} {at.hour % 12 or 12}:{at:%M:%S %p}"
