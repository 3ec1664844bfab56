"""Makes the emulator's IAM decide as AWS's, where it differs. See `emulator_hooks`."""

# ruff: noqa: SLF001

from __future__ import annotations

import dataclasses
import functools
import json
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from ministack import app as _app
from ministack.core import iam_actions as _actions
from ministack.core import iam_evaluator as _evaluator
from ministack.core import responses as _responses
from ministack.core import router as _router
from ministack.services import iam as _iam
from ministack.services import lambda_svc as _lambda

from local import answers
from local.calls import json_body, leading_keys
from local.policies import filled

if TYPE_CHECKING:
    from collections.abc import Callable

    from local.hooks import Request, Response


def install() -> None:
    _actions.extract_resource_arn = _finer_resources(_actions.extract_resource_arn)
    _hook_caller()
    _hook_policies()
    _hook_conditions()
    _hook_variables()
    _hook_trust()
    _hook_urls()


def _finer_resources(extract: Callable[..., str]) -> Callable[..., str]:
    """The resources that AWS checks, where the emulator checks "*" or the whole log group."""

    def extracted(
        service: str, method: str, path: str, headers: Any, body: bytes, *rest: Any
    ) -> str:
        request = json_body(body) if service in ("codebuild", "logs") else {}
        if build := request.get("id") or next(iter(request.get("ids", [])), ""):
            project = build.rpartition("/")[2].partition(":")[0]
            body = json.dumps({"projectName": project}).encode()
        resource = extract(service, method, path, headers, body, *rest)
        if service == "logs" and "logStreamName" in request:
            return f"{resource.removesuffix(':*')}:log-stream:{request['logStreamName']}"
        return resource

    return extracted


def _hook_caller() -> None:
    """The emulator would gather the policies of a caller only to know its ARN."""

    def arn_of(headers: dict[str, str], query: Any = None) -> str:
        account = _responses.get_account_id()
        key = _router.extract_access_key_id(headers, query or {})
        owner = _responses._account_from_sts_session(key) or account
        found = _evaluator.resolve_credential(key, owner) if key else None
        return getattr(found, "principal_arn", "") or f"arn:aws:iam::{account}:root"

    _evaluator.request_caller_arn = arn_of


def _hook_policies() -> None:
    """The emulator would parse the policies of a caller again for each of its requests."""
    parse = _evaluator.parse_policy_document

    def marked(document: Any) -> list[Any]:
        return [_marked(each) for each in parse(document)]

    parsed = functools.lru_cache(256)(marked)

    def parsed_once(document: Any) -> Any:
        return parsed(document) if isinstance(document, str) else marked(document)

    _evaluator.parse_policy_document = parsed_once


class WithVariables(_evaluator.ParsedStatement):  # type: ignore[misc]
    """A statement with variables in its resources or conditions."""


def _marked(statement: Any) -> Any:
    if "${" in f"{statement.resources}{statement.conditions}":
        return WithVariables(**vars(statement))
    return statement


def _hook_conditions() -> None:
    """The condition keys that the emulator omits: for parts of a table, and for puts that replace
    nothing."""
    context, enforce = _actions.dynamodb_service_context, _evaluator.enforce
    s3_context = _actions.s3_service_context

    def with_precondition(
        action: str, query: Any, path: str = "", headers: dict[str, str] | None = None
    ) -> dict[str, Any]:
        found: dict[str, Any] = s3_context(action, query, path, headers)
        given = (headers or {}).get("if-none-match")
        return found | ({"s3:if-none-match": given} if given else {})

    def extended(body: bytes) -> dict[str, Any]:
        return {**context(body), "local:keys": leading_keys(body)}

    def enforced(access_key: str, action: str, *rest: Any, **named: Any) -> Any:
        known = named.get("service_context") or {}
        if by_kind := known.get("local:keys"):
            kind = action.partition(":")[2].removesuffix("Item")
            keys = by_kind.get(kind) or [key for keys in by_kind.values() for key in keys]
            named["service_context"] = {**known, "dynamodb:LeadingKeys": keys}
        return enforce(access_key, action, *rest, **named)

    _actions.s3_service_context = with_precondition
    _actions.dynamodb_service_context = extended
    _evaluator.enforce = enforced


def _hook_trust() -> None:
    """A role whose trust policy names another role of the account can be assumed by that one, which
    needs no policy for it. STS checks the trust policy afterwards, with its conditions."""
    enforce = _evaluator.enforce

    def enforced(access_key: str, action: str, *rest: Any, **named: Any) -> Any:
        result = enforce(access_key, action, *rest, **named)
        if action != "sts:AssumeRole" or getattr(result, "decision", "") != "ImplicitDeny":
            return result
        role = str(named.get("resource_arn") or "")
        return None if _names_caller(role, result.principal_arn) else result

    _evaluator.enforce = enforced


def _names_caller(role: str, session: str) -> bool:
    """`session`: the ARN of a role's session."""
    trust = (_iam._roles.get(role.rpartition("/")[2]) or {}).get("AssumeRolePolicyDocument", "")
    account, name = session.split(":")[4], session.split("/")[1]
    return f'"arn:aws:iam::{account}:role/{name}"' in json.dumps(trust).replace('\\"', '"')


def _hook_variables() -> None:
    """Policies may say `${aws:PrincipalTag/task}` in resources and conditions."""
    first_match = _evaluator._first_match

    def matched(context: Any, statements: list[Any], effect: str) -> Any:
        filled_in = [_with_values(each, context) for each in statements if each.effect == effect]
        return first_match(context, filled_in, effect)

    _evaluator._first_match = matched


def _with_values(statement: Any, context: Any) -> Any:
    if not isinstance(statement, WithVariables):
        return statement
    return dataclasses.replace(
        statement,
        resources=filled(statement.resources, context.principal_keys),
        conditions=filled(statement.conditions, context.principal_keys),
    )


def _hook_urls() -> None:
    """A function URL with IAM takes two permissions, and tells the function who signed. One with
    the type NONE takes no signature."""
    enforce, event_of = _app._enforce_data_plane, _lambda._build_function_url_event

    def enforced(service: str, action: str, *rest: Any, **named: Any) -> Any:
        if (named.get("service_context") or {}).get("lambda:FunctionUrlAuthType") == "NONE":
            return None
        denied = enforce(service, action, *rest, **named)
        if denied or action != "lambda:InvokeFunctionUrl":
            return denied
        through = {"lambda:InvokedViaFunctionUrl": "true"}
        return enforce(
            service, "lambda:InvokeFunction", *rest, **{**named, "service_context": through}
        )

    def with_caller(*arguments: Any, **named: Any) -> dict[str, Any]:
        event: dict[str, Any] = event_of(*arguments, **named)
        key = _router.extract_access_key_id(event["headers"], {})
        if caller := _evaluator.resolve_caller_identity(key):
            names = ("accessKey", "accountId", "userArn", "userId", "principalOrgId")
            iam = {name: caller.get(name) for name in names} | {"callerId": caller.get("userId")}
            event["requestContext"]["authorizer"] = {"iam": iam}
        return event

    _app._enforce_data_plane = enforced
    _lambda._build_function_url_event = with_caller


def hidden(request: Request, headers: dict[str, str], query: Any, answer: Response) -> Response:
    """S3 tells only those that an object is missing who may list its name; the key is the prefix
    that their policies are asked for."""
    if (request.service, request.action, answer[0]) != ("s3", "GetObject", 404):
        return answer
    bucket, _, key = unquote(request.path.lstrip("/")).partition("/")
    denied = _evaluator.enforce(
        _router.extract_access_key_id(headers, query),
        "s3:ListBucket",
        "s3",
        _responses.get_region(),
        resource_arn=f"arn:aws:s3:::{bucket}",
        service_context={"s3:prefix": key},
    )
    if not denied:
        return answer
    _, kind, body = answers.error("s3", "AccessDenied", "Access Denied")
    return 403, kind, b"" if answer[2] in (b"", None) else body
