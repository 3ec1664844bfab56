"""What real Terraform says of a task's root module, and what reaches modules and providers."""

import json
import re
import string
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from cts.conditions.services import ServicesCondition
from cts.terraform.definition import Definition, Module, Provider
from cts.terraform.files import files
from cts.watch.snapshot import Snapshot, of
from local import tools
from tests.build import doubles
from tests.build.test_rendering import (
    FEW,
    GOLDEN,
    NASTY,
    PLACE,
    TEXTS,
    VALUES,
    a_row,
    expected,
    normal,
    read,
    terraform,
)
from tests.unit.test_terraform_files import FILES, PARAMETER

WEB = ServicesCondition(("web",))
BUILTIN = {"terraform": {"source": "terraform.io/builtin/terraform"}}
BEFORE_EPHEMERAL = replace(PLACE, terraform_version="1.9.8")
"""Such values can't be shown."""
SOURCE = re.compile(r'^(module "[^"]+" \{\n  source +=) .*(\n  version .*)?$', re.MULTILINE)
PROVIDER = re.compile(r'^provider "(.+)" \{$', re.MULTILINE)
PASSED = re.compile(r"^  ([\w-]+) += var\.\1$", re.MULTILINE)
KEY_REFERENCE = '{{ env "KEY" }}'
MANY = [len(NASTY) ** 2, pytest.param(10_000, marks=pytest.mark.soak)]
"""Rows of a table. The first is enough for each two of the hostile texts to meet."""
WITH_CONSTANTS = "1.15.5"
MODULE_WITH_CONSTANTS = """
variable "services" {
  type  = any
  const = true
}
variable "zone" {
  type  = string
  const = true
}
variable "rack" { type = string }
module "inner" { source = "./${var.zone}" }
output "of" { value = module.inner.of }
"""
MODULE_OF_FILES = """
terraform {
  required_providers {
    files = { source = "example.com/test/files" }
  }
}
resource "files_object" "one" {
  name    = "one"
  content = var.content
}
"""


def unpacked(folder: Path, made: dict[str, str], module: str = "") -> None:
    """The files of a run whose module is in the folder `m`, with its state beside it."""
    for name, text in made.items():
        (folder / name).write_text(text)
    root = SOURCE.sub(r'\1 "./m"', (folder / "main.tf").read_text())
    (folder / "main.tf").write_text(root)
    block = root[root.index("\nmodule ") :]
    inputs = "".join(f'variable "{name}" {{}}\n' for name in PASSED.findall(block))
    (folder / "m").mkdir(exist_ok=True)
    (folder / "m" / "main.tf").write_text(inputs + module)
    (folder / "backend_override.tf").write_text('terraform {\n  backend "local" {}\n}\n')


def output(name: str) -> str:
    """Its value is only in the state: to show a large one takes long."""
    return f'output "{name}" {{\n  value     = module.web.{name}\n  sensitive = true\n}}\n'


def built(definition: Definition, *rows: Any, place: Any = PLACE) -> dict[str, str]:
    stored = {view.id: of([*rows]) for view in WEB.views(None)}
    return files(definition, stored, description="", place=place, run="run-1")


@pytest.mark.parametrize("case", sorted(path.name for path in GOLDEN.iterdir()))
def test_terraform_accepts_the_files(
    case: str, tmp_path: Path, environment: dict[str, str]
) -> None:
    made = {path.name: path.read_text() for path in (GOLDEN / case).iterdir()}
    before_1_15 = {name: re.sub(r"(?m)^ +const += true\n", "", made[name]) for name in made}
    providers = PROVIDER.findall(made["main.tf"])
    module = MODULE_OF_FILES if providers == ["files"] else ""
    if providers and not module:
        module = doubles.installed(providers, made["main.tf"], tmp_path / "mirror")
        environment |= doubles.environment()
        mirror = f'filesystem_mirror {{ path = "{tmp_path}/mirror" }}'
        Path(environment["TF_CLI_CONFIG_FILE"]).write_text(
            f"provider_installation {{\n{mirror}\n}}"
        )
    unpacked(tmp_path, before_1_15, module)
    for command in (["init"], ["plan", "-input=false", "-out=plan"]):
        terraform(*command, folder=tmp_path, env=environment)


@pytest.mark.parametrize(
    ("case", "device", "tags", "labels", "content"),
    [
        (
            "test_provider",
            FILES["device"],
            FILES["tags"],
            {each["name"]: each.get("value") for each in FILES["label"]},
            PARAMETER,
        ),
        ("test_provider_without_secrets", "d", [], {"only": None}, 'say "hi" ${x}'),
    ],
    ids=["secrets", "plain"],
)
def test_a_provider_gets_what_its_block_says(
    case: str,
    device: str,
    tags: list[str],
    labels: dict[str, Any],
    content: str,
    tmp_path: Path,
    environment: dict[str, str],
) -> None:
    """References are looked up by builds: here they are texts."""
    made = {path.name: path.read_text() for path in (GOLDEN / case).iterdir()}
    unpacked(tmp_path, made, MODULE_OF_FILES)
    for command in (("init",), ("plan", "-out=plan"), ("apply", "plan")):
        terraform(*command, folder=tmp_path, env=environment)
    [file] = (tmp_path / device).glob("*.json")
    noted = json.loads(file.read_text())
    assert (noted["tags"], noted["labels"], noted["content"]) == (tags, labels, content)


@pytest.mark.slow
def test_a_constant_names_a_module(tmp_path: Path, environment: dict[str, str]) -> None:
    """Which `init` wants to know."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/terraform").symlink_to(tools.terraform_release(WITH_CONSTANTS))
    environment["PATH"] = f"{tmp_path}/bin:{environment['PATH']}"
    unpacked(tmp_path, {path.name: path.read_text() for path in (GOLDEN / "constants").iterdir()})
    (tmp_path / "m" / "dmz").mkdir()
    (tmp_path / "m" / "dmz" / "main.tf").write_text('output "of" { value = "inner" }\n')
    (tmp_path / "m" / "main.tf").write_text(MODULE_WITH_CONSTANTS)
    (tmp_path / "outputs.tf").write_text(output("of"))
    for command in (("init",), ("plan", "-out=plan"), ("apply", "plan")):
        terraform(*command, folder=tmp_path, env=environment)
    assert terraform("output", "-raw", "of", folder=tmp_path, env=environment) == "inner"


def test_providers_and_secrets_need_nothing_but_the_files(
    tmp_path: Path, environment: dict[str, str]
) -> None:
    """Also when a saved plan is applied: ephemeral variables must be given again."""
    definition = Definition(
        "web",
        Module("./m", digest="d"),
        WEB,
        {"zone": "{{resolve:ssm:/zone}}", "plain": "p"},
        providers=(Provider("terraform", "some", {}),),
        required_providers=BUILTIN,
    )
    with_value = Provider("terraform", arguments={"key": KEY_REFERENCE})
    made = built(definition)
    made["variables.tf"] = built(replace(definition, providers=(with_value,)))["variables.tf"]
    secrets = json.loads(made["secret.auto.tfvars.json"])
    assert secrets == {"zone": "{{resolve:ssm:/zone}}"}
    del made["providers.auto.tfvars"]
    made["secret.auto.tfvars.json"] = json.dumps({"zone": "CANARY", "terraform": {"key": "k"}})
    module = 'resource "terraform_data" "web" { input = "${var.plain}-${length(var.zone)}" }\n'
    module += 'output "made" { value = terraform_data.web.output }\n'
    unpacked(tmp_path, made, module)
    (tmp_path / "outputs.tf").write_text(output("made"))
    terraform("init", folder=tmp_path, env=environment)
    said = terraform("plan", "-out=plan", folder=tmp_path, env=environment)
    said += terraform("apply", "plan", folder=tmp_path, env=environment)
    assert terraform("output", "-raw", "made", folder=tmp_path, env=environment) == "p-6"
    assert "CANARY" not in said


@example(value={text: [text] for text in NASTY})
@given(value=st.dictionaries(st.text(string.ascii_letters, min_size=1), VALUES, max_size=12))
@FEW
def test_arguments_of_providers_arrive_unchanged(
    value: Any, tmp_path: Path, environment: dict[str, str]
) -> None:
    """In both files: with the reference the build would write it anew, as JSON."""
    for more in ({}, {"reference": KEY_REFERENCE}):
        arguments = {**value, **more}
        provider = Provider("terraform", arguments=arguments)
        definition = Definition("web", Module("./m"), WEB, providers=(provider,))
        made = built(definition, place=BEFORE_EPHEMERAL)
        for name in ("variables.tf", "providers.auto.tfvars", "secret.auto.tfvars.json"):
            (tmp_path / name).unlink(missing_ok=True)
            if name in made:
                (tmp_path / name).write_text(made[name])
        assert read("terraform", tmp_path, environment, nonsensitive=True) == normal(arguments)


@example(texts=NASTY)
@given(texts=st.lists(TEXTS, min_size=1, max_size=40))
@FEW
def test_variables_with_references_arrive_unchanged(
    texts: list[str], tmp_path: Path, environment: dict[str, str]
) -> None:
    value = {"//": "{{resolve:ssm:/a}}", **{text: [text, {text: text}] for text in texts}}
    definition = Definition("web", Module("./m"), WEB, {"x": value, "y": 1})
    made = built(definition)
    for name in ("variables.module.tf", "secret.auto.tfvars.json", "variables.auto.tfvars"):
        (tmp_path / name).write_text(made[name])
    assert read("x", tmp_path, environment, nonsensitive=True) == normal(value)


def test_options_of_a_backend_with_references_reach_init_unchanged(
    tmp_path: Path, environment: dict[str, str]
) -> None:
    definition = Definition(
        "web", Module("./m"), WEB, backend={"local": {"path": KEY_REFERENCE, "workspace_dir": "w"}}
    )
    made = built(definition)
    assert json.loads(made["secret.backend.json"]) == {"path": KEY_REFERENCE}
    (tmp_path / "main.tf").write_text(made["main.tf"].partition("\nmodule ")[0])
    path = 'a "${b}%{if}$${c}.tfstate'
    (tmp_path / "secret.backend.json").write_text(json.dumps({"path": path}))
    secrets = "-backend-config=secret.backend.json"
    terraform("init", secrets, folder=tmp_path, env=environment)
    used = json.loads((tmp_path / ".terraform" / "terraform.tfstate").read_text())["backend"]
    assert (used["config"]["path"], used["config"]["workspace_dir"]) == (path, "w")


@pytest.mark.slow
@pytest.mark.parametrize("many", MANY)
def test_a_large_table_of_hostile_values_comes_back_through_outputs(
    many: int, tmp_path: Path, environment: dict[str, str]
) -> None:
    rows = [
        {**a_row(NASTY[n % len(NASTY)]), "id": f"{n}-{NASTY[n // len(NASTY) % len(NASTY)]}"}
        for n in range(many)
    ]
    stored = Snapshot(json.dumps(rows).encode(), "digest")
    definition = Definition("web", Module("./m", digest="d"), WEB)
    made = files(
        definition,
        {view.id: stored for view in WEB.views(None)},
        description="",
        place=PLACE,
        run="run-1",
    )
    unpacked(tmp_path, made, 'output "services" { value = var.services }\n')
    (tmp_path / "outputs.tf").write_text(output("services"))
    terraform("init", folder=tmp_path, env=environment)
    terraform("apply", "-auto-approve", folder=tmp_path, env=environment)
    state = json.loads((tmp_path / "terraform.tfstate").read_text())
    assert state["outputs"]["services"]["value"] == expected(rows)
