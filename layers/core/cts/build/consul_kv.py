"""Values from the KV store of the stack's Consul, and what Terraform needs to reach it."""

import base64
import json
import ssl
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from urllib.parse import quote, urlencode

from cts.build.asking import asked
from cts.build.aws import Aws, NotThere
from cts.build.errors import RunError
from cts.build.https import tls_context
from cts.build.private_file import written

TOKENS = "token", "CONSUL_HTTP_TOKEN"
"""The fields of the user's own secret, and of the stack's, which `cts push` writes."""
PAIRS = ("cert", "key"), ("CONSUL_CLIENT_CERT_PEM", "CONSUL_CLIENT_KEY_PEM")
AROUND = " \t\r\n\ufeff"
OK, FORBIDDEN, NOT_FOUND = 200, 403, 404


@dataclass(frozen=True, slots=True)
class ConsulConnection:
    """Texts; empty ones are not used."""

    token: str = ""
    ca: str = ""
    certificate: str = ""
    key: str = ""


def read_connection(aws: Aws, secret: str, ca: str) -> ConsulConnection:
    """From a secret with the plain token or with a JSON object, and from the secret or parameter
    that has the CA's certificates. Raises RunError."""
    doing = f"reading the credentials for Consul from {secret}"
    try:
        text = aws.secret(doing, secret).strip(AROUND) if secret else ""
    except NotThere:
        text = ""  # `cts push` has moved nothing to it yet
    pem = ""
    if ca:
        read = aws.parameter if ca.split(":")[2] == "ssm" else aws.secret
        pem = read(f"reading Consul's CA certificates from {ca}", ca)
    if not text.startswith("{"):
        return ConsulConnection(text, pem)
    try:
        fields = {name: str(value) for name, value in json.loads(text).items()}
    except ValueError:
        raise RunError(
            f"{doing}: it must be the token, or a JSON object", retryable=False
        ) from None
    token = next((fields[name] for name in TOKENS if fields.get(name)), "")
    pair = next(
        ((fields[a], fields[b]) for a, b in PAIRS if fields.get(a) and fields.get(b)), ("", "")
    )
    return ConsulConnection(token.strip(AROUND), pem, *pair)


class ConsulKv:
    """`connect` reads the connection, once; `folder` takes files with it, which only their owner
    may read."""

    def __init__(
        self, address: str, connect: Callable[[], ConsulConnection], folder: Path, ends_at: float
    ) -> None:
        self.address = address if "://" in address else f"http://{address}"
        self.folder, self.ends_at = folder, ends_at
        self.connection = cache(connect)

    def value(self, doing: str, path: str) -> str:
        """Of a key, which may end with `@datacenter`. Raises RunError, and NotThere without it."""
        key, _, datacenter = path.lstrip("/").partition("@")
        query = f"?{urlencode({'dc': datacenter})}" if datacenter else ""
        url = f"{self.address.rstrip('/')}/v1/kv/{quote(key)}{query}"
        token = self.connection().token
        headers = {"X-Consul-Token": token} if token else {}
        answer = asked(
            doing,
            lambda: urllib.request.Request(url, headers=headers),
            self.ends_at,
            context=self._context(),
        )
        if answer.status == NOT_FOUND:
            raise NotThere(f"{doing}: Consul's KV store has no key {key!r}")
        if answer.status != OK:
            hint = " (no token is configured)" if answer.status == FORBIDDEN and not token else ""
            said = " ".join(answer.body.decode(errors="replace").split())[:300]
            raise RunError(f"{doing}: Consul says HTTP {answer.status} {said}{hint}")
        try:
            [row] = json.loads(answer.body)
            return base64.b64decode(row["Value"] or "").decode()
        except (ValueError, KeyError, TypeError):
            raise RunError(f"{doing}: its value is not UTF-8 text", retryable=False) from None

    def environment(self) -> dict[str, str]:
        """With which Terraform's backend reaches this Consul."""
        of_files = self._files()
        names = {
            "ca": "CONSUL_CACERT",
            "certificate": "CONSUL_CLIENT_CERT",
            "key": "CONSUL_CLIENT_KEY",
        }
        token = self.connection().token
        return {
            "CONSUL_HTTP_ADDR": self.address,
            **({"CONSUL_HTTP_TOKEN": token} if token else {}),
            **{names[each]: str(file) for each, file in of_files.items()},
        }

    def _context(self) -> ssl.SSLContext | None:
        if not self.address.startswith("https:"):
            return None
        return tls_context("Consul", self.connection().ca, self._files())

    def _files(self) -> dict[str, Path]:
        found = self.connection()
        texts = {"ca": found.ca, "certificate": found.certificate, "key": found.key}
        return {
            name: written(self.folder / f"consul-{name}.pem", text)
            for name, text in texts.items()
            if text
        }
