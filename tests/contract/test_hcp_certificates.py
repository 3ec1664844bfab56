"""The certificate of HCP Terraform's server, which a private CA may have signed."""

from __future__ import annotations

import ssl
import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import TYPE_CHECKING, cast

import pytest

from cts.adapters.certificates import HcpCa
from cts.adapters.hcp_api import HcpApi, Pace, client
from cts.errors import Unavailable
from tests.certificates import authority
from tests.contract.hcp_world import OWNER, FixedToken

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from mypy_boto3_secretsmanager import SecretsManagerClient
    from mypy_boto3_ssm import SSMClient

ARN = "arn:aws:secretsmanager:r:1:secret:ca"


class Answers(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "14")
        self.end_headers()
        self.wfile.write(b'{"data": "it"}')

    def log_message(self, *_: object) -> None:
        """Nobody reads it."""


class Secrets:
    def __init__(self, text: str) -> None:
        self._text = text

    def get_secret_value(self, SecretId: str) -> dict[str, str]:  # noqa: N803
        assert SecretId == ARN
        return {"SecretString": self._text, "VersionId": "1"}


@pytest.fixture(scope="module")
def ca(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return authority(tmp_path_factory.mktemp("certificates"))


@pytest.fixture
def address(ca: Path) -> Iterator[str]:
    server = HTTPServer(("127.0.0.1", 0), Answers)
    serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    serving.load_cert_chain(ca.with_name("server.pem"))
    server.socket = serving.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    yield f"https://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    thread.join()
    server.server_close()


def asked(address: str, arn: str, text: str) -> str:
    """What the server answers to who trusts these CAs."""
    secrets = Secrets(text)
    manager, parameters = cast("SecretsManagerClient", secrets), cast("SSMClient", secrets)
    trusted = HcpCa(arn, manager, parameters)
    api = HcpApi(client(trusted()), address, FixedToken(OWNER), time.sleep, Pace())
    return str(api.get("asking", "/runs/run-1").resource)


def test_a_private_ca_is_trusted_once_it_is_named(ca: Path, address: str) -> None:
    assert asked(address, ARN, ca.read_text()) == "it"


def test_who_does_not_trust_it_is_told_which_parameter_names_it(address: str) -> None:
    with pytest.raises(Unavailable, match=r"asking: .*CERTIFICATE_VERIFY_FAILED.*HcpCaArn"):
        asked(address, "", "")
