"""Every event that is sent must match its schema in `events/schemas`: the fake bus and the
end-to-end tests check each one."""

import json
from functools import cache
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator

SCHEMAS = Path(__file__).parents[1] / "events/schemas"


@cache
def validator(detail_type: str) -> Draft202012Validator:
    schema = json.loads((SCHEMAS / f"{detail_type}.json").read_text())
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema)


def check(detail_type: str, detail: Any) -> None:
    """Raises an AssertionError that names what does not match."""
    found = [
        f"{each.json_path}: {each.message}" for each in validator(detail_type).iter_errors(detail)
    ]
    assert not found, f"{detail_type} {json.dumps(detail)}: {found}"
