"""Responses in the format of AWS. Pure."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from xml.sax.saxutils import escape

if TYPE_CHECKING:
    from local.hooks import Response

REQUEST = {"x-amzn-requestid": "00000000-0000-4000-8000-000000000000"}
"""Without one, our clients take an answer for one that is not from AWS."""


def error(service: str, code: str, message: str) -> Response:
    """An error in the service's format: XML for S3 and the query protocol, otherwise JSON."""
    status = {"s3": 503}.get(service, 400)
    if service == "s3":
        body = f"<Error><Code>{escape(code)}</Code><Message>{escape(message)}</Message></Error>"
        return status, {"Content-Type": "application/xml"} | REQUEST, body.encode()
    if service in ("sts", "iam", "sns", "cloudformation"):
        inner = f"<Code>{escape(code)}</Code><Message>{escape(message)}</Message>"
        body = f"<ErrorResponse><Error>{inner}</Error></ErrorResponse>"
        return status, {"Content-Type": "text/xml"} | REQUEST, body.encode()
    headers = {"Content-Type": "application/x-amz-json-1.1", "x-amzn-errortype": code}
    return status, headers | REQUEST, json.dumps({"__type": code, "message": message}).encode()


def answer(value: dict[str, Any]) -> Response:
    headers = {"Content-Type": "application/x-amz-json-1.1"}
    return 200, headers | REQUEST, json.dumps(value).encode()
