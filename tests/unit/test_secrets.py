"""The Consul token, read when needed and kept for a while."""

import time

import pytest
from botocore.exceptions import ClientError

from cts.adapters.secrets import KEPT, ConsulToken
from cts.errors import Refused


class Secrets:
    def __init__(self, text: str) -> None:
        self.text, self.reads = text, 0

    def get_secret_value(self, SecretId: str) -> dict[str, str]:  # noqa: N803
        self.reads += 1
        if not self.text:
            raise ClientError({"Error": {"Code": "AccessDeniedException"}}, "GetSecretValue")
        return {"SecretString": self.text}


def token(secrets: Secrets, arn: str = "arn:secret") -> ConsulToken:
    return ConsulToken(lambda: secrets, arn)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("abc-123", id="bare"),
        pytest.param("abc-123\n", id="with-a-newline"),
        pytest.param('{"token": "abc-123"}', id="json"),
        pytest.param(' {"token": "abc-123", "more": 1}', id="json-with-more"),
    ],
)
def test_the_secret_is_the_bare_token_or_json(text: str) -> None:
    assert token(Secrets(text))() == "abc-123"


def test_without_a_secret_there_is_no_token_and_no_call() -> None:
    secrets = Secrets("abc")
    assert token(secrets, arn="")() == ""
    assert secrets.reads == 0


def test_it_is_kept_for_a_while_and_read_again_when_it_was_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    secrets = Secrets("old")
    ask = token(secrets)
    assert [ask(), ask()] == ["old", "old"]
    assert secrets.reads == 1
    secrets.text = "new"
    ask.forget()
    assert ask() == "new"
    now[0] += KEPT + 1
    ask()
    assert secrets.reads == 3


def test_a_secret_that_may_not_be_read_is_refused() -> None:
    with pytest.raises(Refused, match="reading the Consul token"):
        token(Secrets(""))()
