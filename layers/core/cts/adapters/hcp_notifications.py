"""Notifications of HCP Terraform, which come to the tracker's URL: anyone can send something there.

They only make it faster: a run they name is asked for, as the sweep does.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
from typing import TYPE_CHECKING, Any

from cts.errors import Forged, Refused, Upstream
from cts.keys import RUN_ID

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from cts.adapters.hcp_api import HcpApi

SIGNATURE = "x-tfe-notification-signature"
OURS = "cts-serverless"
TRIGGERS = ["run:needs_attention", "run:completed", "run:errored"]
OF_RUN = re.compile(rf"\(({RUN_ID.pattern})\)$")
"""How a run's message ends (`hcp_terraform.py`)."""
PURPOSE = b"notifications of HCP Terraform"


def key_of(token: str) -> str:
    """The key of signatures. It is derived from the token, which alone is kept as a secret."""
    return hmac.new(token.encode(), PURPOSE, hashlib.sha256).hexdigest()


class HcpNotifications:
    """`url`: where they go to; empty if they are not wanted."""

    def __init__(self, url: str, token: Callable[[], str]) -> None:
        self.url = url
        self._token = token

    def told(self, event: Mapping[str, Any]) -> tuple[str, str] | None:
        """The run's ID, and its ID in HCP Terraform, of a request to a function's URL; None if it
        is about no run of ours. Raises Forged."""
        try:
            key = key_of(self._token())
        except Refused:  # without a token there is no key, and nothing is signed with it
            raise Forged from None
        body = _body(event)
        expected = hmac.new(key.encode(), body, hashlib.sha512).hexdigest()
        given = str((event.get("headers") or {}).get(SIGNATURE, ""))
        if not hmac.compare_digest(expected.encode(), given.encode()):
            raise Forged
        found = json.loads(body)
        ours = OF_RUN.search(str(found.get("run_message") or ""))
        return (ours[1], str(found["run_id"])) if ours else None

    def name(self) -> str:
        """Another one for each key."""
        digest = hashlib.sha256(key_of(self._token()).encode()).hexdigest()
        return f"{OURS} {digest[:8]}"

    def register(self, api: HcpApi, workspace: str) -> bool:
        """Have a workspace send them, and none to former places or with former keys. False if it
        does not: then the sweep asks."""
        doing = "setting up the notifications of a workspace"
        path = f"/workspaces/{workspace}/notification-configurations"
        attributes = {
            "destination-type": "generic",
            "name": self.name(),
            "url": self.url,
            "token": key_of(self._token()),
            "enabled": True,
            "triggers": TRIGGERS,
        }
        try:
            present = [
                each
                for each in api.pages(doing, path)
                if each["attributes"]["name"].startswith(OURS)
            ]
            former = [each for each in present if not self._is_this(each["attributes"])]
            data = {"type": "notification-configurations", "attributes": attributes}
            if former == present and api.post(doing, path, {"data": data}).is_error:
                return False
            for each in former:
                api.delete(doing, f"/notification-configurations/{each['id']}")
        except Upstream:
            return False
        return True

    def _is_this(self, attributes: Mapping[str, Any]) -> bool:
        return (attributes["name"], attributes["url"]) == (self.name(), self.url)


def _body(event: Mapping[str, Any]) -> bytes:
    """As it was sent. Raises Forged if it can't be decoded, which AWS never causes."""
    body = str(event.get("body") or "").encode()
    if not event.get("isBase64Encoded"):
        return body
    try:
        return base64.b64decode(body)
    except ValueError:
        raise Forged from None
