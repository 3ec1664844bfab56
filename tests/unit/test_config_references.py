"""References that can't be evaluated are found at the push, with their places."""

import pytest

from cts.config.compile import compile_bundle
from cts.config.rules.problem import Code
from tests.unit.secret_kinds import TASK

MODULE = 'variable "services" {}\nvariable "x" { default = 1 }\n'
BAD = {
    "unknown kind": "{{resolve:vault:a}}",
    "no name": "{{resolve:ssm:}}",
    "only a version": "{{resolve:ssm::3}}",
    "no number": "{{resolve:ssm:a:latest}}",
    "binary": "{{resolve:secretsmanager:a:SecretBinary}}",
    "spaces around": "{{ resolve:ssm:a }}",
    "space inside": "{{resolve:ssm: a}}",
    "not closed": "{{resolve:ssm:a",
    "half closed": "{{resolve:ssm:a}",
}
OPTIONS = {
    "argument": (f'{TASK}terraform_provider "p" {{\n  host = "x?"\n}}\n', "c.hcl:7"),
    "nested argument": (f'{TASK}terraform_provider "p" {{\n  a {{ b = ["?"] }}\n}}\n', "c.hcl:7"),
    "task_env": (f'{TASK}terraform_provider "p" {{\n  task_env {{ A = "?" }}\n}}\n', "c.hcl:7"),
    "backend": (
        f'{TASK}driver "terraform" {{\n  backend "pg" {{\n    schema_name = "?"\n  }}\n}}\n',
        "c.hcl:8",
    ),
    "environment": (f'{TASK}serverless {{\n  environment {{ A = "?" }}\n}}\n', "c.hcl:7"),
    "key for Git": (f'{TASK}serverless {{\n  git_ssh_key = "?"\n}}\n', "c.hcl:7"),
    "token": (f'{TASK}vault {{\n  token = "?"\n}}\n', "c.hcl:7"),
    "defaults": (f'{TASK}serverless {{\n  variables {{ x = "?" }}\n}}\n', "c.hcl:7"),
    "variables": (
        TASK.replace("condition", 'variables {\n    x = "[\\"?\\"]"\n  }\n  condition'),
        "c.hcl:5",
    ),
    "text": (TASK.replace("condition", 'description = "?"\n  condition'), "c.hcl:4"),
}


def found(files: dict[str, str]) -> list[tuple[str, Code]]:
    encoded = {name: text.encode() for name, text in {"m/main.tf": MODULE, **files}.items()}
    problems = compile_bundle(encoded).problems
    return [(f"{each.place.file}:{each.place.line}", each.code) for each in problems]


@pytest.mark.parametrize("option", OPTIONS)
@pytest.mark.parametrize("bad", BAD)
def test_a_mistake_is_found_in_any_string(option: str, bad: str) -> None:
    text, place = OPTIONS[option]
    assert found({"c.hcl": text.replace("?", BAD[bad])}) == [(place, Code.TEMPLATE)]


@pytest.mark.parametrize("option", OPTIONS)
def test_what_is_right_is_accepted_wherever_it_is_evaluated(option: str) -> None:
    text, place = OPTIONS[option]
    right = found({"c.hcl": text.replace("?", "{{resolve:ssm:a}}")})
    assert right == ([(place, Code.TEMPLATE)] if option == "text" else [])


@pytest.mark.parametrize("bad", BAD)
def test_a_mistake_is_found_in_a_variable_file(bad: str) -> None:
    task = TASK.replace("condition", 'variable_files = ["v.tfvars"]\n  condition')
    text = '# some\nx = {\n  a = ["?"]\n}\n'
    files = {"c.hcl": task, "v.tfvars": text.replace("?", BAD[bad])}
    assert found(files) == [("v.tfvars:3", Code.TEMPLATE)]


def test_what_is_right_is_accepted_in_a_variable_file() -> None:
    task = TASK.replace("condition", 'variable_files = ["v.tfvars"]\n  condition')
    text = '# some\nx = {\n  a = ["{{resolve:ssm:a}}"]\n}\n'
    assert found({"c.hcl": task, "v.tfvars": text}) == []


def test_a_mistake_that_is_written_with_escapes_is_in_its_file() -> None:
    task = TASK.replace("condition", 'variable_files = ["v.tfvars"]\n  condition')
    assert found({"c.hcl": task, "v.tfvars": 'x = "{{resolve\\u003assm:}}"\n'}) == [
        ("v.tfvars:0", Code.TEMPLATE)
    ]


@pytest.mark.parametrize(
    ("template", "said"),
    [
        ('{{ env \\"A\\" }}{{ if true }}x{{ end }}', "{{ if true }} can't be evaluated"),
        ('{{ with secret \\"a\\" }}{{ .Data.b }}', '{{ with secret "a" }} does not end'),
        ('{{ env \\"a\\\\q\\" }}', "has an unknown escape"),
    ],
)
def test_a_template_that_builds_cannot_evaluate_is_found(template: str, said: str) -> None:
    text = f'{TASK}vault {{ address = "v" }}\nterraform_provider "p" {{\n  a = "{template}"\n}}\n'
    files = {"m/main.tf": MODULE.encode(), "c.hcl": text.encode()}
    [problem] = compile_bundle(files).problems
    assert (problem.place.line, problem.code) == (8, Code.TEMPLATE)
    assert said in problem.what
