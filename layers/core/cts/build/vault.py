"""Secrets from Vault."""

import json
import ssl
import urllib.request
from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import quote

from cts.build.asking import Reply, asked
from cts.build.aws import NotThere
from cts.build.errors import RunError
from cts.build.https import tls_context
from cts.build.private_file import written

OK, NOT_FOUND = 200, 404
TOKEN, KEY = '{{ env "VAULT_TOKEN" }}', '{{ env "VAULT_CLIENT_KEY_PEM" }}'
"""Where `cts push` moves them."""


class VaultSecrets:
    """`settings`: `address`, and perhaps `namespace`, `unwrap_token` ("true"), `verify` ("false"),
    `server_name`, `ca_cert` and `cert` (PEM texts), `token` and `key` (texts with references) of
    the `vault` block. `fill` gives such a text with its values, and raises RunError."""

    def __init__(
        self,
        settings: Mapping[str, Any],
        fill: Callable[[str], str],
        folder: Path,
        ends_at: float,
    ) -> None:
        self.settings, self.fill, self.folder, self.ends_at = settings, fill, folder, ends_at
        self.address = str(settings.get("address", "")).rstrip("/")
        self._found: dict[str, dict[str, Any]] = {}

    @cached_property
    def token(self) -> str:
        """A wrapped one can be unwrapped once only."""
        given = self.fill(str(self.settings.get("token") or TOKEN)).strip()
        if str(self.settings.get("unwrap_token", "")).lower() != "true":
            return given
        doing = "unwrapping the token for Vault"
        answer = self._answer(doing, "sys/wrapping/unwrap", given, method="PUT")
        found = _json(doing, answer).get("auth") or {}
        if not found.get("client_token"):
            raise RunError(f"{doing}: the answer has no token", retryable=False)
        return str(found["client_token"])

    def value(self, doing: str, path: str, field: tuple[str, ...]) -> str:
        """The text of a field, such as `("Data", "data", "password")`. Raises RunError, and
        NotThere if Vault has no such secret or the secret no such field."""
        if not self.address:
            raise RunError(f"{doing}: no `vault` block has an address", retryable=False)
        if path not in self._found:
            self._found[path] = self._read(doing, path)
        found: Any = {"Data": self._found[path]}
        for name in field:
            found = found.get(name) if isinstance(found, dict) else None
        if found is None:
            raise NotThere(f"{doing}: the secret has no field .{'.'.join(field)}")
        if isinstance(found, dict | list):
            raise RunError(f"{doing}: the field must be a single value", retryable=False)
        return found if isinstance(found, str) else json.dumps(found)

    def _read(self, doing: str, path: str) -> dict[str, Any]:
        path, _, query = path.strip("/").partition("?")
        where = quote(self._whole(doing, path)) + (f"?{query}" if query else "")
        answer = self._answer(doing, where, self.token)
        if answer.status == NOT_FOUND:
            raise NotThere(f"{doing}: Vault has no secret at {path!r}")
        data = _json(doing, answer).get("data")
        return data if isinstance(data, dict) else {}

    def _whole(self, doing: str, path: str) -> str:
        """The path of a secret of KV version 2 has `data/` behind its mount, which may be left out
        in a reference. Without the permission to ask, it is taken as it is."""
        mounts = f"sys/internal/ui/mounts/{quote(path)}"
        answer = self._answer(doing, mounts, self.token)
        mount = _json(doing, answer).get("data", {}) if answer.status == OK else {}
        is_second = (mount.get("options") or {}).get("version") == "2"
        base = str(mount.get("path", "")).strip("/")
        rest = path.removeprefix(base).lstrip("/")
        if not is_second or rest.startswith("data/"):
            return path
        return f"{base}/data/{rest}"

    def _answer(self, doing: str, path: str, token: str, method: str = "GET") -> Reply:
        headers = {"X-Vault-Token": token, "X-Vault-Request": "true"}
        if namespace := self.settings.get("namespace"):
            headers["X-Vault-Namespace"] = str(namespace)
        url = f"{self.address}/v1/{path}"
        return asked(
            doing,
            lambda: urllib.request.Request(url, headers=headers, method=method),
            self.ends_at,
            context=self._context,
        )

    @cached_property
    def _context(self) -> ssl.SSLContext | None:
        if not self.address.startswith("https:"):
            return None
        files = {}
        if certificate := self.settings.get("cert"):
            files["certificate"] = written(self.folder / "vault-certificate.pem", str(certificate))
            files["key"] = written(
                self.folder / "vault-key.pem", self.fill(str(self.settings.get("key") or KEY))
            )
        context = tls_context("Vault", str(self.settings.get("ca_cert", "")), files)
        context.server_name = str(self.settings.get("server_name", ""))
        if self.settings.get("verify") == "false":
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        return context


def _json(doing: str, answer: Reply) -> dict[str, Any]:
    try:
        told = json.loads(answer.body)
        if answer.status == OK:
            return dict(told)
        said = "; ".join(map(str, told["errors"]))
    except (ValueError, KeyError, TypeError):
        said = ""
    raise RunError(f"{doing}: Vault says HTTP {answer.status} {said}".rstrip())
