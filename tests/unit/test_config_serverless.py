"""How a task's Terraform runs: the block `serverless`, providers and backends in definitions."""

import json
from typing import Any

import pytest

from cts.config.compile import Result, compile_bundle
from cts.config.moving import moved
from cts.config.rules.problem import Problem
from cts.terraform.definition import Definition

TASK = """task {
  name   = "web"
  module = "org/web/aws"
  condition "services" { names = ["web"] }
"""
KEY = '{{ env \\"KEY\\" }}'
SECRET = "{{resolve:secretsmanager:web:SecretString:key}}"
CONSUL = {"CONSUL_HTTP_ADDR": "https://consul.example.com:8501"}


def result(text: str) -> Result:
    return compile_bundle({"c.hcl": text.encode()}, CONSUL)


def task(inside: str = "", top: str = "") -> str:
    return f"{top}\n{TASK}  {inside}\n}}\n"


def definition(inside: str = "", top: str = "") -> Definition:
    found = result(task(inside, top))
    assert (found.problems, found.secrets) == ((), ())
    assert found.compiled
    return found.compiled.definitions[found.compiled.tasks["web"].definition]


def brief(problem: Problem) -> str:
    return f"{problem.place.line}:{problem.place.column} {problem.path} [{problem.code}]"


def problems(text: str) -> list[str]:
    return [brief(each) for each in result(text).problems]


# ---- the options ------------------------------------------------------------------------------


def test_the_options_of_a_task_are_those_of_the_top_level_unless_it_has_its_own() -> None:
    top = f"""serverless {{
  environment {{ A = "top" B = "top {KEY}" }}
  git_ssh_key  = "{KEY}"
  default_tags = true
}}"""
    inherited = definition(top=top)
    assert inherited.environment == {"A": "top", "B": 'top {{ env "KEY" }}'}
    assert (inherited.git_ssh_key, inherited.default_tags) == ('{{ env "KEY" }}', True)
    own = definition(
        f"""serverless {{
  environment  = {{ B = "own", C = 5 }}
  git_ssh_key  = "{SECRET}"
  default_tags = false
  role_arn     = "arn:aws:iam::123456789012:role/teams/web"
  after_apply  = ["./notify.sh", "web"]
}}""",
        top,
    )
    assert own.environment == {"A": "top", "B": "own", "C": "5"}
    assert (own.git_ssh_key, own.default_tags) == (SECRET, False)
    assert own.role_arn == "arn:aws:iam::123456789012:role/teams/web"
    assert own.after_apply == ("./notify.sh", "web")


def test_without_them_a_definition_is_as_it_was() -> None:
    assert definition("serverless { }").digest == definition().digest
    names = ("environment", "git_ssh_key", "default_tags", "role_arn", "after_apply", "persist_log")
    assert not [name for name in names if name in definition().to_json()]


def test_a_trace_log_is_kept_if_the_driver_says_so() -> None:
    assert definition(top='driver "terraform" { persist_log = true }').persist_log


@pytest.mark.parametrize(
    ("inside", "expected"),
    [
        ('role_arn = "web"', "7:16 task.web.serverless.role_arn [invalid-value]"),
        ('after_apply = [""]', "7:19 task.web.serverless.after_apply [invalid-value]"),
        ('default_tags = "maybe"', "7:20 task.web.serverless.default_tags [wrong-type]"),
        (
            'environment { TF_VAR_x = "1" }',
            "7:30 task.web.serverless.environment.TF_VAR_x [invalid-value]",
        ),
        (
            'environment { "a=b" = "1" }',
            "7:27 task.web.serverless.environment.a=b [invalid-value]",
        ),
        ("environment { A = [1, 2] }", "7:23 task.web.serverless.environment.A [wrong-type]"),
        (
            'environment { A = "{{ with secret \\"a\\" }}{{ .b }}{{ end }}" }',
            "7:23 task.web.serverless.environment.A [vault-missing]",
        ),
        (f'variables {{ a = "{KEY}" }}', "7:21 task.web.serverless.variables.a [template]"),
    ],
)
def test_a_mistake_in_a_task(inside: str, expected: str) -> None:
    text = task(f"serverless {{\n    {inside}\n  }}")
    assert problems(text) == [expected]


@pytest.mark.parametrize("option", ["role_arn", "after_apply"])
def test_what_is_no_default(option: str) -> None:
    value = '"arn:aws:iam::123456789012:role/web"'
    text = task(top=f"serverless {{ {option} = {value} }}")
    assert problems(text) == [f"1:{len(option) + 17} serverless.{option} [invalid-value]"]


# ---- references -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        task(f'serverless {{ variables {{ password = "{SECRET}" }} }}'),
        task(f'variables {{ password = "\\"{SECRET}\\"" }}'),
        task('providers = ["p"]', f'terraform_provider "p" {{ password = "{SECRET}" }}'),
        task('providers = ["p"]', f'terraform_provider "p" {{ task_env {{ PW = "{SECRET}" }} }}'),
        task(f'serverless {{ environment {{ PASSWORD = "{SECRET}" }} }}'),
        task(f'serverless {{ git_ssh_key = "{SECRET}" }}'),
        task(top=f'driver "terraform" {{ backend "pg" {{ conn_str = "{SECRET}" }} }}'),
    ],
)
def test_a_reference_is_no_secret(text: str) -> None:
    found = result(text)
    assert (found.problems, found.warnings, found.secrets) == ((), (), ())


@pytest.mark.parametrize(
    ("text", "name"),
    [
        (
            task('serverless { environment { PASSWORD = "CANARY" } }'),
            "TASK_WEB_SERVERLESS_ENVIRONMENT_PASSWORD",
        ),
        (task('serverless { git_ssh_key = "CANARY" }'), "GIT_SSH_KEY"),
        (
            task(top=f'terraform_provider "p" {{ password = "CANARY{SECRET}" }}'),
            "TERRAFORM_PROVIDER_P_PASSWORD_TEXT",
        ),
    ],
)
def test_what_is_written_out_is_moved(text: str, name: str) -> None:
    [secret] = result(text).secrets
    assert (secret.name, secret.value) == (name, "CANARY")
    pushed = moved({"c.hcl": text.encode()}, [secret])
    assert b"CANARY" not in pushed["c.hcl"]
    assert f'{{{{ env \\"{name}\\" }}}}'.encode() in pushed["c.hcl"]
    assert compile_bundle(pushed).secrets == ()


@pytest.mark.parametrize("option", ["description", "module"])
def test_a_reference_that_nothing_looks_up_is_an_error(option: str) -> None:
    text = task().replace('"org/web/aws"', f'"{SECRET}"') if option == "module" else ""
    text = text or task(f'description = "{SECRET}"')
    assert [each.partition(" ")[2] for each in problems(text)] == [f"task.web.{option} [template]"]


RAW = "names = [1][*]\n"


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"a": RAW + f'key = "{SECRET}"\n'}, ["template"]),
        ({"a": RAW + "key = 1\n", "b": f'key = "{SECRET}"\n'}, ["variable-file"]),
        ({"a": RAW, "b": f'key = "{SECRET}"\n'}, []),
        ({"a": f'key = "{SECRET}"\n', "b": RAW + "key = 1\n"}, []),
    ],
)
def test_a_reference_beside_a_file_that_only_terraform_reads(
    files: dict[str, str], expected: list[str]
) -> None:
    text = task(f"variable_files = {json.dumps([*files])}")
    contents = {name: content.encode() for name, content in files.items()}
    found = compile_bundle({"c.hcl": text.encode(), **contents})
    assert [each.code for each in found.problems] == expected
    if not expected:
        assert found.compiled
        [made] = found.compiled.definitions.values()
        assert made.variables == {"key": SECRET}


# ---- providers and variables ------------------------------------------------------------------


def test_blocks_of_a_provider_may_be_repeated() -> None:
    top = 'terraform_provider "p" { rule { a = 1 } rule { a = 2 b { c = 3 } } lone { d = [4] } }'
    [provider] = definition('providers = ["p"]', top).providers
    rules = [{"a": 1}, {"a": 2, "b": {"c": 3}}]
    assert provider.arguments == {"rule": rules, "lone": {"d": 4}}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            task("serverless { variables { services = 1 } }"),
            "task.web.serverless.variables.services [duplicate-input]",
        ),
        (
            task('providers = ["dns.a"] variables { dns = "1" }', 'terraform_provider "dns" { }'),
            "task.web.variables.dns [duplicate-input]",
        ),
        (task('providers = ["a b"]'), "task.web.providers[0] [invalid-value]"),
        (
            task(top='terraform_provider "p" { "a.b" = 1 }'),
            "terraform_provider.p.a.b [invalid-value]",
        ),
        (
            task(top='terraform_provider "p" { task_env { TF_LOG = "1" } }'),
            "terraform_provider.p.task_env.TF_LOG [invalid-value]",
        ),
    ],
)
def test_names_that_a_root_module_can_not_have(text: str, expected: str) -> None:
    assert [each.partition(" ")[2] for each in problems(text)] == [expected]


# ---- backends ---------------------------------------------------------------------------------

PATH = {"gzip": True, "path": "consul-terraform-sync/terraform"}


@pytest.mark.parametrize(
    ("consul", "options", "expected", "is_of_stack"),
    [
        ("", "", PATH, True),
        ('kv_path = "team"', "gzip = false", {"gzip": False, "path": "team/terraform"}, True),
        ("tls { enabled = true }", "", PATH, True),
        ('address = "c:1"', "", PATH, True),
        ('address = "c:1"', 'address = "c:1"', PATH, True),
        ("", 'address = "other:1"', {**PATH, "address": "other:1"}, False),
    ],
)
def test_a_backend_in_consul(
    consul: str, options: str, expected: dict[str, Any], is_of_stack: bool
) -> None:
    """The stack's address and connection are no part of a task: they may change."""
    top = f'consul {{ {consul} }}\ndriver "terraform" {{ backend "consul" {{ {options} }} }}'
    found = definition(top=top)
    assert found.backend == {"consul": expected}
    assert found.has_state_in_consul == is_of_stack


def test_a_backend_needs_vault_too() -> None:
    text = '{{ with secret \\"db\\" }}{{ .Data.data.url }}{{ end }}'
    top = f"""vault {{ address = "https://vault.example:8200" namespace = "net" }}
driver "terraform" {{ backend "pg" {{ conn_str = "{text}" }} }}"""
    assert definition(top=top).vault == {
        "address": "https://vault.example:8200",
        "namespace": "net",
    }
