"""Providers that exist here alone: real Terraform can plan root modules that name others'."""

import platform
import re
import socket
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tf.blocks import SetNestedBlock
from tf.iface import Provider, Resource
from tf.schema import Attribute, Block, Schema
from tf.types import Bool, List, Map, Number, String

from local.provider import parent
from local.provider.mirror import PROGRAM

VERSION = "9.9.9"
SOURCE = re.compile(r'^    (\w+) += \{\n +source += "(.+)"\n +version += "(.+)"$', re.MULTILINE)
PLAIN = re.compile(r'^    (\w+) += "([\d.]+)"$', re.MULTILINE)
MACHINES = {"x86_64": "amd64", "aarch64": "arm64"}


def options(**types: Any) -> list[Attribute]:
    return [Attribute(name, type_, optional=True) for name, type_ in types.items()]


def block(name: str, **types: Any) -> SetNestedBlock:
    return SetNestedBlock(name, Block(options(**types)))


SCHEMAS = {
    "aws": Schema(
        options(region=String()), block_types=[block("default_tags", tags=Map(String()))]
    ),
    "acmefw": Schema(
        options(
            host=String(), insecure=Bool(), port=Number(), zones=List(String()),
            headers=Map(String()), matrix=List(List(Number())),
        ),
        block_types=[
            block("features"), block("route", to=String(), via=String()),
            block("timeouts", read=String(), retry=Map(Number())),
            block("auth", key=String(), n=Number()),
        ],
    ),
    "local": Schema([]),
    "panos": Schema(options(hostname=String())),
}  # fmt: skip
"""Arguments and blocks of each."""


class Thing(Resource):
    def __init__(self, provider: Provider) -> None:
        """It is only planned."""

    @classmethod
    def get_name(cls) -> str:
        return "thing"

    @classmethod
    def get_schema(cls) -> Schema:
        return Schema([Attribute("id", String(), computed=True)])

    create = read = update = delete = None


class Double(Provider):
    def __init__(self, program: Path) -> None:
        """`program`: as Terraform installs it, below a folder that has the source's name."""
        *_, self.namespace, self.name, _version, _target, _file = program.parts

    def get_model_prefix(self) -> str:
        return f"{self.name}_"

    def full_name(self) -> str:
        return f"{self.namespace}/{self.name}"

    def get_provider_schema(self, diags: Any) -> Schema:
        return SCHEMAS[self.name]

    def validate_config(self, diags: Any, config: Any) -> None:
        pass

    def configure_provider(self, diags: Any, config: Any) -> None:
        pass

    def get_data_sources(self) -> list[Any]:
        return []

    def get_resources(self) -> list[type[Resource]]:
        return [Thing]


def environment() -> dict[str, str]:
    """What Terraform needs to start them."""
    return parent.environment(__name__)


def installed(names: Iterable[str], main: str, mirror: Path) -> str:
    """Puts them into a mirror, with the sources and versions that `main` requires. Returns a module
    that has a resource of each."""
    required = {name: (source, version) for name, source, version in SOURCE.findall(main)}
    required |= {name: (f"hashicorp/{name}", version) for name, version in PLAIN.findall(main)}
    sources, resources = "", ""
    for name in names:
        source, version = required.get(name, (f"hashicorp/{name}", VERSION))
        target = f"linux_{MACHINES.get(platform.machine(), platform.machine())}"
        folder = mirror / "registry.terraform.io" / source / version / target
        folder.mkdir(parents=True)
        program = folder / f"terraform-provider-{name}_v{version}"
        program.write_text(f"#!{sys.executable} -IS\n{PROGRAM.read_text()}")
        program.chmod(0o755)
        sources += f'    {name} = {{ source = "{source}" }}\n'
        resources += f'resource "{name}_thing" "one" {{}}\n'
    return f"terraform {{\n  required_providers {{\n{sources}  }}\n}}\n{resources}"


if __name__ == "__main__":
    parent.serve(socket.socket(fileno=int(sys.argv[1])), Double)
