"""Random requests made from docs/openapi.yaml. Their answers must be those that it describes."""

from __future__ import annotations

import time
from collections import Counter
from typing import TYPE_CHECKING, Any

import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.checks import load_all_checks
from schemathesis.specs.openapi import checks

from tests.e2e.world import PATIENCE, RECORD
from tests.openapi import DOCUMENT

if TYPE_CHECKING:
    from collections.abc import Sequence

    from schemathesis import APIOperation, Case

    from tests.e2e.people import Person

    Operation = APIOperation[Any, Any, Any, Any]
    AnyCase = Case[Any]

SCHEMA: Any = schemathesis.openapi.from_dict(DOCUMENT)
OPERATIONS = {
    found.label: found
    for found in sorted(
        (each.ok() for each in SCHEMA.get_all_operations()),
        key=lambda each: each.method == "delete",
    )
}
"""By method and path; what deletes is last, so that the others find something."""
load_all_checks()
CHECKS = [
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_schema_conformance,
]
NAMES = ("rest-random-0", "rest-random-1", "rest-random-2")
"""Of tasks that are there at first. Each is the name of a service, too."""

FREE = ("description", "enabled", "providers", "version")
"""Fields of a task that may have any value of their type."""


class RandomRequests:
    """Sends requests, and counts their answers."""

    def __init__(self, person: Person, *, waits: bool) -> None:
        """`waits`: whether requests may wait for runs."""
        self.person = person
        self.waits = waits
        self.answers: Counter[tuple[str, int]] = Counter()

    def to_each_operation(self, examples: int, until: float = float("inf")) -> None:
        """Raises schemathesis's failures, with the request as a curl command."""
        runs = [run["id"] for run in self.person.reads("/v1/runs")["runs"]]
        for operation in OPERATIONS.values():
            if time.monotonic() < until:
                self._to(operation, examples, runs or ["none"])

    @property
    def told(self) -> dict[str, dict[str, int]]:
        """How many answers there were, by operation and HTTP status."""
        found: dict[str, dict[str, int]] = {}
        for (operation, status), count in sorted(self.answers.items()):
            found.setdefault(operation, {})[str(status)] = count
        return found

    def _to(self, operation: Operation, examples: int, runs: Sequence[str]) -> None:
        wrong = operation.query or operation.body
        modes = [GenerationMode.POSITIVE, *([GenerationMode.NEGATIVE] if wrong else [])]
        cases = st.one_of([operation.as_strategy(generation_mode=mode) for mode in modes])

        @settings(
            max_examples=examples,
            deadline=None,
            database=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(cases, st.sampled_from(NAMES), st.sampled_from(runs), st.booleans())
        def send(case: AnyCase, name: str, run: str, is_known: bool) -> None:
            if is_known:
                _made_known(case, name, run)
            self._send(case)

        send()

    def _send(self, case: AnyCase) -> None:
        if not self.waits and case.method != "GET":
            case.headers["Prefer"] = "respond-async"
        outputs = self.person.world.stack.outputs
        url = outputs["ReaderUrl" if case.method == "GET" else "ApiUrl"]
        request = requests.Request(**case.as_transport_kwargs(url.rstrip("/"))).prepare()
        body = request.body or b""
        data = body.encode() if isinstance(body, str) else body
        kind = {"content-type": request.headers.get("Content-Type", "")}
        headers = {
            **{name: case.headers[name] for name in case.headers if name == "Prefer"},
            **kind,
        }
        began = time.monotonic()
        to = (request.url or "").replace("+", "%20")  # which Signature Version 4 does not do
        answer = self.person.sends(request.method or "", to, data, headers)
        assert time.monotonic() - began < PATIENCE, f"{request.method} {request.url} hangs"
        self.answers[case.operation.label, answer.status_code] += 1
        case.validate_response(answer, checks=CHECKS)


def _made_known(case: AnyCase, name: str, run: str) -> None:
    """Random names would find nothing, and random modules would always be refused."""
    for key, value in (("name", name), ("run", run)):
        if key in case.path_parameters:
            case.path_parameters[key] = value
    body: Any = case.body
    if isinstance(body, dict) and isinstance(body.get("task"), dict):
        free = {key: body["task"][key] for key in FREE if key in body["task"]}
        condition = {"services": {"names": [name]}}
        needed: dict[str, Any] = {"name": name, "module": RECORD, "condition": condition}
        case.body = {**body, "task": {**free, **needed}}
