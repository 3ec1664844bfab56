"""The warm lane of the model: Lambda, which delivers each invocation once, twice or not at all."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from cts import keys
from cts.adapters.executor import QUEUED_SECONDS, Executor
from cts.run.model import Run
from tests.fakes import failed_event
from tests.model.outside import Build

if TYPE_CHECKING:
    from mypy_boto3_lambda import LambdaClient

    from cts.adapters.bucket import Bucket
    from tests.model.state import State

SECONDS = 900.0
"""The function's time limit."""


@dataclass(slots=True, eq=False)
class Invocation:
    request: str
    asked: dict[str, str]
    at: float
    copies: int
    """How often it is still to be delivered."""

    def is_too_old(self, now: float) -> bool:
        return now - self.at > QUEUED_SECONDS

    def failed(self, *, condition: str = "RetriesExhausted", raised: bool = False) -> Any:
        return failed_event(self.asked, self.request, condition=condition, raised=raised)


class Lambda:
    def __init__(self, now: Callable[[], float], copies: Callable[[], int]) -> None:
        self.queue: list[Invocation] = []
        self._now, self._copies, self._count = now, copies, 0

    def invoke(self, *, Payload: bytes, **_: Any) -> dict[str, Any]:  # noqa: N803
        self._count += 1
        request = f"request-{self._count}"
        asked = json.loads(Payload)
        self.queue.append(Invocation(request, asked, self._now(), self._copies()))
        return {"ResponseMetadata": {"RequestId": request}}


class WarmDriver(Executor):
    def __init__(self, state: "State", bucket: Any) -> None:
        self.client = Lambda(state.clock, state.copies)
        super().__init__(
            cast("LambdaClient", self.client), "executor", SECONDS, cast("Bucket", bucket),
            state.clock,
        )  # fmt: skip
        self.error: Exception | None = None
        """What the next starts raise."""
        self.asked: dict[str, tuple[Run, bytes]] = {}
        """By folder."""

    def start(self, run: Run, archive: bytes) -> str:
        if self.error is not None:
            raise self.error
        self.asked[run.folder] = run, archive
        return super().start(run, archive)


@dataclass(slots=True, kw_only=True)
class WarmBuild(Build):
    """One delivery of an invocation."""

    invocation: Invocation

    def ended(self) -> dict[str, Any]:
        """The function's record that nothing of it is left, and the event of it."""
        name = keys.ended(self.fake.id)
        self.bucket.put_if_absent(self.task, self.fake.run.id, name, b"")
        key = keys.run_object(self.task, self.fake.run.id, name)
        return {"detail-type": "Object Created", "detail": {"object": {"key": key}}}
