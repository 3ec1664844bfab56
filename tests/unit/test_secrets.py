"""What reaches Consul, read from AWS: the token, and who may have signed its certificate."""

import asyncio
import ssl
import time
import traceback
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

import certifi
import pytest
from botocore.exceptions import ClientError

from cts.adapters.certificates import HcpCa
from cts.adapters.latest import RETRY
from cts.adapters.secrets import KEPT, ConsulCa, ConsulToken, HcpToken
from cts.errors import Refused, Unavailable, Upstream

if TYPE_CHECKING:
    from mypy_boto3_secretsmanager import SecretsManagerClient
    from mypy_boto3_ssm import SSMClient

GIVEN, OWN = "arn:aws:secretsmanager:r:1:secret:given", "arn:aws:secretsmanager:r:1:secret:own"
PARAMETER = "arn:aws:ssm:r:1:parameter/ca"
END = "-----END CERTIFICATE-----\n"
FIRST, SECOND = (
    text[text.index("-----BEGIN") :] + END for text in certifi.contents().split(END)[:2]
)


class Secrets:
    """Texts by ARN. A secret that is not among them has no value yet."""

    def __init__(self, *, given: Any = None, own: Any = None) -> None:
        texts = {GIVEN: given, OWN: own}
        self.texts = {arn: text for arn, text in texts.items() if text is not None}
        self.reads = 0

    def get_secret_value(self, SecretId: str) -> dict[str, Any]:  # noqa: N803
        self.reads += 1
        if SecretId not in self.texts:
            raise refused("ResourceNotFoundException")
        text = self.texts[SecretId]
        if isinstance(text, Exception):
            raise text
        kind = "SecretBinary" if isinstance(text, bytes) else "SecretString"
        return {kind: text, "VersionId": f"version {self.reads}"}

    def get_parameter(self, *, Name: str, WithDecryption: bool) -> dict[str, Any]:  # noqa: N803
        assert (Name, WithDecryption) == (PARAMETER, True)
        return {"Parameter": {"Value": self.texts[GIVEN], "Version": 7}}


def token_from(
    secrets: Secrets, given: str, now: Callable[[], float] = time.monotonic
) -> ConsulToken:
    return ConsulToken(cast("SecretsManagerClient", secrets), given, OWN, now)


def ca_from(secrets: Secrets, arn: str) -> ConsulCa:
    manager, parameters = cast("SecretsManagerClient", secrets), cast("SSMClient", secrets)
    return ConsulCa(manager, parameters, arn, "", OWN)


def refused(code: str, status: int = 400) -> ClientError:
    answer: Any = {"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return ClientError(answer, "GetSecretValue")


def token(secrets: Secrets, given: str = GIVEN) -> str:
    async def read() -> str:
        return await token_from(secrets, given)()

    return asyncio.run(read())


PLAIN = [
    pytest.param("{}", id="bare"),
    pytest.param("{}\n", id="with-a-newline"),
    pytest.param("\ufeff{}\r\n", id="with-a-byte-order-mark"),
    pytest.param("\u00a0\t {} \ufeff", id="with-white-space-around"),
]


@pytest.mark.parametrize("around", PLAIN)
def test_what_is_around_a_token_does_not_count_wherever_it_comes_from(around: str) -> None:
    text = around.replace("{}", "abc-123")
    quoted = '"' + text.replace("\n", "\\n").replace("\r", "\\r").replace("\t", "\\t") + '"'
    assert token(Secrets(given=text)) == "abc-123"
    assert token(Secrets(given=f'{{"token": {quoted}}}')) == "abc-123"
    assert token(Secrets(own=f'{{"CONSUL_HTTP_TOKEN": {quoted}}}'), "") == "abc-123"


@pytest.mark.parametrize(
    "text",
    ['{"token": "abc-123"}', ' {"token": "abc-123", "more": 1}', '\ufeff{"token": "abc-123"}'],
)
def test_the_secret_that_is_given_may_be_json_and_is_the_only_one_read(text: str) -> None:
    secrets = Secrets(given=text, own='{"CONSUL_HTTP_TOKEN": "moved"}')
    assert token(secrets) == "abc-123"
    assert secrets.reads == 1


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ('{"CONSUL_HTTP_TOKEN": "moved", "CONSUL_HTTP_PASSWORD": "x"}', "moved"),
        ('{"CONSUL_HTTP_PASSWORD": "x"}', ""),
        ("{}", ""),
        (None, ""),
    ],
)
def test_without_one_it_is_what_a_push_has_moved_to_the_stacks_own(
    text: str | None, found: str
) -> None:
    assert token(Secrets(own=text), "") == found


def test_the_version_is_that_of_the_secret_the_token_came_from() -> None:
    async def versions() -> list[str]:
        return [
            await token_from(Secrets(given="abc"), GIVEN).version(),
            await token_from(Secrets(own="{}"), "").version(),
            await token_from(Secrets(), "").version(),
        ]

    assert asyncio.run(versions()) == ["version 1", "version 1", ""]


def test_it_is_kept_for_a_while_and_read_again_when_it_was_refused() -> None:
    secrets, now = Secrets(given="old"), [100.0]

    async def main() -> None:
        ask = token_from(secrets, GIVEN, lambda: now[0])
        assert [await ask(), await ask(), await ask.version()] == ["old", "old", "version 1"]
        secrets.texts[GIVEN] = "new"
        now[0] += RETRY
        for _ in range(100):  # one for each view
            ask.forget("old")
        while await ask() != "new":
            await asyncio.sleep(0)
        ask.forget("old")  # a query that was on its way
        now[0] += RETRY
        assert await ask() == "new"
        await asyncio.gather(*asyncio.all_tasks() - {asyncio.current_task()})  # of reads
        assert secrets.reads == 2
        secrets.texts[GIVEN] = refused("InternalServiceError", 500)
        now[0] += KEPT
        assert [await ask() for _ in range(50)] == ["new"] * 50
        assert await ask.version() == "version 2"

    asyncio.run(main())


@pytest.mark.parametrize(
    ("secrets", "given", "kind", "said"),
    [
        pytest.param(
            Secrets(given=refused("AccessDeniedException")), GIVEN, Refused, "Denied", id="denied"
        ),
        pytest.param(Secrets(), GIVEN, Refused, "NotFound", id="given-without-value"),
        pytest.param(
            Secrets(own=refused("AccessDeniedException")), "", Refused, "Denied", id="own-denied"
        ),
        pytest.param(
            Secrets(given=refused("Throttling")), GIVEN, Unavailable, "Throttling", id="throttled"
        ),
        pytest.param(
            Secrets(given='{"tokn": "abc"}'),
            GIVEN,
            Refused,
            "no string field `token`",
            id="other-field",
        ),
        pytest.param(Secrets(given='{"token": 7}'), GIVEN, Refused, "`token`", id="a-number"),
        pytest.param(
            Secrets(given='{"token": "abc'), GIVEN, Refused, "must be a valid JSON", id="broken"
        ),
        pytest.param(
            Secrets(given='{"a":' * 9999), GIVEN, Refused, "must be a valid JSON", id="nested"
        ),
        pytest.param(Secrets(given=" \n"), GIVEN, Refused, "contains no token", id="empty"),
        pytest.param(Secrets(given='{"token": ""}'), GIVEN, Refused, "no token", id="json-empty"),
        pytest.param(Secrets(given=b"abc"), GIVEN, Refused, "is binary", id="binary"),
        pytest.param(Secrets(given="abc\nabd"), GIVEN, Refused, "header", id="two-lines"),
        pytest.param(Secrets(given="abc abd"), GIVEN, Refused, "header", id="two-words"),
        pytest.param(Secrets(given="abcü"), GIVEN, Refused, "header", id="an-umlaut"),
        pytest.param(Secrets(given="abc\0"), GIVEN, Refused, "header", id="a-nul"),
        pytest.param(
            Secrets(own="abc-123"), "", Refused, "must be a valid JSON object", id="own-edited"
        ),
        pytest.param(
            Secrets(own='["abc"]'), "", Refused, "must be a valid JSON object", id="own-a-list"
        ),
        pytest.param(Secrets(own=b"abc"), "", Refused, "is binary", id="own-binary"),
        pytest.param(
            Secrets(own='{"CONSUL_HTTP_TOKEN": ["abc"]}'),
            "",
            Refused,
            "must be a string",
            id="own-odd",
        ),
        pytest.param(
            Secrets(own='{"CONSUL_HTTP_TOKEN": "abc\\nd"}'), "", Refused, "header", id="own-lines"
        ),
    ],
)
def test_a_secret_that_cannot_be_used_is_named_and_not_shown(
    secrets: Secrets, given: str, kind: type[Upstream], said: str
) -> None:
    with pytest.raises(
        kind, match=f"reading the Consul token from {given or OWN}: .*{said}"
    ) as told:
        token(secrets, given)
    assert "abc" not in "".join(traceback.format_exception_only(told.value))


# ---- who may have signed Consul's certificate ---------------------------------------------------


def trusted(secrets: Secrets, arn: str) -> ssl.SSLContext:
    async def read() -> ssl.SSLContext:
        ca = ca_from(secrets, arn)
        assert await ca() is await ca()
        return await ca()

    return asyncio.run(read())


@pytest.mark.parametrize("arn", [GIVEN, PARAMETER])
@pytest.mark.parametrize(
    ("text", "count"),
    [
        (FIRST, 1),
        (f"\ufeff\n{FIRST}\n# Főtanúsítvány\n{SECOND}", 2),
        (FIRST.replace("\n", "\r\n"), 1),
    ],
)
def test_a_private_authority_replaces_the_public_ones(arn: str, text: str, count: int) -> None:
    secrets = Secrets(given=text)
    context = trusted(secrets, arn)
    assert len(context.get_ca_certs()) == count
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname
    assert secrets.reads == (2 if arn == GIVEN else 1), "one is for the client's certificate"


@pytest.mark.parametrize(("arn", "version"), [(GIVEN, "version 1"), (PARAMETER, "7"), ("", "")])
def test_the_version_of_an_authority_tells_that_it_was_replaced(arn: str, version: str) -> None:
    async def read() -> str:
        secrets = Secrets(given=FIRST)
        return await ca_from(secrets, arn).version()

    assert asyncio.run(read()) == version


def test_without_one_the_systems_authorities_are_trusted() -> None:
    context, system = trusted(Secrets(), ""), ssl.create_default_context()
    assert context.cert_store_stats() == system.cert_store_stats()
    assert context.check_hostname


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="empty"),
        pytest.param("-----BEGIN", id="cut-at-the-first-space"),
        pytest.param(FIRST[:200], id="cut-off"),
        pytest.param(FIRST + SECOND[:200], id="the-second-cut-off"),
        pytest.param(FIRST.replace("\n", "\\n"), id="escaped"),
        pytest.param(FIRST.replace("\n", " "), id="one-line"),
        pytest.param("zażółć", id="no-ascii"),
        pytest.param('{"ca": "x"}', id="json"),
        pytest.param(b"\x30\x82", id="binary"),
    ],
)
def test_what_is_no_pem_is_refused_by_its_name(text: str | bytes) -> None:
    with pytest.raises(Refused, match=f"CA certificates from {GIVEN}: "):
        trusted(Secrets(given=text), GIVEN)


# ---- the token for HCP Terraform ----------------------------------------------------------------


def hcp_token(
    secrets: Secrets, given: str = "", now: Callable[[], float] = lambda: 0.0
) -> HcpToken:
    return HcpToken(cast("SecretsManagerClient", secrets), given, OWN, now)


@pytest.mark.parametrize(
    ("given", "secrets"),
    [
        (GIVEN, Secrets(given=" t0ken\n", own='{"TFC_TOKEN": "other"}')),
        (GIVEN, Secrets(given='{"token": "t0ken"}')),
        ("", Secrets(own='{"TFC_TOKEN": "t0ken", "CONSUL_HTTP_TOKEN": "other"}')),
    ],
)
def test_the_token_for_hcp_terraform_is_found_where_consuls_would_be(
    given: str, secrets: Secrets
) -> None:
    assert hcp_token(secrets, given)() == "t0ken"


@pytest.mark.parametrize("own", [None, "{}", '{"TFC_TOKEN": ""}', '{"TFC_TOKEN": "a b"}'])
def test_without_a_usable_token_the_command_is_named_that_stores_one(own: str | None) -> None:
    with pytest.raises(Refused, match="`cts secret set TFC_TOKEN`"):
        hcp_token(Secrets(own=own))()


def test_it_is_kept_and_read_again_when_it_was_refused_or_is_old() -> None:
    times = [0.0]
    secrets = Secrets(own='{"TFC_TOKEN": "first"}')
    token = hcp_token(secrets, now=lambda: times[0])
    assert (token(), token(), secrets.reads) == ("first", "first", 1)
    secrets.texts[OWN] = '{"TFC_TOKEN": "second"}'
    token.forget()
    assert token() == "second"
    times[0] = KEPT
    token()
    assert secrets.reads == 3


def hcp_ca(secrets: Secrets, arn: str, now: Callable[[], float] = lambda: 0.0) -> HcpCa:
    manager, parameters = cast("SecretsManagerClient", secrets), cast("SSMClient", secrets)
    return HcpCa(arn, manager, parameters, now)


def test_the_cas_for_hcp_terraform_are_the_public_ones_unless_others_are_named() -> None:
    assert hcp_ca(Secrets(), "")() is None
    with pytest.raises(Refused, match=f"CA certificates for HCP Terraform from {GIVEN}: "):
        hcp_ca(Secrets(given="no certificate"), GIVEN)()


def test_they_are_read_again_after_a_while_and_stay_the_same_while_they_do() -> None:
    times, secrets = [0.0], Secrets(given=FIRST)
    ca = hcp_ca(secrets, GIVEN, lambda: times[0])
    first = ca()
    times[0] = KEPT - 1
    assert ca() is first
    assert secrets.reads == 1
    times[0] = KEPT
    assert ca() is not first, "this secret has another version each time"
    parameter = hcp_ca(secrets, PARAMETER, lambda: times[0])
    first = parameter()
    times[0] += KEPT
    assert parameter() is first
