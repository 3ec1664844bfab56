"""Secrets, read when they are needed and kept for some minutes."""

import json
import time
from collections.abc import Callable
from typing import Any

from cts.adapters.aws_errors import translated

KEPT = 300.0


class ConsulToken:
    """The Consul token: the secret is the bare token, or JSON with a field `token`."""

    def __init__(self, client: Callable[[], Any], arn: str) -> None:
        self._client = client
        self._arn = arn
        self._token = ""
        self._read_at: float | None = None

    def __call__(self) -> str:
        if not self._arn:
            return ""
        if self._read_at is None or time.monotonic() - self._read_at > KEPT:
            with translated("reading the Consul token from Secrets Manager"):
                text = self._client().get_secret_value(SecretId=self._arn)["SecretString"]
            self._token, self._read_at = _token(text), time.monotonic()
        return self._token

    def forget(self) -> None:
        """Consul refused it: read it again next time."""
        self._read_at = None


def _token(text: str) -> str:
    if text.lstrip().startswith("{"):
        return str(json.loads(text)["token"])
    return text.strip()
