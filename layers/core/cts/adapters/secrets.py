"""Secrets, read when they are needed and kept for some minutes."""

import json
import time
from typing import Any

from botocore.exceptions import ClientError

from cts.adapters.aws_errors import code_of, translated
from cts.errors import Refused

KEPT = 300.0
DOING = "reading the Consul token from Secrets Manager"
PUSHED = "CONSUL_HTTP_TOKEN"
"""The name under which `cts push` keeps a token that stands in a configuration."""


class ConsulToken:
    """The Consul token, from one of two secrets.

    `given` is a secret of the user's, which holds the bare token, or JSON with a field `token`.
    Without it, `own` is the stack's, which may hold one that `cts push` has moved there.
    """

    def __init__(self, client: Any, given: str, own: str) -> None:
        self._client = client
        self._given = given
        self._own = own
        self._token = ""
        self._read_at: float | None = None

    def __call__(self) -> str:
        if self._read_at is None or time.monotonic() - self._read_at > KEPT:
            self._token = self._read_given() if self._given else self._read_own()
            self._read_at = time.monotonic()
        return self._token

    def forget(self) -> None:
        """Consul refused it: read it again next time."""
        self._read_at = None

    def _read_given(self) -> str:
        text = self._text(self._given)
        if not text.lstrip().startswith("{"):
            return text.strip()
        fields = _fields(text)
        if "token" not in fields:
            raise Refused(
                f"{DOING}: the secret of ConsulSecretArn has no field `token`: it must be the bare "
                'token, or {"token": "..."}'
            )
        return str(fields["token"])

    def _read_own(self) -> str:
        return str(_fields(self._text(self._own)).get(PUSHED, ""))

    def _text(self, arn: str) -> str:
        with translated(DOING):
            try:
                answer = self._client.get_secret_value(SecretId=arn)
            except ClientError as error:
                if arn == self._own and code_of(error) == "ResourceNotFoundException":
                    return ""  # a secret to which nothing was ever moved
                raise
        return str(answer["SecretString"])


def _fields(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text or "{}")
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise Refused(f"{DOING}: the secret is not the JSON object that it should be")
    return found
