"""Notifications of runs, signed as HCP Terraform signs them."""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import threading
import urllib.request
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from local.hcp.store import now

if TYPE_CHECKING:
    from local.hcp.store import Run, Workspace

OK = range(200, 300)
EMULATOR = os.environ.get("AWS_ENDPOINT_URL", "")
"""Where the functions' URLs of the local stack are served."""


def notify(workspace: Workspace, run: Run, trigger: str, address: str) -> None:
    """Told once, in the background, without a second try."""
    body = {
        "payload_version": 1,
        "run_url": run_url(address, workspace, run.id),
        "run_id": run.id,
        "run_message": run.attributes["message"],
        "run_created_at": run.created_at,
        "run_created_by": run.by,
        "workspace_id": workspace.id,
        "workspace_name": workspace.name,
        "organization_name": workspace.organization,
        "notifications": [
            {
                "message": "Run changed",
                "trigger": trigger,
                "run_status": run.status,
                "run_updated_at": now(),
                "run_updated_by": None,
            }
        ],
    }
    for id_, each in list(workspace.notifications.items()):
        if each["enabled"] and trigger in each["triggers"] and not run.attributes["plan-only"]:
            told = {**body, "notification_configuration_id": id_}
            threading.Thread(target=send, args=(each, told), daemon=True).start()


def run_url(address: str, workspace: Workspace, run: str) -> str:
    return f"{address}/app/{workspace.organization}/{workspace.name}/runs/{run}"


def verification(id_: str) -> dict[str, Any]:
    """What is sent when a notification is enabled."""
    names = ("run_url", "run_id", "run_message", "run_created_at", "run_created_by", "workspace_id")
    return {
        "payload_version": 1,
        "notification_configuration_id": id_,
        **dict.fromkeys((*names, "workspace_name", "organization_name")),
        "notifications": [
            {
                "message": "Verification of test",
                "trigger": "verification",
                "run_status": None,
                "run_updated_at": None,
                "run_updated_by": None,
            }
        ],
    }


def send(notification: dict[str, Any], body: dict[str, Any]) -> bool:
    """Whether the receiver took it."""
    sent = json.dumps(body).encode()
    headers = {"Content-Type": "application/json"}
    if notification.get("token"):
        key = str(notification["token"]).encode()
        headers["X-TFE-Notification-Signature"] = hmac.new(key, sent, hashlib.sha512).hexdigest()
    url = urlsplit(str(notification["url"]))
    if EMULATOR and ".lambda-url." in url.netloc:
        headers["Host"] = url.netloc
        url = url._replace(scheme="http", netloc=urlsplit(EMULATOR).netloc)
    request = urllib.request.Request(url.geturl(), sent, headers, method="POST")
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status in OK
    except OSError:  # of which a URLError is one
        return False
