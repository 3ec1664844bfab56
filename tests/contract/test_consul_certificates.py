"""Consul's certificate, as its server shows it: made here, without what RFC 5280 demands."""

import asyncio
import ssl
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path
from typing import TYPE_CHECKING, cast

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from cts.adapters.consul import Authorities, Consul
from cts.adapters.secrets import ConsulCa
from cts.conditions import services
from cts.errors import Unavailable
from cts.watch.query import View
from tests.fake_consul import Token

if TYPE_CHECKING:
    from mypy_boto3_secretsmanager import SecretsManagerClient
    from mypy_boto3_ssm import SSMClient

WEB = View(services.SERVICE, "web")
ARN = "arn:aws:secretsmanager:r:1:secret:ca"
PEM = serialization.Encoding.PEM


def made(name: str, issuer: x509.Name | None = None) -> x509.CertificateBuilder:
    """A certificate without key identifiers."""
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer or subject)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), critical=True)
    )


@pytest.fixture(scope="module")
def ca(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The CA's certificate; beside it `server.pem`, with its key, for this machine."""
    folder = tmp_path_factory.mktemp("certificates")
    ca_key, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    authority = made("ca").public_key(ca_key.public_key()).sign(ca_key, hashes.SHA256())
    addresses = x509.SubjectAlternativeName([x509.IPAddress(IPv4Address("127.0.0.1"))])
    server = made("server", authority.subject).add_extension(addresses, critical=False)
    signed = server.public_key(key.public_key()).sign(ca_key, hashes.SHA256())
    text = key.private_bytes(PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (folder / "server.pem").write_bytes(text + signed.public_bytes(PEM))
    (folder / "ca.pem").write_bytes(authority.public_bytes(PEM))
    return folder / "ca.pem"


def asked(ca: Path, authorities: Authorities) -> int:
    """The index that a server with this certificate answers."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nX-Consul-Index: 7\r\nContent-Length: 2\r\n\r\n[]")
        await writer.drain()
        writer.close()

    async def scenario() -> int:
        serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        serving.load_cert_chain(ca.with_name("server.pem"))
        listening = await asyncio.start_server(answer, "127.0.0.1", 0, ssl=serving)
        port = listening.sockets[0].getsockname()[1]
        consul = Consul(f"https://127.0.0.1:{port}", Token(), authorities)
        async with listening, asyncio.timeout(30):
            try:
                return (await consul.ask(WEB)).index
            finally:
                await consul.close()

    return asyncio.run(scenario())


def test_a_certificate_that_strict_verification_refuses_names_the_rule_and_the_way_out(
    ca: Path,
) -> None:
    """Python 3.13 is strict where the system's CAs are trusted."""

    async def strict() -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=ca)
        context.verify_flags |= ssl.VERIFY_X509_STRICT
        return context

    with pytest.raises(Unavailable, match=r"Key Identifier.*RFC 5280.*ConsulCaArn"):
        asked(ca, strict)


def test_the_same_ca_is_trusted_once_it_is_named(ca: Path) -> None:
    class Secrets:
        def get_secret_value(self, SecretId: str) -> dict[str, str]:  # noqa: N803
            assert SecretId == ARN
            return {"SecretString": ca.read_text(), "VersionId": "1"}

    secrets = Secrets()
    named = ConsulCa(cast("SecretsManagerClient", secrets), cast("SSMClient", secrets), ARN)
    assert asked(ca, named) == 7
