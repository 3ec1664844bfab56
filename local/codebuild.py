"""CodeBuild builds: StartBuild, BatchGetBuilds, StopBuild, ListBuilds, ListBuildsForProject.

The emulator keeps the projects; builds really run, on this machine (`build_run`).
"""

from __future__ import annotations

import threading
import time
import uuid
from typing import TYPE_CHECKING, Any

from local import answers, build_run, build_shell, emulator
from local.build import FINAL, Build
from local.build_instant import Instant
from local.build_request import Refused
from local.build_request import settings as settings_of

if TYPE_CHECKING:
    from local.build_run import Place
    from local.hooks import Response

TOKEN_SECONDS = 300


class Builds:
    """All builds of this stack.

    `concurrent`: how many run at once, as with an account's quota; others are QUEUED. `minute`:
    the length of a minute in time limits, in seconds, so that tests don't wait five real minutes.
    `instant`: builds end at once (`build_instant`), so that tests can have hundreds.
    """

    def __init__(self, place: Place) -> None:
        self.concurrent = 20
        self.minute = 60.0
        self.instant = False
        self._place = place
        self._instant = Instant(place)
        self._builds: dict[str, Build] = {}
        self._tokens: dict[tuple[str, str], tuple[float, dict[str, Any], str]] = {}
        self._changed = threading.Condition()

    def answer(self, action: str, request: dict[str, Any], caller: str) -> Response | None:
        """Handles a call about builds; None for other calls. `caller`: the principal's ARN."""
        try:
            value = self._answer(action, request, caller)
        except Refused as refusal:
            return answers.error("codebuild", refusal.code, str(refusal))
        return None if value is None else answers.answer(value)

    def records(self) -> list[dict[str, Any]]:
        return [build.record() for build in list(self._builds.values())]

    def settings(self, values: dict[str, Any]) -> dict[str, Any]:
        """Changes the given settings; returns all."""
        with self._changed:
            self.concurrent = int(values.get("concurrent", self.concurrent))
            self.minute = float(values.get("minute", self.minute))
            self.instant = bool(values.get("instant", self.instant))
            self._changed.notify_all()
        return {"concurrent": self.concurrent, "minute": self.minute, "instant": self.instant}

    def credentials(self, authorization: str) -> dict[str, str] | None:
        """What the credentials endpoint of a build's container answers; None if none is open."""
        for build in list(self._builds.values()):
            if build.credentials and build.authorization == authorization:
                return None if build.status in FINAL else build.credentials_answer()
        return None

    def kill(self, role_session: str, status: str, seconds: float = 0.0) -> None:
        """Kills all processes of the build with this session name, now or later."""
        for build in self._builds.values():
            if build.acts_as(role_session):
                if not seconds:
                    _lose(build, status)  # before the call that it made is answered
                    continue
                timer = threading.Timer(seconds, _lose, (build, status))
                timer.daemon = True
                timer.start()

    def kill_all(self) -> None:
        for build in self._builds.values():
            if build.status not in FINAL:
                _lose(build, "FAULT")

    def _answer(self, action: str, request: dict[str, Any], caller: str) -> dict[str, Any] | None:
        match action:
            case "StartBuild":
                return {"build": self._start(request, caller).record()}
            case "BatchGetBuilds":
                return self._batch_get(request)
            case "StopBuild":
                return {"build": self._stop(request).record()}
            case "ListBuilds":
                return {"ids": self._ids(request)}
            case "ListBuildsForProject":
                return {"ids": self._ids(request, self._project(request)["name"])}
        return None

    def _project(self, request: dict[str, Any]) -> dict[str, Any]:
        name = request.get("projectName", "")
        project = emulator.project(name)
        if project is None:
            raise Refused("ResourceNotFoundException", f"Project cannot be found: {name}")
        return project

    def _start(self, request: dict[str, Any], caller: str) -> Build:
        project = self._project(request)
        if known := self._started_before(request):
            return known
        settings = settings_of(project, request)
        with self._changed:
            self._check_limit(project)
            build = Build(
                id=f"{project['name']}:{uuid.uuid4()}",
                arn="",
                number=1 + sum(b.project == project["name"] for b in self._builds.values()),
                settings=settings,
                source_version=request.get("sourceVersion", project.get("sourceVersion", "")),
                initiator=caller.rpartition("assumed-role/")[2] or caller,
                started=time.time(),
            )
            account = emulator.account()
            build.arn = f"arn:aws:codebuild:{self._place.region}:{account}:build/{build.id}"
            self._builds[build.id] = build
            if token := request.get("idempotencyToken"):
                self._tokens[project["name"], token] = (time.monotonic(), request, build.id)
        build.begin("SUBMITTED")
        build.begin("QUEUED")
        emulator.in_background(lambda: self._run(build), build.id)
        return build

    def _started_before(self, request: dict[str, Any]) -> Build | None:
        key = (request["projectName"], request.get("idempotencyToken", ""))
        at, former, build_id = self._tokens.get(key, (0.0, {}, ""))
        if not build_id or time.monotonic() - at > TOKEN_SECONDS:
            return None
        if former != request:
            raise Refused(
                "InvalidInputException",
                "Parameter mismatch: the idempotency token was used with other parameters.",
            )
        return self._builds[build_id]

    def _check_limit(self, project: dict[str, Any]) -> None:
        limit = project.get("concurrentBuildLimit")
        active = sum(
            b.project == project["name"] and b.status not in FINAL for b in self._builds.values()
        )
        if limit and active >= limit:
            raise Refused(
                "AccountLimitExceededException",
                f"Cannot have more than {limit} active builds for project {project['name']}",
            )

    def _batch_get(self, request: dict[str, Any]) -> dict[str, Any]:
        ids = [build.rpartition("build/")[2] for build in request.get("ids", [])]
        if not 1 <= len(ids) <= 100:
            raise Refused("InvalidInputException", "BatchGetBuilds takes 1 to 100 ids.")
        return {
            "builds": [self._builds[i].record() for i in ids if i in self._builds],
            "buildsNotFound": [i for i in ids if i not in self._builds],
        }

    def _stop(self, request: dict[str, Any]) -> Build:
        build = self._builds.get(request.get("id", "").rpartition("build/")[2])
        if build is None:
            raise Refused("ResourceNotFoundException", f"Build {request.get('id')} does not exist")
        with self._changed:
            build.stop.set()
            self._changed.notify_all()
        return build

    def _ids(self, request: dict[str, Any], project: str = "") -> list[str]:
        ids = [b.id for b in self._builds.values() if project in ("", b.project)]
        return ids if request.get("sortOrder") == "ASCENDING" else ids[::-1]

    def _run(self, build: Build) -> None:
        self._announce(build)
        status = self._wait_for_place(build)
        if not status and self.instant:
            status = self._instant.run(build)
        elif not status:
            build.role_session = f"AWSCodeBuild-{build.id.partition(':')[2]}"
            build.credentials = emulator.assume_role(
                "codebuild.amazonaws.com",
                build.settings["serviceRole"],
                build.role_session,
                source=f"arn:aws:codebuild:{self._place.region}:{emulator.account()}:project/"
                + build.project,
            )
            seconds = build.settings["timeoutInMinutes"] * self.minute
            status = build_run.run(build, self._place, seconds)
            if status in ("SUCCEEDED", "FAILED"):
                for phase in ("UPLOAD_ARTIFACTS", "FINALIZING"):
                    build.begin(phase)
        build.begin("COMPLETED")
        with self._changed:
            build.status, build.ended = status, time.time()
            self._changed.notify_all()
        self._announce(build)

    def _wait_for_place(self, build: Build) -> str:
        """Waits until the build may run. Returns a status if it never will."""
        limit = build.settings.get("queuedTimeoutInMinutes", 480) * self.minute
        with self._changed:
            free = self._changed.wait_for(
                lambda: build.stop.is_set() or self._active() < self.concurrent, limit
            )
            if build.stop.is_set() or not free:
                status = "STOPPED" if build.stop.is_set() else "TIMED_OUT"
                build.end(status)
                return status
            build.begin("PROVISIONING")
        return ""

    def _active(self) -> int:
        return sum(
            b.status not in FINAL and b.current_phase not in ("SUBMITTED", "QUEUED")
            for b in self._builds.values()
        )

    def _announce(self, build: Build) -> None:
        emulator.put_event(
            "aws.codebuild", "CodeBuild Build State Change", build.event(), [build.arn]
        )


def _lose(build: Build, status: str) -> None:
    build.killed_as = status
    if build.shell:
        build_shell.kill_session(build.shell)
