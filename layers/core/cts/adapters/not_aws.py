"""Refuses answers that did not come from AWS, such as a proxy's or a sign-in page."""

from collections.abc import Mapping
from typing import Any

import boto3
from botocore.exceptions import BotoCoreError

SERVER_ERROR = 500
REQUEST_IDS = {"x-amzn-requestid", "x-amzn-request-id", "x-amz-request-id"}
"""What AWS sends with each answer, as AWS's SDK for JavaScript knows it: the last one is S3's."""
UNREADABLE = "the answer can't be read: it is not whole, or not from AWS"
"""Instead of botocore's own text, which has the whole answer and so, maybe, a secret."""


class NotFromAws(BotoCoreError):
    fmt = (
        "the answer, HTTP {status}, is not from AWS: look for a proxy or a sign-in page on the way"
    )


def refusing_others(session: boto3.Session) -> boto3.Session:
    """The session, whose clients raise NotFromAws for an answer without the ID of a request.
    botocore would take many of them for an empty one: no such item, or a successful write.
    Errors of servers are left to botocore, which tries again."""
    session.events.register("before-parse", _refuse)
    return session


def _refuse(response_dict: Mapping[str, Any], **_: object) -> None:
    status, headers = response_dict["status_code"], response_dict["headers"]
    if status < SERVER_ERROR and REQUEST_IDS.isdisjoint(each.lower() for each in headers):
        raise NotFromAws(status=status)
