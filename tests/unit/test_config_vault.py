"""What builds get of a `vault` block."""

from typing import Any

import pytest

from cts.config import limits
from cts.config.compile import compile_bundle
from cts.config.rules.problem import Code
from tests.unit.secret_kinds import TASK

ASKS = 'terraform_provider "p" { x = "{{ with secret \\"a\\" }}{{ .Data.b }}{{ end }}" }'
USES = TASK.replace("condition", 'providers = ["p"]\n  condition')
FILES = {
    "certs/ca.pem": "-----CA-----",
    "folder/b.pem": "-----B-----",
    "folder/a.pem": "-----A-----",
    "certs/client.pem": "-----CLIENT-----",
    "m/main.tf": 'variable "services" {}\n',
}
ADDRESS = "https://vault.example:8200"


def compiled(vault: str, task: str = USES) -> Any:
    text = f'{task}{ASKS}\nvault {{\naddress = "{ADDRESS}"\n{vault}\n}}\n'
    files = {**FILES, "a.hcl": text}
    return compile_bundle({name: body.encode() for name, body in files.items()})


def given(vault: str, task: str = USES) -> dict[str, str]:
    result = compiled(vault, task)
    assert not result.problems
    [definition] = result.compiled.definitions.values()
    return dict(definition.vault)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ("", {}),
        ("tls { }", {}),
        ('tls { ca_cert = "certs/ca.pem" }', {"ca_cert": "-----CA-----"}),
        ('tls { ca_path = "folder" }', {"ca_cert": "-----A-----\n-----B-----"}),
        ('tls { ca_path = "folder" ca_cert = "certs/ca.pem" }', {"ca_cert": "-----CA-----"}),
        ('tls { cert = "./certs/client.pem" }', {"cert": "-----CLIENT-----"}),
        ('tls { verify = false server_name = "v" }', {"verify": "false", "server_name": "v"}),
        ('tls { enabled = false ca_cert = "certs/ca.pem" verify = false }', {}),
        ('token = "{{ env \\"VAULT_TOKEN\\" }}"', {}),
        ('token = "{{ env \\"OTHER\\" }}"', {"token": '{{ env "OTHER" }}'}),
        ('tls { key = "{{ env \\"VAULT_CLIENT_KEY_PEM\\" }}" }', {}),
        ('tls { key = "{{resolve:ssm:/key}}" }', {"key": "{{resolve:ssm:/key}}"}),
        ('tls { enabled = false key = "{{resolve:ssm:/key}}" }', {}),
        ("unwrap_token = true", {"unwrap_token": "true"}),
    ],
)
def test_builds_get_what_is_set(options: str, expected: dict[str, str]) -> None:
    assert given(options) == {"address": ADDRESS, "namespace": "", **expected}


def test_a_task_without_a_secret_of_vault_gets_nothing() -> None:
    assert given('tls { ca_cert = "certs/ca.pem" }', TASK) == {}


def test_certificates_are_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each task that needs Vault has them in its definition."""
    options = 'tls { ca_path = "folder" cert = "certs/client.pem" }'
    size = sum(len(FILES[name]) for name in ("folder/a.pem", "folder/b.pem", "certs/client.pem"))
    monkeypatch.setattr(limits, "LARGEST_CERTIFICATES", size)
    assert not compiled(options).problems
    monkeypatch.setattr(limits, "LARGEST_CERTIFICATES", size - 1)
    assert [each.code for each in compiled(options).problems] == [Code.OVER_LIMIT]


@pytest.mark.parametrize("option", ['token = "{}"', 'tls {{ key = "{}" }}'])
def test_what_reaches_vault_is_not_in_it(option: str) -> None:
    text = '{{ with secret \\"a\\" }}{{ .Data.b }}{{ end }}'
    [problem] = compiled(option.format(text)).problems
    assert problem.code is Code.TEMPLATE
    assert "it is needed to reach Vault" in problem.what
