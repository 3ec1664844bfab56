"""Secrets that stand in a configuration: found, given names, and replaced by references."""

import pytest

from cts.config.bundle import packed
from cts.config.compile import Result, compile_bundle
from cts.config.moving import moved, refused
from cts.config.rules.problem import Code

PEM = "-----BEGIN PRIVATE KEY-----\nCANARY\n-----END PRIVATE KEY-----\n"
TASK = 'task { name = "t" module = "./" condition "services" { names = ["a"] } }'
ROOT = {"main.tf": 'variable "services" {}\n'}

Texts = dict[str, str]


def bundle(files: Texts) -> dict[str, bytes]:
    return {name: text.encode() for name, text in files.items()}


def pushed(files: Texts) -> tuple[Result, dict[str, bytes]]:
    """The files as they are, checked, and what `cts push` makes of them."""
    whole = bundle(files)
    result = compile_bundle(whole)
    return result, moved(packed(whole, result.configuration), result.secrets)


def provider(inside: str) -> Texts:
    return {"a.hcl": f'terraform_provider "p" {{ {inside} }}'}


CONSUL, PROVIDER = "CONSUL_HTTP_TOKEN", "TERRAFORM_PROVIDER_P_"
MOVED = [
    pytest.param({"a.hcl": 'consul { token = "CANARY" }'}, {CONSUL: "CANARY"}, id="token"),
    pytest.param(
        {"a.hcl": 'consul { token = "CANARY" }', ".configuration": "a.hcl\r\na.hcl\n\n"},
        {CONSUL: "CANARY"},
        id="file-read-twice",
    ),
    pytest.param(
        {"a.hcl": "# é\r\nconsul { token = <<EOT\r\nCANARY\r\nEOT\r\n}"},
        {CONSUL: "CANARY\n"},
        id="heredoc",
    ),
    pytest.param(
        provider('password = "CANARY" pin = 1234 port = 443 host = "fw"'),
        {f"{PROVIDER}PASSWORD": "CANARY", f"{PROVIDER}PIN": "1234"},
        id="by-name",
    ),
    pytest.param(
        provider('tokens { prod = "CANARY" } passwords = ["CANARY", "b"]'),
        {
            f"{PROVIDER}TOKENS_PROD": "CANARY",
            f"{PROVIDER}PASSWORDS_0": "CANARY",
            f"{PROVIDER}PASSWORDS_1": "b",
        },
        id="below-a-secret-name",
    ),
    pytest.param(
        provider('url = "https://user:CANARY@host/" cert = "-----BEGIN RSA PRIVATE KEY-----"'),
        {
            f"{PROVIDER}URL": "https://user:CANARY@host/",
            f"{PROVIDER}CERT": "-----BEGIN RSA PRIVATE KEY-----",
        },
        id="by-value",
    ),
    pytest.param(
        provider('a_token_2 = "CANARY2" a-token = "CANARY1" a_token = "CANARY0"'),
        {
            f"{PROVIDER}A_TOKEN_2": "CANARY2",
            f"{PROVIDER}A_TOKEN": "CANARY1",
            f"{PROVIDER}A_TOKEN_3": "CANARY0",
        },
        id="names-that-collide",
    ),
    pytest.param(
        provider('task_env { "FW-TOKEN" = "CANARY" }'),
        {f"{PROVIDER}TASK_ENV_FW_TOKEN": "CANARY"},
        id="task-env",
    ),
    pytest.param(
        {"a.hcl": 'driver "terraform" { backend "consul" { http_auth = "u:CANARY" } }'},
        {"DRIVER_TERRAFORM_BACKEND_CONSUL_HTTP_AUTH": "u:CANARY"},
        id="backend",
    ),
    pytest.param(
        {
            "a.hcl": f'vault {{ address = "v" tls {{ key = "./key.pem" }} }}\n{TASK}',
            "key.pem": PEM,
            "terraform.tfstate": "CANARY",
            **ROOT,
        },
        {"VAULT_CLIENT_KEY_PEM": PEM},
        id="key-file-in-a-module",
    ),
    pytest.param(
        provider('credentials = "keys/sa.json"') | {"keys/sa.json": "CANARY"},
        {f"{PROVIDER}CREDENTIALS": "CANARY"},
        id="file-of-credentials",
    ),
]


@pytest.mark.parametrize(("files", "expected"), MOVED)
def test_a_secret_is_moved(files: Texts, expected: dict[str, str]) -> None:
    result, bundle_ = pushed(files)
    assert {secret.name: secret.value for secret in result.secrets} == expected
    assert not result.problems
    assert not any(b"CANARY" in content for content in bundle_.values())
    again = compile_bundle(bundle_)
    assert not again.problems
    assert not again.secrets


ENVIRONMENT = "serverless { environment { TOKEN = %s } }"
DRIVER = 'driver "terraform" { %s }'
S3 = 'backend "s3" { %s }'
IGNORED = [
    pytest.param(
        {"a.hcl": 'consul { token = "CANARY"\ntoken = "LAST" }'},
        {CONSUL: "LAST"},
        "consul.token",
        id="written-twice",
    ),
    pytest.param(
        {"a.hcl": 'consul { token = "CANARY"\ntoken = "CANARY" }'},
        {CONSUL: "CANARY"},
        "consul.token",
        id="the-same-twice",
    ),
    pytest.param(
        {"a.hcl": 'consul { token = "CANARY" }', "b.hcl": 'consul { token = "LAST" }'},
        {CONSUL: "LAST"},
        "consul.token",
        id="in-two-files",
    ),
    pytest.param(
        {"a.hcl": 'consul { token = "CANARY" }', "b.hcl": 'consul { token = "" }'},
        {},
        "consul.token",
        id="overridden-by-nothing",
    ),
    pytest.param(
        provider('token = "CANARY{{ env \\"A\\" }}CANARY"\ntoken = "LAST"'),
        {f"{PROVIDER}TOKEN": "LAST"},
        "terraform_provider.p.token",
        id="argument-twice",
    ),
    *(
        pytest.param(
            {"a.hcl": first, "b.hcl": second} if in_two else {"a.hcl": f"{first}\n{second}"},
            {"SERVERLESS_ENVIRONMENT_TOKEN": "LAST"} if "LAST" in second else {},
            "serverless.environment.TOKEN",
            id=f"variable-{second}",
        )
        for in_two, first, second in (
            (True, ENVIRONMENT % '"CANARY"', ENVIRONMENT % '"LAST"'),
            (True, ENVIRONMENT % '"CANARY"', ENVIRONMENT % '"{{ env \\"A\\" }}"'),
            (
                False,
                'serverless { environment { TOKEN = "CANARY" }',
                'environment { TOKEN = "LAST" } }',
            ),
            (False, 'serverless { environment { TOKEN = "CANARY"', 'TOKEN = "" } }'),
        )
    ),
    pytest.param(
        {"a.hcl": DRIVER % (S3 % 'secret_key = "CANARY"' + S3 % "")},
        {},
        "driver.terraform.backend.s3.secret_key",
        id="backend-twice",
    ),
    *(
        pytest.param({"a.json": text}, moved, path, id=f"json-{path}")
        for text, moved, path in (
            (
                '{"consul": {"token": "CANARY"}, "consul": {"token": "LAST"}}',
                {CONSUL: "LAST"},
                "consul.token",
            ),
            ('{"vault": {"token": "CANARY"}, "vault": {}}', {}, "vault.token"),
            (
                '{"terraform_provider": {"p": {"pin": 90817263}}, "terraform_provider": {"q": {}}}',
                {},
                "terraform_provider.p.pin",
            ),
            (
                '{"terraform_provider": {"p": {"a": {"pw": "CANARY"}, "a": {"pw": "LAST"}}}}',
                {f"{PROVIDER}A_PW": "LAST"},
                "terraform_provider.p.a.pw",
            ),
        )
    ),
]


@pytest.mark.parametrize(("files", "expected", "path"), IGNORED)
def test_a_secret_without_effect_is_left_out(
    files: Texts, expected: dict[str, str], path: str
) -> None:
    result, bundle_ = pushed(files)
    kept = {each.name: each.value for each in result.secrets if not each.is_ignored}
    assert kept == expected
    assert {each.where.path for each in result.secrets if each.is_ignored} == {path}
    assert not any(b"CANARY" in content or b"9081" in content for content in bundle_.values())
    again = compile_bundle(bundle_)
    assert not again.problems
    assert not again.secrets
    assert [each.fix for each in refused(result.secrets)].count("`cts push` leaves it out") == len(
        result.secrets
    ) - len(expected)


@pytest.mark.parametrize(
    "inside",
    [
        'token = "{{ env \\"TOKEN\\" }}"',
        'cert = "-----BEGIN PRIVATE KEY-----\\n{{ key \\"pk\\" }}"',
        'token_url = "https://host/token" token_ttl = 60 token_file = "f" use_token = true',
        'bypass = "b" disaster_recovery = "d" sasl_mechanism = "PLAIN" token_capacity = 500',
        'secret_suffix = "s" key = "path/to/state" password = ""',
    ],
)
def test_what_is_no_secret_stays(inside: str) -> None:
    result, bundle_ = pushed(provider(inside))
    assert not result.secrets
    assert bundle_ == bundle(provider(inside))


def test_a_push_that_still_holds_a_secret_is_refused_without_showing_it() -> None:
    result = compile_bundle(bundle(provider('password = "CANARY"')))
    (problem,) = refused(result.secrets)
    assert (problem.code, problem.place.line, problem.place.column) == (Code.LITERAL_SECRET, 1, 37)
    assert "CANARY" not in str(problem)


@pytest.mark.parametrize("path", ["c.pem", "./c.pem"])
def test_a_key_beside_a_certificate_is_said_and_not_packed(path: str) -> None:
    files = {"a.hcl": f'vault {{ address = "v" tls {{ cert = "{path}" }} }}', "c.pem": PEM}
    result, bundle_ = pushed(files)
    assert [problem.code for problem in result.problems] == [Code.LITERAL_SECRET]
    assert "c.pem" not in bundle_


def test_what_stays_readable_is_warned_of() -> None:
    text = """task {
      name   = "t"
      module = "git::https://u:CANARY@host/m"
      variables { db = "{ password = \\"x\\" }" }
    }"""
    result = compile_bundle(bundle({"a.hcl": text}))
    warned = [each.path for each in result.warnings if each.code is Code.LITERAL_SECRET]
    assert warned == ["task.t.module", "task.t.variables.db.password"]
    assert "CANARY" not in "".join(map(str, result.warnings))
