"""Responses in the format of AWS. Pure."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from xml.sax.saxutils import escape

if TYPE_CHECKING:
    from local.hooks import Response


def error(service: str, code: str, message: str) -> Response:
    """An error in the service's format: XML for S3 and the query protocol, otherwise JSON."""
    status = {"s3": 503}.get(service, 400)
    if service == "s3":
        body = f"<Error><Code>{escape(code)}</Code><Message>{escape(message)}</Message></Error>"
        return status, {"Content-Type": "application/xml"}, body.encode()
    if service in ("sts", "iam", "sns", "cloudformation"):
        inner = f"<Code>{escape(code)}</Code><Message>{escape(message)}</Message>"
        body = f"<ErrorResponse><Error>{inner}</Error></ErrorResponse>"
        return status, {"Content-Type": "text/xml"}, body.encode()
    headers = {"Content-Type": "application/x-amz-json-1.1", "x-amzn-errortype": code}
    return status, headers, json.dumps({"__type": code, "message": message}).encode()


def answer(value: dict[str, Any]) -> Response:
    headers = {"Content-Type": "application/x-amz-json-1.1"}
    return 200, headers, json.dumps(value).encode()
