"""Installs our hooks in the emulator, and corrects differences from AWS. See `emulator`."""

# ruff: noqa: SLF001

from __future__ import annotations

import contextvars
import functools
import json
from typing import TYPE_CHECKING, Any

import botocore.session
from botocore.exceptions import UnknownServiceError
from ministack import app as _app
from ministack.core import iam_actions as _actions
from ministack.core import iam_evaluator as _evaluator
from ministack.core import responses as _responses
from ministack.core import router as _router
from ministack.services import codebuild as _codebuild
from ministack.services import dynamodb as _dynamodb
from ministack.services import eventbridge as _eventbridge
from ministack.services import s3 as _s3
from ministack.services import scheduler as _scheduler
from ministack.services.cloudformation import changesets as _changesets
from ministack.services.cloudformation import handlers as _handlers
from ministack.services.cloudformation import provisioners as _provisioners

from local import emulator_iam, emulator_lambda, transforms
from local.calls import json_body
from local.hooks import Hooks, Request, Response

if TYPE_CHECKING:
    from botocore.model import ServiceModel

NOT_EMULATED = "servicequotas"
"""The only service that the product calls and the emulator does not have."""

# The object version of an S3 event, which the emulator omits.
_version: contextvars.ContextVar[str] = contextvars.ContextVar("version", default="")


def install(hooks: Hooks) -> None:
    """Installs the hooks. Call once, before the first request."""
    _hook_requests(hooks)
    _hook_transforms()
    _hook_grammar()
    _hook_descriptions()
    emulator_iam.install()
    _hook_codebuild(hooks)
    _hook_events(hooks)
    _hook_schedules(hooks)
    emulator_lambda.install(hooks)
    _accept_what_only_people_use()


def _accept_what_only_people_use() -> None:
    """The emulator has neither saved queries nor archives. They are deployed and do nothing."""
    nothing = {
        "create": lambda logical_id, _properties, stack: (f"{stack}-{logical_id}", {}),
        "update": lambda physical_id, _old, _new, _stack: (physical_id, {}),
        "delete": lambda _physical_id, _properties: None,
    }
    for kind in ("AWS::Logs::QueryDefinition", "AWS::Events::Archive"):
        _provisioners._RESOURCE_HANDLERS[kind] = nothing


def _hook_requests(hooks: Hooks) -> None:
    dispatch = _app._dispatch_service_request

    async def dispatched(
        method: str,
        path: str,
        headers: dict[str, str],
        body: bytes,
        query: dict[str, Any],
        request_id: str,
    ) -> Response:
        request = _request(method, path, headers, body, query)
        emulator_lambda.requested.set(request_id if request.service == "lambda" else "")

        async def proceed() -> Response:
            answer: Response = await dispatch(method, path, headers, body, query, request_id)
            return emulator_iam.hidden(request, headers, query, answer)

        return await hooks.around_request(request, proceed)

    _app._dispatch_service_request = dispatched
    _app._with_date_header = lambda send: send  # the server sends one


def _request(
    method: str, path: str, headers: dict[str, str], body: bytes, query: dict[str, Any]
) -> Request:
    params = _app._routing_params(method, path, headers, body, query)
    service = _router.detect_service(method, path, headers, params)
    action = _actions.extract_iam_action(service, method, path, headers, body, params) or ""
    resource = _actions.extract_resource_arn(
        service, method, path, headers, body, params, _responses.get_region(),
        _responses.get_account_id(),
    )  # fmt: skip
    key = _router.extract_access_key_id(headers, query)
    known = _evaluator.resolve_caller_identity(key)
    return Request(
        service=service,
        action=action.partition(":")[2],
        resource=str(resource),
        principal=known["userArn"] if known else "",
        path=path,
        body=body,
    )


def _hook_transforms() -> None:
    """SAM's translator takes longer than all else that a stack needs to start, most of it for its
    imports, and makes the same of a template each time."""
    for module in (_changesets, _handlers):
        module._apply_transforms = transforms.Transformed(module._apply_transforms)


def _hook_grammar() -> None:
    """The emulator would check the grammar of a filter again for each item."""
    check = _dynamodb._condition_syntax_error
    _dynamodb._condition_syntax_error = functools.lru_cache(256)(check)


def _hook_descriptions() -> None:
    """The emulator would begin a session of botocore for each service that it reads the description
    of, and read those of all services once it is asked for one that it does not have."""
    session = botocore.session.get_session()

    @functools.cache
    def described(service: str) -> ServiceModel | None:
        try:
            return session.get_service_model(_responses._BOTOCORE_NAME.get(service, service))
        except UnknownServiceError:
            return None

    _responses._service_model = described
    _router._KNOWN_AWS_SERVICE_NAMES = frozenset({NOT_EMULATED})


def _hook_codebuild(hooks: Hooks) -> None:
    handle = _codebuild.handle_request

    async def handled(
        method: str, path: str, headers: dict[str, str], body: bytes, query: dict[str, Any]
    ) -> Response:
        action = headers.get("x-amz-target", "").rpartition(".")[2]
        ours = hooks.builds(action, json_body(body))
        answer: Response = ours or await handle(method, path, headers, body, query)
        return answer

    _codebuild.handle_request = handled
    # Members of a project that the emulator does not record.
    handlers = _provisioners._RESOURCE_HANDLERS["AWS::CodeBuild::Project"]
    create, update = handlers["create"], handlers["update"]

    def created(logical_id: str, props: dict[str, Any], stack: str) -> Any:
        physical_id, attributes = create(logical_id, props, stack)
        _complete_project(physical_id, props)
        return physical_id, attributes

    def updated(physical_id: str, old: Any, new: dict[str, Any], stack: str) -> Any:
        physical_id, attributes = update(physical_id, old, new, stack)
        _complete_project(physical_id, new)
        return physical_id, attributes

    handlers["create"], handlers["update"] = created, updated


def _complete_project(name: str, props: dict[str, Any]) -> None:
    project = _codebuild._projects[name]
    for theirs, ours in (
        ("ConcurrentBuildLimit", "concurrentBuildLimit"),
        ("QueuedTimeoutInMinutes", "queuedTimeoutInMinutes"),
    ):
        if theirs in props:
            project[ours] = int(props[theirs])
    if "LogsConfig" in props:
        project["logsConfig"] = _provisioners._codebuild_cfn_to_api(props["LogsConfig"])


def _hook_events(hooks: Hooks) -> None:
    dispatch, invoke = _eventbridge._dispatch_event, _eventbridge._invoke_target

    def dispatched(event: dict[str, Any], view: Any = None) -> None:
        if event["Source"] == "aws.s3" and _version.get():
            detail = json.loads(event["Detail"])
            detail["object"]["version-id"] = _version.get()
            event, view = {**event, "Detail": json.dumps(detail)}, None
        hooks.event_put(event)
        dispatch(event, view)

    def invoked(target: dict[str, Any], event: dict[str, Any], rule: Any, view: Any = None) -> None:
        # Delayed deliveries run later, in another thread.
        context = contextvars.copy_context()
        hooks.around_delivery(
            target.get("Arn", ""),
            event,
            lambda: context.copy().run(invoke, target, event, rule, view),
        )

    fire = _s3._fire_s3_event

    def fired(*args: Any, version_id: str | None = None, **more: Any) -> None:
        _version.set(version_id or "")  # in a thread of its own
        fire(*args, version_id=version_id, **more)

    _s3._fire_s3_event = fired
    _eventbridge._dispatch_event = dispatched
    _eventbridge._invoke_target = invoked


def _hook_schedules(hooks: Hooks) -> None:
    tick = _scheduler._tick_schedules
    _scheduler._SCHEDULE_TICK_INTERVAL = 1

    def ticked() -> None:
        if hooks.schedules_enabled():
            tick()

    _scheduler._tick_schedules = ticked
