"""Builds reach Vault and Consul over TLS as `vault.tls` and the stack's secrets say."""

import json
import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from cts.build import asking
from cts.build.errors import RunError
from cts.build.hidden import Hidden
from tests.build.stores import CONSUL_TOKEN, VAULT_TOKEN, Stores, storing
from tests.build.test_secrets import CONSUL, FACTS, KV2, TASK, value, values
from tests.certificates import authority, pair

OTHER = "vault.example.com"
WITHOUT_CA = "certificate verify failed"


@dataclass
class Place:
    """`plain` has the stack's secrets; `tls` is Vault and Consul."""

    ca: Path
    tls: Stores
    plain: Stores
    folder: Path

    def read(self, vault: Mapping[str, Any] | None = None, text: str = KV2, **facts: Any) -> str:
        settings = {"address": self.tls.url, **(vault or {})}
        more = {"consul_address": self.tls.url, **facts}
        found = values(self.plain, self.folder / "own", vault=settings, **more)
        return value(found, text)


@contextmanager
def serving(
    folder: Path, monkeypatch: pytest.MonkeyPatch, *, host: str = "", demands: bool = False
) -> Iterator[Place]:
    """`demands`: the server only answers clients with a certificate of the same CA."""
    monkeypatch.setattr(asking, "PAUSE", 0.001)
    ca = authority(folder, host)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(ca.with_name("server.pem"))
    if demands:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(ca)
    with storing(context) as tls, storing() as plain:
        monkeypatch.setenv("AWS_ENDPOINT_URL", plain.url)
        tls.vault["kv2/data/fw"] = {"data": {"pw": "of-vault"}}
        tls.kv["fw/pw"] = "of-consul"
        plain.secrets[TASK] = json.dumps({"VAULT_TOKEN": VAULT_TOKEN})
        plain.secrets[CONSUL] = CONSUL_TOKEN
        yield Place(ca, tls, plain, folder)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    with serving(tmp_path, monkeypatch) as place:
        yield place


def test_a_private_authority_is_trusted_once_it_is_named(place: Place) -> None:
    assert place.read({"ca_cert": place.ca.read_text()}) == "of-vault"
    with pytest.raises(RunError, match=WITHOUT_CA) as error:
        place.read()
    assert error.value.retryable


def test_no_token_is_sent_to_a_server_that_is_not_trusted(place: Place) -> None:
    with pytest.raises(RunError, match=WITHOUT_CA):
        place.read({"ca_cert": authority(place.folder).read_text()})
    assert place.tls.seen == []


def test_a_server_is_not_checked_where_that_is_asked_for(place: Place) -> None:
    assert place.read({"verify": "false"}) == "of-vault"
    assert place.read({"verify": "false", "ca_cert": place.ca.read_text()}) == "of-vault"


def test_a_server_may_have_a_certificate_for_another_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving(tmp_path, monkeypatch, host=OTHER) as place:
        trusted = {"ca_cert": place.ca.read_text()}
        assert place.read({**trusted, "server_name": OTHER}) == "of-vault"
        for name in ("", "other.example.com"):
            with pytest.raises(RunError, match="not valid for"):
                place.read({**trusted, "server_name": name})


@pytest.fixture
def strict(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    with serving(tmp_path, monkeypatch, demands=True) as place:
        yield place


def test_a_client_shows_its_certificate_whose_key_is_in_the_task_secret(strict: Place) -> None:
    certificate, key = pair(strict.ca)
    secret = {"VAULT_TOKEN": VAULT_TOKEN, "VAULT_CLIENT_KEY_PEM": key}
    strict.plain.secrets[TASK] = json.dumps(secret)
    given = {"ca_cert": strict.ca.read_text(), "cert": certificate}
    assert strict.read(given) == "of-vault"
    assert (strict.folder / "own/vault-key.pem").stat().st_mode & 0o777 == 0o600
    with pytest.raises(RunError):
        strict.read({"ca_cert": strict.ca.read_text()})


def test_token_and_key_may_be_anywhere(strict: Place) -> None:
    certificate, key = pair(strict.ca)
    strict.plain.parameters["/vault/key"] = key
    strict.plain.secrets["vault"] = json.dumps({"token": VAULT_TOKEN})
    given = {
        "ca_cert": strict.ca.read_text(),
        "cert": certificate,
        "key": "{{resolve:ssm:/vault/key}}",
        "token": "{{resolve:secretsmanager:vault:SecretString:token}}",
    }
    del strict.plain.secrets[TASK]
    assert strict.read(given) == "of-vault"


def test_what_reaches_vault_is_hidden(strict: Place) -> None:
    certificate, key = pair(strict.ca)
    strict.plain.secrets[TASK] = json.dumps(
        {"VAULT_TOKEN": VAULT_TOKEN, "VAULT_CLIENT_KEY_PEM": key}
    )
    hidden = Hidden()
    settings = {
        "address": strict.tls.url, "ca_cert": strict.ca.read_text(), "cert": certificate
    }  # fmt: skip
    assert value(values(strict.plain, strict.folder, hidden, vault=settings), KV2) == "of-vault"
    assert hidden(VAULT_TOKEN) == "***"
    assert all(line not in hidden(key) for line in key.splitlines()[1:-1])


@pytest.mark.parametrize(
    "broken",
    [{"ca_cert": "no certificate"}, {"cert": "no certificate"}],
    ids=lambda broken: next(iter(broken)),
)
def test_certificates_that_are_none_fail_for_good_without_being_shown(
    place: Place, broken: dict[str, str]
) -> None:
    place.plain.secrets[TASK] = json.dumps(
        {"VAULT_TOKEN": VAULT_TOKEN, "VAULT_CLIENT_KEY_PEM": "c4nary"}
    )
    with pytest.raises(RunError, match="for Vault: each must be PEM text") as error:
        place.read({"ca_cert": place.ca.read_text(), **broken})
    assert not error.value.retryable
    assert "c4nary" not in str(error.value)


def test_a_certificate_without_its_key_names_what_is_missing(place: Place) -> None:
    with pytest.raises(RunError, match="`cts secret set VAULT_CLIENT_KEY_PEM`") as error:
        place.read({"cert": pair(place.ca)[0], "ca_cert": place.ca.read_text()})
    assert not error.value.retryable


@pytest.mark.parametrize(
    "names", [("cert", "key"), ("CONSUL_CLIENT_CERT_PEM", "CONSUL_CLIENT_KEY_PEM")]
)
def test_consul_is_reached_with_the_stacks_certificates(
    strict: Place, names: tuple[str, str]
) -> None:
    arn = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:ca"
    strict.plain.secrets[arn] = strict.ca.read_text()
    strict.plain.secrets[CONSUL] = json.dumps(
        {"token": CONSUL_TOKEN, **dict(zip(names, pair(strict.ca), strict=True))}
    )
    assert FACTS.consul_ca_arn == ""
    assert strict.read(text='{{ key "fw/pw" }}', consul_ca_arn=arn) == "of-consul"
    with pytest.raises(RunError, match=WITHOUT_CA):
        strict.read(text='{{ key "fw/pw" }}')
