"""docs/configuration.md has every option as the code has it."""

import re
from collections.abc import Iterator
from dataclasses import Field, is_dataclass, replace
from typing import Any, get_args, get_origin

import pytest

from cts.conditions import (
    catalog_services,
    consul_kv,
    intentions,
    nodes,
    schedule,
    services_block,
)
from cts.conditions.catalog_services import CatalogServicesCondition
from cts.conditions.consul_kv import KvCondition
from cts.conditions.no_condition import NoConditionBlock
from cts.conditions.registry import condition_blocks, input_blocks
from cts.conditions.schedule import ScheduleCondition
from cts.conditions.services import ServicesCondition
from cts.config.blocks import finalize, model, terraform_blocks
from cts.config.blocks.schema import Option, Seconds, about, key_of, options_of, types_of
from cts.config.compile import compile_bundle
from cts.config.define import waits_for
from cts.config.rules import validate
from cts.config.rules.problem import Code
from cts.terraform.definition import Definition, Module, Provider
from tests.unit.documents import plain, row, rows, section, text

DOCUMENT = "docs/configuration.md"
SECTIONS: dict[Any, str] = {
    model.Configuration: "Top level",
    model.ConsulBlock: "consul",
    model.Auth: "consul.auth",
    model.ConsulTls: "consul.tls",
    model.Vault: "vault",
    model.VaultTls: "vault.tls",
    model.BufferBlock: "buffer_period",
    model.TerraformBlock: 'driver "terraform"',
    model.TerraformCloud: 'driver "terraform-cloud"',
    model.Workspaces: "workspaces",
    model.CloudTls: 'driver "terraform-cloud" tls',
    services_block.Service: "service",
    model.Task: "task",
    services_block.ServicesBlock: 'condition "services"',
    catalog_services.CatalogServicesBlock: 'condition "catalog-services"',
    consul_kv.KvBlock: 'condition "consul-kv"',
    schedule.ScheduleBlock: 'condition "schedule"',
    nodes.NodesBlock: 'condition "nodes"',
    intentions.IntentionsBlock: 'condition "intentions"',
    model.CloudWorkspace: "terraform_cloud_workspace",
    model.Serverless: "serverless",
}
WITHOUT_SECTION = {
    model.DriverBlock,  # its options are the two drivers
    services_block.ServicesInput, consul_kv.KvInput, nodes.NodesInput, intentions.IntentionsInput,
    # described by the conditions of these names
}  # fmt: skip
AS_ANOTHER = {"vault.transport"}
"""Described by `consul.transport`."""
WITHOUT_EFFECT = section(DOCUMENT, "Options without effect")
REQUIRED = {
    (model.TerraformCloud, "organization"), (services_block.Service, "name"), (model.Task, "name"),
    (model.Task, "module"), (catalog_services.CatalogServicesBlock, "regexp"),
    (consul_kv.KvBlock, "path"), (schedule.ScheduleBlock, "cron"), (consul_kv.KvInput, "path"),
}  # fmt: skip
COMPUTED = {
    (model.Syslog, "enabled"), (model.Auth, "enabled"), (model.ConsulTls, "enabled"),
    (model.Vault, "enabled"), (model.Vault, "renew_token"), (model.ApiTls, "enabled"),
    (model.BufferBlock, "enabled"), (model.BufferBlock, "min"), (model.BufferBlock, "max"),
    (services_block.Service, "id"), (model.Task, "working_dir"),
}  # fmt: skip
"""Where the default comes of other options: the code has no constant to compare with."""
WATCHED = {
    'condition "catalog-services"': CatalogServicesCondition(""),
    'condition "consul-kv"': KvCondition("web"),
    'condition "schedule"': ScheduleCondition("@daily"),
}
NOT_YET = "(#not-supported-yet)"
EXAMPLES = re.findall(r"^```hcl\n(.*?)^```$", text(DOCUMENT), re.MULTILINE | re.DOTALL)
MODULE = b"""
variable "services" {}
variable "zone" { default = "" }
variable "ports" { default = [] }
"""


def here(block: Any) -> dict[str, str]:
    """The last cell of each option's row: in most tables what is different here."""
    table = section(DOCUMENT, SECTIONS[block])
    return {name: plain(row(table, name)[-1]) for name in rows(table)}


def described(block: Any) -> "list[Field[Any]]":
    """The options that have a row in the block's own table."""
    kinds = types_of(block)
    return [
        each for each in options_of(block)
        if not about(each).unused or kinds[each.name] in SECTIONS
    ]  # fmt: skip


def known(block: Any) -> dict[str, Option]:
    return {key_of(each): about(each) for each in described(block)}


def unneeded(block: Any, path: str = "") -> Iterator[tuple[str, Any, "Field[Any]"]]:
    """Path, block and field of all that has no effect."""
    for each in options_of(block):
        own, kind = f"{path}{key_of(each)}", types_of(block)[each.name]
        kind = get_args(kind)[0] if get_origin(kind) is tuple else kind
        if kind in SECTIONS or kind is model.DriverBlock:
            yield from unneeded(kind, f"{own}.")
        elif about(each).unused:
            yield own, block, each
            if is_dataclass(kind) and own not in AS_ANOTHER:
                yield from inside(kind, f"{own}.")


def inside(kind: Any, path: str) -> Iterator[tuple[str, Any, "Field[Any]"]]:
    """The options of a block that has no effect."""
    for each in options_of(kind):
        inner = types_of(kind)[each.name]
        if is_dataclass(inner):
            yield from inside(inner, f"{path}{key_of(each)}.")
        else:
            yield f"{path}{key_of(each)}", kind, each


def written(default: Any, kind: Any) -> str:
    """A default as it stands in a table; nothing for what is empty."""
    if default in (None, "", (), {}):
        return ""
    match default:
        case bool():
            return f"`{str(default).lower()}`"
        case float() if kind is Seconds:
            return f'`"{default:g}s"`'
        case str():
            return f'`"{default}"`'
    return f"`{default}`"


UNNEEDED = {path: (block, each) for path, block, each in unneeded(model.Configuration)}


def default(block: Any, each: "Field[Any]") -> str | None:
    """What the default's cell must be; None where it can be any words."""
    if (block, key_of(each)) in REQUIRED:
        return "required"
    if (block, key_of(each)) in COMPUTED:
        return None
    return written(about(each).default, types_of(block)[each.name])


def test_each_block_is_described() -> None:
    blocks = {each for each in vars(model).values() if is_dataclass(each) and options_of(each)}
    blocks |= {*condition_blocks().values(), *input_blocks().values()} - {NoConditionBlock}
    unneeded_blocks = {block for block, _ in UNNEEDED.values()} - SECTIONS.keys()
    outer = {model.HighAvailability, model.Cluster, model.Storage, model.Tls}
    assert blocks - WITHOUT_SECTION - unneeded_blocks - outer == SECTIONS.keys()


def test_each_option_without_effect_has_a_row() -> None:
    assert sorted(rows(WITHOUT_EFFECT)) == sorted(UNNEEDED)


@pytest.mark.parametrize("path", UNNEEDED)
def test_an_option_without_effect_has_its_default(path: str) -> None:
    cell = row(WITHOUT_EFFECT, path)[1]
    expected = default(*UNNEEDED[path])
    assert cell if expected is None else cell == expected


@pytest.mark.parametrize(
    "path", [path for path, (_, each) in UNNEEDED.items() if about(each).unused]
)
def test_an_option_without_effect_says_why(path: str) -> None:
    assert row(WITHOUT_EFFECT, path)[2]


@pytest.mark.parametrize("block", SECTIONS, ids=SECTIONS.get)
class TestBlock:
    def test_has_a_row_for_each_option(self, block: Any) -> None:
        assert list(here(block)) == list(known(block))

    def test_has_the_default_of_each_option(self, block: Any) -> None:
        table = section(DOCUMENT, SECTIONS[block])
        for each in described(block):
            cell, expected = row(table, key_of(each))[1], default(block, each)
            assert cell if expected is None else cell == expected, key_of(each)

    def test_says_what_is_deprecated_and_what_to_write_instead(self, block: Any) -> None:
        said = {name: cell for name, cell in here(block).items() if "eprecated: " in cell}
        instead = {name: option.instead for name, option in known(block).items() if option.instead}
        assert said.keys() == instead.keys()
        assert not [name for name, successor in instead.items() if successor not in said[name]]

    def test_says_which_secrets_are_moved_and_to_what_name(self, block: Any) -> None:
        said = {name: cell for name, cell in here(block).items() if "moved to" in cell}
        names = {name: option.name for name, option in known(block).items() if option.secret}
        assert said.keys() == names.keys()
        assert not [name for name, kept in names.items() if f"moved to {kept}" not in said[name]]


def test_each_secret_has_a_row() -> None:
    table = section(DOCUMENT, "Secrets")
    secrets = [each for block in SECTIONS for each in known(block).values() if each.secret]
    described = [(name, row(table, name)[-1]) for name in rows(table)]
    assert described == [(each.name, each.secret) for each in secrets]


def test_a_provider_has_a_row_for_each_reserved_name() -> None:
    assert rows(section(DOCUMENT, "terraform_provider")) == list(terraform_blocks.RESERVED)


def test_each_backend_has_a_row() -> None:
    assert rows(section(DOCUMENT, "backend")) == list(validate.BACKENDS)


def test_each_condition_has_a_row() -> None:
    assert {*rows(section(DOCUMENT, "Conditions"))} == condition_blocks().keys()


def test_each_variable_that_cts_falls_back_to_is_named() -> None:
    variables = [*finalize.CONSUL_TLS.values(), *finalize.VAULT_TLS.values()]
    found = section(DOCUMENT, "Environment variables")
    assert not [name for name in [*variables, *finalize.VAULT.values()] if f"`{name}`" not in found]


@pytest.mark.parametrize("example", EXAMPLES)
def test_an_example_runs_as_it_stands(example: str) -> None:
    files = {"c.hcl": example.encode(), "firewall.tfvars": b"", "modules/firewall/main.tf": MODULE}
    result = compile_bundle(files)
    assert (result.problems, result.warnings) == ((), ())
    assert result.compiled
    assert [*result.compiled.tasks] == ["firewall"]


def test_each_error_code_has_a_row() -> None:
    assert rows(section(DOCUMENT, "Error codes")) == list(Code)


PLAIN = Definition("web", Module("./web"), ServicesCondition(("web",)))


@pytest.mark.parametrize(
    ("title", "needed"),
    [
        *((kind, {"condition": condition}) for kind, condition in WATCHED.items()),
        ("module_input", {"inputs": (ServicesCondition(("web",)), KvCondition("web"))}),
        ("terraform_provider", {"providers": (Provider("panos"),)}),
        ('driver "terraform-cloud"', {"cloud": {"organization": "example"}}),
    ],
)
def test_a_block_that_waits_is_said_to(title: str, needed: dict[str, Any]) -> None:
    reasons = [*waits_for(replace(PLAIN, **needed))]
    assert (NOT_YET in section(DOCUMENT, title)) == bool(reasons)
    listed = plain(section(DOCUMENT, "Not supported yet"))
    assert not [reason for reason in reasons if reason not in listed]


def test_what_waits_with_hcp_terraform_is_listed() -> None:
    needed = replace(
        PLAIN,
        cloud={"organization": "example"},
        git_ssh_key="x",
        role_arn="x",
        after_apply=("x",),
        providers=(Provider("panos", auto_commit=True),),
    )
    reasons = [*waits_for(needed)]
    listed = plain(section(DOCUMENT, "Not supported yet"))
    assert len(reasons) == 4
    assert not [reason for reason in reasons if reason.split()[0] not in listed]


@pytest.mark.parametrize("backend", validate.BACKENDS)
def test_a_backend_that_waits_is_said_to(backend: str) -> None:
    waits = backend != "local" and bool([*waits_for(replace(PLAIN, backend={backend: {}}))])
    assert ("ot yet" in row(section(DOCUMENT, "backend"), backend)[-1]) == waits
