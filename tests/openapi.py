"""What docs/openapi.yaml describes."""

from typing import Any

import yaml

from local.tools import PROJECT

DOCUMENT: dict[str, Any] = yaml.load(
    (PROJECT / "docs" / "openapi.yaml").read_text(), yaml.CSafeLoader
)
METHODS = ("get", "post", "put", "patch", "delete")
OPERATIONS: dict[str, dict[str, Any]] = {
    f"{method.upper()} {path}": item[method]
    for path, item in DOCUMENT["paths"].items()
    for method in METHODS
    if method in item
}
"""By method and path, such as "GET /v1/health"."""
