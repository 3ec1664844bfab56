"""Consul's token, and the CAs that sign its certificate."""

import json
import re
import ssl
import time
from collections.abc import Callable
from tempfile import NamedTemporaryFile
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from cts.adapters.aws_errors import code_of, translated
from cts.adapters.certificates import Secret, Trusted, text_of, trusted
from cts.adapters.latest import Latest
from cts.errors import Refused

if TYPE_CHECKING:
    from mypy_boto3_secretsmanager import SecretsManagerClient
    from mypy_boto3_ssm import SSMClient

KEPT = 300.0
"""Seconds after which a token is read again."""
PUSHED = "CONSUL_HTTP_TOKEN"
"""The name under which `cts push` stores a token found in a configuration."""
PUSHED_FOR_HCP = "TFC_TOKEN"
AROUND = re.compile(r"^[\s\ufeff]+|[\s\ufeff]+$")
"""White space and byte order marks that editors and shells may add."""
PUSHED_PAIR = ("CONSUL_CLIENT_CERT_PEM", "CONSUL_CLIENT_KEY_PEM")
"""The names under which `cts push` stores a client certificate and its key."""
GIVEN_PAIR = ("cert", "key")
"""Their fields in the user's own secret."""
SENDABLE = re.compile(r"[!-~]*")


class ConsulToken:
    """The Consul token, from one of two secrets; empty if there is none.

    `given` is the user's secret, with the plain token, or JSON with a field `token`. Without it,
    `own` is used: the stack's secret, which may have a token that `cts push` moved there.
    """

    def __init__(
        self,
        client: "SecretsManagerClient",
        given: str,
        own: str,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._client = client
        self._given = given
        self._own = own
        self._latest = Latest(self._read, kept=KEPT, now=now)

    async def __call__(self) -> str:
        """Raises Unavailable or Refused if none has been read before."""
        return (await self._latest.get()).text

    async def version(self) -> str:
        """The version of the secret in use; empty if it has no value. Raises as a call does."""
        return (await self._latest.get()).version

    def forget(self, token: str) -> None:
        """Called if Consul refused this token: read it again, unless it has already changed."""
        if self._latest.last is not None and self._latest.last.text == token:
            self._latest.renew()

    def _read(self) -> Secret:
        arn = self._given or self._own
        doing = f"reading the Consul token from {arn}"
        try:
            with translated(doing):
                answer = self._client.get_secret_value(SecretId=arn)
        except Refused as error:
            if arn == self._own and _is_missing(error):
                return Secret("", "")  # nothing has been moved to the secret yet
            raise
        text = AROUND.sub("", text_of(doing, answer))
        found = _given(doing, text) if self._given else _moved(doing, text)
        token = AROUND.sub("", found)
        if not SENDABLE.fullmatch(token):
            raise Refused(
                f"{doing}: it can't be sent in a header: it must be letters, digits and symbols, "
                "without white space inside"
            )
        return Secret(token, answer.get("VersionId", ""))


class HcpToken:
    """The token for HCP Terraform, from one of two secrets, as `ConsulToken` finds Consul's."""

    def __init__(
        self,
        client: "SecretsManagerClient",
        given: str,
        own: str,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._client = client
        self._given = given
        self._own = own
        self._now = now
        self._read_at, self._token = 0.0, ""

    def __call__(self) -> str:
        """Raises Unavailable, and Refused if there is none."""
        if not self._token or self._now() - self._read_at >= KEPT:
            self._token, self._read_at = self._read(), self._now()
        return self._token

    def forget(self) -> None:
        """Called if it was refused: it is read again."""
        self._token = ""

    def _read(self) -> str:
        arn = self._given or self._own
        doing = f"reading the token for HCP Terraform from {arn}"
        try:
            with translated(doing):
                text = text_of(doing, self._client.get_secret_value(SecretId=arn))
        except Refused as error:
            if not (arn == self._own and _is_missing(error)):
                raise
            text = ""
        text = AROUND.sub("", text)
        found = _given(doing, text) if self._given else _moved(doing, text, PUSHED_FOR_HCP)
        token = AROUND.sub("", found)
        if not token or not SENDABLE.fullmatch(token):
            raise Refused(
                f"{doing}: there is no usable token: store a team's or a person's token with "
                f"`cts secret set {PUSHED_FOR_HCP}`"
            )
        return token


class ConsulCa:
    """The CAs trusted to sign Consul's certificate, and the certificate that is shown to Consul.

    `arn` names a secret or an SSM parameter with PEM certificates. If set, only these are trusted;
    otherwise the system's CAs are. A client certificate and its key are in the secret that has the
    token (see `ConsulToken`).
    """

    def __init__(
        self,
        secrets: "SecretsManagerClient",
        parameters: "SSMClient",
        arn: str,
        given: str,
        own: str,
    ) -> None:
        self._secrets = secrets
        self._parameters = parameters
        self._arn = arn
        self._given = given
        self._own = own
        self._latest = Latest(self._read)

    async def __call__(self) -> ssl.SSLContext:
        """Raises Unavailable or Refused if none has been read before."""
        return (await self._latest.get()).context

    async def version(self) -> str:
        """The version of the secret or parameter; empty without one. Raises as a call does."""
        return (await self._latest.get()).version if self._arn else ""

    def _read(self) -> Trusted:
        found = self._trusted()
        self._show_client(found.context)
        return found

    def _trusted(self) -> Trusted:
        if not self._arn:
            return Trusted(ssl.create_default_context(), "")
        doing = f"reading Consul's CA certificates from {self._arn}"
        return trusted(doing, self._arn, self._secrets, self._parameters)

    def _show_client(self, context: ssl.SSLContext) -> None:
        arn = self._given or self._own
        doing = f"reading the client certificate for Consul from {arn}"
        try:
            with translated(doing):
                text = text_of(doing, self._secrets.get_secret_value(SecretId=arn))
        except Refused as error:
            if arn == self._own and _is_missing(error):
                return  # nothing has been moved to the secret yet
            raise
        text = AROUND.sub("", text)
        if self._given and not text.startswith("{"):
            return  # the plain token
        names, fields = GIVEN_PAIR if self._given else PUSHED_PAIR, _fields(doing, text)
        pair = [fields.get(name, "") for name in names]
        if not any(pair):
            return
        if not all(isinstance(each, str) and each for each in pair):
            raise Refused(
                f"{doing}: {' and '.join(names)} must both be PEM text, or both be absent"
            )
        # OpenSSL takes files only. Nobody else may read this one, and it is gone at once.
        with NamedTemporaryFile("w", suffix=".pem") as file:
            file.write("\n".join(pair))
            file.flush()
            try:
                context.load_cert_chain(file.name, password=str)
            except (ssl.SSLError, ValueError):
                raise Refused(
                    f"{doing}: {names[0]} must be PEM certificates, the client's first, and "
                    f"{names[1]} the first one's key, in PEM and not encrypted"
                ) from None


def _is_missing(error: Refused) -> bool:
    cause = error.__cause__
    return isinstance(cause, ClientError) and code_of(cause) == "ResourceNotFoundException"


def _given(doing: str, text: str) -> str:
    if text.startswith("{"):
        token = _fields(doing, text).get("token")
        if not isinstance(token, str):
            raise Refused(
                f"{doing}: the secret has no string field `token`: it must be the token itself, "
                'or {"token": "..."}'
            )
        text = token
    if not AROUND.sub("", text):
        raise Refused(f"{doing}: the secret contains no token: put one into it")
    return text


def _moved(doing: str, text: str, name: str = PUSHED) -> str:
    token = _fields(doing, text).get(name, "")
    if not isinstance(token, str):
        raise Refused(f"{doing}: {name} must be a string")
    return token


def _fields(doing: str, text: str) -> dict[str, Any]:
    try:
        found = json.loads(text or "{}")
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise Refused(f"{doing}: the secret must be a valid JSON object")
    return found
