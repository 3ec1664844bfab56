"""What a PATCH of a task asks for, read and told as CTS does. Pure."""

import json
from collections.abc import Mapping
from typing import Any

from cts.errors import BadRequest
from cts.workflow.task_schema import FIELDS, Schema, check, parsed

ENABLED = "enabled"
TRUE = {"1", "t", "T", "TRUE", "true", "True"}
FALSE = {"0", "f", "F", "FALSE", "false", "False", ""}


def fields_of(body: str) -> dict[str, Any]:
    """The fields to set: CTS takes `enabled` alone. Raises BadRequest."""
    try:
        value, rest = parsed(body) if body.strip() else _nothing()
    except ValueError as error:
        raise BadRequest(_in_gos_words(str(error))) from error
    if rest:
        raise BadRequest(f"invalid character {rest[0]!r} after top-level value")
    if value is not None and not isinstance(value, dict):
        kind = {list: "array", str: "string", bool: "bool"}.get(type(value), "number")
        what = f"cannot unmarshal {kind} into Go value of type map[string]interface {{}}"
        raise BadRequest(f"json: {what}")
    given = {
        ENABLED if key.lower() == ENABLED else key: each for key, each in (value or {}).items()
    }
    if unknown := sorted(given.keys() - FIELDS):
        listed = ", ".join(unknown)
        raise BadRequest(f"request body's JSON contains unsupported keys: {listed}")
    if given.get(ENABLED) is None:
        given.pop(ENABLED, None)
    else:
        given[ENABLED] = _flag(given[ENABLED])
    if not given:
        raise BadRequest(
            "/v1/tasks/:task_name currently only supports the 'enabled' field. "
            "Missing 'enabled' from the request body"
        )
    check(given, Schema(dict, "an object", FIELDS))
    return given


def _nothing() -> tuple[Any, str]:
    raise ValueError("unexpected EOF")


def _in_gos_words(error: str) -> str:
    return "unexpected end of JSON input" if error == "unexpected EOF" else error


def _flag(value: object) -> bool:
    """As loosely as CTS."""
    match value:
        case bool() | int() | float():
            return bool(value)
        case str() if value in TRUE | FALSE:
            return value in TRUE
        case str():
            said = f"strconv.ParseBool: parsing {json.dumps(value)}: invalid syntax"
            what = f"cannot parse 'enabled' as bool: {said}"
        case _:
            kind = "[]interface {}" if isinstance(value, list) else "map[string]interface {}"
            what = f"'enabled' expected type 'bool', got unconvertible type '{kind}'"
    raise BadRequest(f"1 error(s) decoding:\n\n* {what}")


def run_of(query: Mapping[str, list[str]]) -> str:
    """Whether to inspect the change, or to run the task at once. Raises BadRequest."""
    values = query.get("run", [])
    if len(values) > 1:
        listed = " ".join(values)
        what = f"cannot support more than one run query parameter, got run values: [{listed}]"
        raise BadRequest(what)
    run = values[0].lower() if values else ""
    if values and run not in ("inspect", "now"):
        raise BadRequest(
            "unsupported run parameter value. only supporting run values now and inspect "
            f"but got {values[0]}"
        )
    return run
