"""Parts of IAM that the emulator omits: policy variables. Pure."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

VARIABLE = re.compile(r"\$\{([^}]+)\}")
UNKNOWN = "\0"
"""Occurs in no resource and no request: what has it matches nothing."""


def filled(value: Any, keys: Mapping[str, Any]) -> Any:
    """Texts of a policy with the values of its variables, such as `${aws:PrincipalTag/task}`.
    `keys`: those of the request's context, in lower case."""
    if isinstance(value, str):
        return VARIABLE.sub(lambda found: str(keys.get(found[1].lower(), UNKNOWN)), value)
    if isinstance(value, list):
        return [filled(each, keys) for each in value]
    if isinstance(value, dict):
        return {name: filled(each, keys) for name, each in value.items()}
    return value
