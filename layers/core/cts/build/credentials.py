"""Credentials for AWS: those of the build's container."""

import http.client
import json
import os
import urllib.request
from datetime import UTC, datetime
from typing import NamedTuple

from cts.build.errors import RunError


class Credentials(NamedTuple):
    key_id: str
    secret: str
    token: str
    expires: datetime

    def as_answer(self) -> dict[str, str]:
        """As a container's endpoint answers."""
        return {
            "AccessKeyId": self.key_id,
            "SecretAccessKey": self.secret,
            "Token": self.token,
            "Expiration": f"{self.expires:%Y-%m-%dT%H:%M:%SZ}",
        }


def read_credentials(found: dict[str, str]) -> Credentials:
    """From such an answer. Raises KeyError, TypeError or ValueError."""
    expires = datetime.fromisoformat(found["Expiration"]).astimezone(UTC)
    return Credentials(found["AccessKeyId"], found["SecretAccessKey"], found["Token"], expires)


def find_credentials() -> Credentials:
    """From the environment, else from the container's credentials endpoint."""
    env = os.environ
    if "AWS_ACCESS_KEY_ID" in env:
        token = env.get("AWS_SESSION_TOKEN", "")
        never = datetime.max.replace(tzinfo=UTC)
        return Credentials(env["AWS_ACCESS_KEY_ID"], env["AWS_SECRET_ACCESS_KEY"], token, never)
    url = env.get("AWS_CONTAINER_CREDENTIALS_FULL_URI", "")
    if relative := env.get("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"):
        url = f"http://169.254.170.2{relative}"
    if not url:
        raise RunError("finding AWS credentials: neither AWS_ACCESS_KEY_ID nor an address is set")
    # Never through a proxy, which would see the role's keys.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        request = urllib.request.Request(url)
        if authorization := env.get("AWS_CONTAINER_AUTHORIZATION_TOKEN"):
            request.add_header("Authorization", authorization)
        with opener.open(request, timeout=10) as answer:
            return read_credentials(json.load(answer))
    except (OSError, http.client.HTTPException, ValueError) as error:
        # Not HTTPError, which the caller would take for S3's answer.
        raise ConnectionError(f"fetching AWS credentials from {url}: {error}") from error
    except (KeyError, TypeError) as error:
        raise ConnectionError(f"AWS credentials from {url} lack what they need: {error}") from error
