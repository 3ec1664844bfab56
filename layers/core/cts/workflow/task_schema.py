"""What the body of a request for a task may say, and CTS's words for what it may not. Pure."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from cts.errors import BadRequest

BODY = "request body has an error: "
OF_SCHEMA = f"{BODY}doesn't match schema #/components/schemas/TaskRequest"
UNSUPPORTED = 'property "{}" is unsupported'
LARGEST = 256 * 1024
"""Characters of a body. Functions pass it on to each other."""


@dataclass(frozen=True, slots=True)
class Schema:
    """One kind of JSON value, and what may be in it."""

    kind: type
    words: str
    fields: Mapping[str, "Schema"] = field(default_factory=dict)
    required: tuple[str, ...] = ()
    each: "Schema | None" = None
    """Of a list's elements, or of a map's values."""
    nullable: bool = False


TEXT = Schema(str, "a string")
FLAG = Schema(bool, "a boolean", nullable=True)
TEXTS = Schema(list, "an array", each=TEXT)
NULLABLE_TEXT = Schema(str, "a string", nullable=True)
META = Schema(dict, "an object", each=TEXT, nullable=True)
NULLABLE_META = Schema(dict, "an object", each=NULLABLE_TEXT, nullable=True)


def _object(fields: Mapping[str, Schema], *required: str) -> Schema:
    return Schema(dict, "an object", fields, required)


_PLACE = {"datacenter": TEXT, "namespace": TEXT}
_SERVICES = {"names": TEXTS, "regexp": TEXT, "filter": TEXT, **_PLACE}
_KV = {"path": TEXT, "recurse": FLAG, **_PLACE}
_PASSED = {"use_as_module_input": FLAG}
CONDITION = _object({
    "services": _object({**_SERVICES, **_PASSED, "cts_user_defined_meta": NULLABLE_META}),
    "catalog_services": _object({"regexp": TEXT, "node_meta": META, **_PLACE, **_PASSED}, "regexp"),
    "consul_kv": _object({**_KV, **_PASSED}, "path"),
    "schedule": _object({"cron": TEXT}, "cron"),
})  # fmt: skip
MODULE_INPUT = _object({
    "services": _object({**_SERVICES, "cts_user_defined_meta": META}),
    "consul_kv": _object(_KV, "path"),
})  # fmt: skip
WORKSPACE = ("execution_mode", "agent_pool_id", "agent_pool_name", "terraform_version")
TASK = _object({
    "name": TEXT,
    "module": TEXT,
    "condition": CONDITION,
    "description": TEXT,
    "enabled": FLAG,
    "providers": TEXTS,
    "version": TEXT,
    "variables": Schema(dict, "an object", each=TEXT),
    "buffer_period": _object({"enabled": FLAG, "min": TEXT, "max": TEXT}),
    "module_input": MODULE_INPUT,
    "terraform_version": TEXT,
    "terraform_cloud_workspace": _object(dict.fromkeys(WORKSPACE, TEXT)),
}, "name", "module", "condition")  # fmt: skip
TASK_REQUEST = _object({"task": TASK}, "task")
FIELDS = {name: each for name, each in TASK.fields.items() if name != "name"}
"""What may be set of a task."""


def task_of(body: str, content_type: str, schema: Schema = TASK_REQUEST) -> dict[str, Any]:
    """The Task object of a request. Raises BadRequest with the first violation."""
    if content_type.partition(";")[0].strip().lower() != "application/json":
        raise BadRequest(f'header Content-Type has unexpected value "{content_type}"')
    if not body.strip():
        raise BadRequest(f"{BODY}value is required but missing")
    try:
        value, _ = parsed(body)
    except ValueError as error:
        raise BadRequest(f"{BODY}failed to decode request body: {error}") from error
    check(value, schema)
    task: dict[str, Any] = value["task"]
    return {"enabled": True, **{k: v for k, v in task.items() if v is not None}}


def parsed(body: str) -> tuple[Any, str]:
    """The first JSON value of a text, and what follows it. Raises ValueError in Go's words."""
    text = body.lstrip()
    if len(text) > LARGEST:
        raise ValueError(f"the body has more than {LARGEST} characters")
    try:
        # Numbers of any length: none is of interest.
        decoder = json.JSONDecoder(parse_int=float, parse_constant=_no_constant)
        value, end = decoder.raw_decode(text)
    except json.JSONDecodeError as error:
        if error.pos >= len(text) or "Unterminated" in error.msg:
            raise ValueError("unexpected EOF") from error
        what = f"invalid character {text[error.pos]!r} looking for beginning of value"
        raise ValueError(what) from error
    except RecursionError as error:
        raise ValueError("exceeded max depth") from error
    return value, text[end:].strip()


def _no_constant(name: str) -> None:
    raise ValueError(f"invalid character {name[0]!r} looking for beginning of value")


def check(value: object, schema: Schema) -> None:
    """Raises BadRequest with the first violation."""
    for pointer, what in _violations(value, schema, ""):
        at = f': Error at "{pointer}"' if pointer else ""
        raise BadRequest(f"{OF_SCHEMA}{at}: {what}")


def _violations(value: object, schema: Schema, at: str) -> Iterator[tuple[str, str]]:
    """In CTS's order: an object's keys by alphabet, then what is missing."""
    if value is None:
        if not schema.nullable:
            yield at, "Value is not nullable"
        return
    if not isinstance(value, schema.kind):
        yield at, f"value must be {schema.words}"
    elif isinstance(value, dict):
        yield from _of_object(value, schema, at)
    elif isinstance(value, Sequence) and schema.each:
        for number, item in enumerate(value):
            yield from _violations(item, schema.each, f"{at}/{number}")


def _of_object(value: dict[str, Any], schema: Schema, at: str) -> Iterator[tuple[str, str]]:
    for name in sorted(value):
        inner = schema.fields.get(name) or schema.each
        if inner is None:
            yield at, UNSUPPORTED.format(name)
        else:
            yield from _violations(value[name], inner, f"{at}/{name}")
    for name in schema.required:
        if name not in value:
            yield f"{at}/{name}", f'property "{name}" is missing'
