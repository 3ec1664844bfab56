"""The Consul token, read when needed and kept for a while."""

import time

import pytest
from botocore.exceptions import ClientError

from cts.adapters.secrets import KEPT, ConsulToken
from cts.errors import Refused

GIVEN, OWN = "arn:given", "arn:own"


class Secrets:
    """Texts by ARN. A secret that is not among them has no value yet."""

    def __init__(self, **texts: str) -> None:
        self.texts = {f"arn:{name}": text for name, text in texts.items()}
        self.reads = 0

    def get_secret_value(self, SecretId: str) -> dict[str, str]:  # noqa: N803
        self.reads += 1
        if SecretId not in self.texts:
            raise refused("ResourceNotFoundException")
        if self.texts[SecretId] == "denied":
            raise refused("AccessDeniedException")
        return {"SecretString": self.texts[SecretId]}


def refused(code: str) -> ClientError:
    return ClientError({"Error": {"Code": code}}, "GetSecretValue")


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("abc-123", id="bare"),
        pytest.param("abc-123\n", id="with-a-newline"),
        pytest.param('{"token": "abc-123"}', id="json"),
        pytest.param(' {"token": "abc-123", "more": 1}', id="json-with-more"),
    ],
)
def test_the_secret_that_is_given_is_the_bare_token_or_json(text: str) -> None:
    secrets = Secrets(given=text, own='{"CONSUL_HTTP_TOKEN": "moved"}')
    assert ConsulToken(secrets, GIVEN, OWN)() == "abc-123"
    assert secrets.reads == 1


@pytest.mark.parametrize(
    ("text", "token"),
    [
        ('{"CONSUL_HTTP_TOKEN": "moved", "CONSUL_HTTP_PASSWORD": "x"}', "moved"),
        ('{"CONSUL_HTTP_PASSWORD": "x"}', ""),
        ("{}", ""),
        ("", ""),
    ],
)
def test_without_one_it_is_what_a_push_has_moved_to_the_stacks_own(text: str, token: str) -> None:
    assert ConsulToken(Secrets(own=text), "", OWN)() == token


def test_before_anything_was_moved_there_is_no_token() -> None:
    secrets = Secrets()
    ask = ConsulToken(secrets, "", OWN)
    assert [ask(), ask()] == ["", ""]
    assert secrets.reads == 1


def test_it_is_kept_for_a_while_and_read_again_when_it_was_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    secrets = Secrets(given="old")
    ask = ConsulToken(secrets, GIVEN, OWN)
    assert [ask(), ask()] == ["old", "old"]
    assert secrets.reads == 1
    secrets.texts[GIVEN] = "new"
    ask.forget()
    assert ask() == "new"
    now[0] += KEPT + 1
    ask()
    assert secrets.reads == 3


@pytest.mark.parametrize(
    ("secrets", "given", "said"),
    [
        pytest.param(Secrets(given="denied"), GIVEN, "reading the Consul token", id="denied"),
        pytest.param(Secrets(), GIVEN, "reading the Consul token", id="given-without-value"),
        pytest.param(Secrets(given='{"tokn": "x"}'), GIVEN, "no field `token`", id="other-field"),
        pytest.param(Secrets(given='{"token": '), GIVEN, "not the JSON object", id="broken"),
        pytest.param(Secrets(own="denied"), "", "reading the Consul token", id="own-denied"),
        pytest.param(Secrets(own="abc-123"), "", "not the JSON object", id="own-edited"),
        pytest.param(Secrets(own='["abc"]'), "", "not the JSON object", id="own-a-list"),
    ],
)
def test_a_secret_that_cannot_be_used_is_refused(secrets: Secrets, given: str, said: str) -> None:
    with pytest.raises(Refused, match=said) as told:
        ConsulToken(secrets, given, OWN)()
    assert "abc" not in str(told.value)
