"""The CAs that are trusted to sign a server's certificate, from a secret or an SSM parameter."""

import re
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cts.adapters.aws_errors import translated
from cts.errors import Refused

if TYPE_CHECKING:
    from mypy_boto3_secretsmanager import SecretsManagerClient
    from mypy_boto3_secretsmanager.type_defs import GetSecretValueResponseTypeDef
    from mypy_boto3_ssm import SSMClient

KEPT = 300.0
"""Seconds after which the CAs of HCP Terraform's server are read again."""
BEGIN, END = "-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----"
CERTIFICATE = re.compile(f"{BEGIN}[^-]*{END}")


@dataclass(frozen=True, slots=True)
class Secret:
    text: str
    version: str


@dataclass(frozen=True, slots=True)
class Trusted:
    context: ssl.SSLContext
    version: str


class HcpCa:
    """The CAs of HCP Terraform's server. `arn`: as of `trusted`; if empty, the public CAs."""

    def __init__(
        self,
        arn: str,
        secrets: "SecretsManagerClient",
        parameters: "SSMClient",
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._arn = arn
        self._secrets = secrets
        self._parameters = parameters
        self._now = now
        self._read_at = 0.0
        self._trusted: Trusted | None = None

    def __call__(self) -> ssl.SSLContext | None:
        """The same one while the certificates stay; None: the public CAs. Raises Unavailable, and
        Refused if there are no certificates."""
        if not self._arn:
            return None
        if self._trusted is None or self._now() - self._read_at >= KEPT:
            doing = f"reading the CA certificates for HCP Terraform from {self._arn}"
            found = trusted(doing, self._arn, self._secrets, self._parameters)
            self._read_at = self._now()
            if self._trusted is None or self._trusted.version != found.version:
                self._trusted = found
        return self._trusted.context


def trusted(
    doing: str, arn: str, secrets: "SecretsManagerClient", parameters: "SSMClient"
) -> Trusted:
    """Only the certificates in the secret or SSM parameter `arn`, which are PEM text. Raises
    Unavailable, and Refused if there are none."""
    found = _pem(doing, arn, secrets, parameters)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    # As in CTS, on every Python version: trusting an intermediate CA is enough, and a private CA
    # may lack extensions that RFC 5280 demands.
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    try:
        context.load_verify_locations(cadata=_certificates(found.text))
    except (ssl.SSLError, TypeError, ValueError):
        raise Refused(
            f"{doing}: it must contain PEM certificates, each beginning with "
            "-----BEGIN CERTIFICATE-----"
        ) from None
    return Trusted(context, found.version)


def _pem(doing: str, arn: str, secrets: "SecretsManagerClient", parameters: "SSMClient") -> Secret:
    with translated(doing):
        if arn.split(":")[2] == "ssm":
            found = parameters.get_parameter(Name=arn, WithDecryption=True)["Parameter"]
            return Secret(found["Value"], str(found.get("Version", "")))
        answer = secrets.get_secret_value(SecretId=arn)
        return Secret(text_of(doing, answer), answer.get("VersionId", ""))


def _certificates(text: str) -> str:
    """The certificates without any text between them. Raises ValueError."""
    found = CERTIFICATE.findall(text)
    if not found or len(found) != text.count(BEGIN):
        raise ValueError
    return "\n".join(found)


def text_of(doing: str, answer: "GetSecretValueResponseTypeDef") -> str:
    """Raises Refused if the secret is binary."""
    if "SecretString" not in answer:
        raise Refused(f"{doing}: the secret is binary: it must be text")
    return answer["SecretString"]
