"""The version of Terraform that a configuration asks for, and that a module requires."""

import pytest

from cts.config.compile import Result, compile_bundle
from cts.terraform.definition import Definition

SERVICES = 'variable "services" {}\n'


def task(inner: str = "", top: str = "", name: str = "web") -> str:
    condition = 'condition "services" { names = ["web"] }'
    return f'{top}\ntask {{\n name = "{name}"\n module = "./m"\n {condition}\n {inner}\n}}\n'


def result(text: str, **module: str) -> Result:
    files = {f"m/{name.replace('_tf', '.tf')}": each.encode() for name, each in module.items()}
    files |= {"c.hcl": text.encode(), "m/services.tf": SERVICES.encode()}
    return compile_bundle(files)


def definition(text: str) -> Definition:
    compiled = result(text).compiled
    assert compiled
    (found,) = compiled.definitions.values()
    return found


DRIVER = 'driver "terraform" { version = "1.5.7" }'


@pytest.mark.parametrize(
    ("text", "engine", "version"),
    [
        (task(), "", ""),
        (task(top=DRIVER), "", "1.5.7"),
        (task(top=f'{DRIVER}\nserverless {{ terraform_version = "1.6.6" }}'), "", "1.6.6"),
        (
            task(
                'serverless { terraform_version = "1.7.5" }',
                'serverless { terraform_version = "1.6.6" }',
            ),
            "",
            "1.7.5",
        ),
        (task('serverless { engine = "opentofu" }', DRIVER), "opentofu", ""),
        (
            task(
                'serverless { engine = "opentofu" }', 'serverless { terraform_version = "1.6.6" }'
            ),
            "opentofu",
            "",
        ),
        (
            task(top='serverless { engine = "opentofu" terraform_version = "1.10.10" }'),
            "opentofu",
            "1.10.10",
        ),
        (
            task('serverless { engine = "terraform" }', 'serverless { engine = "opentofu" }'),
            "",
            "",
        ),
    ],
)
def test_the_nearest_says_the_version_and_each_engine_has_its_own(
    text: str, engine: str, version: str
) -> None:
    found = definition(text)
    assert (found.engine, found.terraform_version) == (engine, version)


@pytest.mark.parametrize(
    ("inner", "problem"),
    [
        ('engine = "pulumi"', "task.web.serverless.engine: "),
        ('terraform_version = "1.9"', 'task.web.serverless.terraform_version: "1.9" is not an'),
        ('terraform_version = "0.12.31"', "Terraform 0.12.31 is too old; use 0.13.0 or newer"),
        (
            'engine = "opentofu" terraform_version = "1.5.7"',
            "OpenTofu 1.5.7 is too old; use 1.6.0 or newer",
        ),
    ],
)
def test_what_is_no_engine_or_version_is_an_error(inner: str, problem: str) -> None:
    (found,) = result(task(f"serverless {{ {inner} }}")).problems
    assert problem in str(found)


# ---- what a module requires --------------------------------------------------------------------


def required(constraint: str) -> str:
    return f'terraform {{\n  required_version = "{constraint}"\n}}\n'


@pytest.mark.parametrize(
    ("module", "expected"),
    [
        ({}, ""),
        ({"main_tf": required("~> 1.5")}, "~> 1.5"),
        (
            {"a_tf": required(">= 1.5"), "b_tf": required("< 2.0, != 1.6.0")},
            ">= 1.5, < 2.0, != 1.6.0",
        ),
        ({"a_tf": required(">= 1.5"), "a_override_tf": required("~> 1.9")}, "~> 1.9"),
        ({"a_tf.json": '{"terraform": [{"required_version": ">= 1.5"}]}'}, ">= 1.5"),
        ({"inner/a_tf": required("< 1.0")}, ""),
        ({"a_tf": required("newest")}, ""),
        ({"a_tf": "terraform {\n  required_version = local.any\n}\n"}, ""),
    ],
)
def test_it_is_what_the_module_itself_says(module: dict[str, str], expected: str) -> None:
    compiled = result(task(), **module).compiled
    assert compiled
    assert compiled.tasks["web"].required_version == expected


def test_it_runs_nothing_by_itself() -> None:
    plain, requiring = (result(task(), main_tf=each).compiled for each in ("", required("> 1")))
    assert plain
    assert requiring
    (one,), (other,) = plain.definitions.values(), requiring.definitions.values()
    assert one.module.digest != other.module.digest
    assert "required_version" not in other.to_json()


@pytest.mark.parametrize(
    ("text", "place"),
    [
        (task(top=DRIVER), "c.hcl:1:32: driver.terraform.version"),
        (
            task('serverless { terraform_version = "1.5.7" }'),
            "c.hcl:6:35: task.web.serverless.terraform_version",
        ),
    ],
)
def test_a_version_that_the_module_forbids_is_an_error_with_both_places(
    text: str, place: str
) -> None:
    (found,) = result(text, main_tf=required(">= 1.6")).problems
    assert str(found).startswith(place)
    assert "Terraform 1.5.7 is configured" in found.what
    assert "requires >= 1.6 (m/main.tf:1:1)" in found.what
    assert result(text, main_tf=required("~> 1.5.0")).problems == ()


def test_a_module_that_no_known_release_fits_is_a_warning() -> None:
    (found,) = result(task(), main_tf=required("> 1.5.7, < 1.6.0")).warnings
    assert "the module requires Terraform > 1.5.7, < 1.6.0" in found.what
    assert "TerraformVersion" in found.fix
