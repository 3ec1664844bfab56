"""Certificates of Consul and of its client."""

import asyncio
import json
import ssl
from pathlib import Path
from typing import TYPE_CHECKING, cast

import pytest
from cryptography.hazmat.primitives import serialization

from cts.adapters.consul import Authorities, Consul
from cts.adapters.secrets import ConsulCa
from cts.conditions import services
from cts.errors import Refused, Unavailable
from cts.watch.query import View
from tests.certificates import PEM, authority, pair
from tests.fake_consul import Token

if TYPE_CHECKING:
    from mypy_boto3_secretsmanager import SecretsManagerClient
    from mypy_boto3_ssm import SSMClient

WEB = View(services.SERVICE, "web")
ARN = "arn:aws:secretsmanager:r:1:secret:"


@pytest.fixture(scope="module")
def ca(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return authority(tmp_path_factory.mktemp("certificates"))


def asked(ca: Path, authorities: Authorities, *, demands: bool = False) -> int:
    """The index that a server with this certificate answers. `demands`: only to clients with one
    of the same CA."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nX-Consul-Index: 7\r\nContent-Length: 2\r\n\r\n[]")
        await writer.drain()
        writer.close()

    async def scenario() -> int:
        serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        serving.load_cert_chain(ca.with_name("server.pem"))
        if demands:
            serving.verify_mode = ssl.CERT_REQUIRED
            serving.load_verify_locations(ca)
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


class Secrets:
    """Texts by ARN."""

    def __init__(self, **texts: str) -> None:
        self.texts = texts

    def get_secret_value(self, SecretId: str) -> dict[str, str]:  # noqa: N803
        return {"SecretString": self.texts[SecretId.rpartition(":")[2]], "VersionId": "1"}


def named(given: str = "", **texts: str) -> ConsulCa:
    """From these secrets; `ca` is the authority's."""
    secrets = Secrets(**{"own": "{}", **texts})
    manager, parameters = cast("SecretsManagerClient", secrets), cast("SSMClient", secrets)
    return ConsulCa(manager, parameters, ARN + "ca", given and ARN + given, ARN + "own")


def test_the_same_ca_is_trusted_once_it_is_named(ca: Path) -> None:
    assert asked(ca, named(ca=ca.read_text())) == 7


def with_pair(ca: Path, *names: str) -> str:
    """A secret with the certificate of this machine and its key, under these names."""
    return json.dumps({"token": "t", **dict(zip(names, pair(ca), strict=True))})


def test_a_client_shows_the_certificate_that_a_push_has_moved(ca: Path) -> None:
    own = with_pair(ca, "CONSUL_CLIENT_CERT_PEM", "CONSUL_CLIENT_KEY_PEM")
    assert asked(ca, named(ca=ca.read_text(), own=own), demands=True) == 7


def test_a_client_shows_the_certificate_of_the_users_own_secret(ca: Path) -> None:
    mine = with_pair(ca, "cert", "key")
    assert asked(ca, named("mine", ca=ca.read_text(), mine=mine), demands=True) == 7


@pytest.mark.parametrize("given", ["", "mine"])
def test_without_a_certificate_a_server_that_demands_one_makes_views_stale(
    ca: Path, given: str
) -> None:
    """Also where the secret is the plain token."""
    with pytest.raises(Unavailable, match=r"at https://127\.0\.0\.1"):
        asked(ca, named(given, ca=ca.read_text(), mine="the-token"), demands=True)


@pytest.mark.parametrize(
    ("secret", "said"),
    [
        pytest.param('{"cert": "x"}', "cert and key must both be PEM text", id="no-key"),
        pytest.param('{"cert": 1, "key": 2}', "must both be PEM text", id="no-text"),
        pytest.param('{"cert": "x", "key": "c4nary"}', "cert must be PEM certificates", id="junk"),
    ],
)
def test_a_pair_that_is_none_is_refused_without_being_shown(
    ca: Path, secret: str, said: str
) -> None:
    with pytest.raises(Refused, match=f"from {ARN}mine: .*{said}") as told:
        asked(ca, named("mine", ca=ca.read_text(), mine=secret))
    assert "c4nary" not in str(told.value)


def test_an_encrypted_key_is_refused_and_nobody_is_asked_for_its_password(ca: Path) -> None:
    fields = json.loads(with_pair(ca, "cert", "key"))
    key = serialization.load_pem_private_key(fields["key"].encode(), None)
    how = serialization.BestAvailableEncryption(b"password")
    fields["key"] = key.private_bytes(PEM, serialization.PrivateFormat.PKCS8, how).decode()
    with pytest.raises(Refused, match="not encrypted"):
        asked(ca, named("mine", ca=ca.read_text(), mine=json.dumps(fields)))
