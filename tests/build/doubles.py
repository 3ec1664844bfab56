"""Providers that exist here alone: real Terraform can plan root modules that name others'."""

import platform
import re
import sys
from collections.abc import Iterable
from pathlib import Path

VERSION = "9.9.9"
SOURCE = re.compile(r'^    (\w+) += \{\n +source += "(.+)"\n +version += "(.+)"$', re.MULTILINE)
PLAIN = re.compile(r'^    (\w+) += "([\d.]+)"$', re.MULTILINE)
MACHINES = {"x86_64": "amd64", "aarch64": "arm64"}
SCHEMAS = {
    "aws": "options(region=String()), [block('default_tags', tags=Map(String()))]",
    "acmefw": """
        options(
            host=String(), insecure=Bool(), port=Number(), zones=List(String()),
            headers=Map(String()), matrix=List(List(Number())),
        ),
        [
            block('features'), block('route', to=String(), via=String()),
            block('timeouts', read=String(), retry=Map(Number())),
            block('auth', key=String(), n=Number()),
        ],
    """,
    "local": "[], []",
    "panos": "options(hostname=String()), []",
}
"""Arguments and blocks of each, as its program takes them."""
PROGRAM = """#!{python} -I
import os
import tempfile

from tf import runner
from tf.blocks import SetNestedBlock
from tf.iface import Provider, Resource
from tf.schema import Attribute, Block, Schema
from tf.types import Bool, List, Map, Number, String


def options(**types):
    return [Attribute(name, type_, optional=True) for name, type_ in types.items()]


def block(name, **types):
    return SetNestedBlock(name, Block(options(**types)))


def schema(attributes, blocks):
    return Schema(attributes, block_types=blocks)


class Thing(Resource):
    def __init__(self, provider):
        pass

    @classmethod
    def get_name(cls):
        return "thing"

    @classmethod
    def get_schema(cls):
        return Schema([Attribute("id", String(), computed=True)])

    create = read = update = delete = None


class Double(Provider):
    def get_model_prefix(self):
        return "{name}_"

    def full_name(self):
        return "{source}"

    def get_provider_schema(self, diags):
        return schema({schema})

    def validate_config(self, diags, config):
        pass

    def configure_provider(self, diags, config):
        pass

    def get_data_sources(self):
        return []

    def get_resources(self):
        return [Thing]


# A socket's path may have 107 characters.
folder = os.open(tempfile.gettempdir(), os.O_DIRECTORY)
tempfile.tempdir = f"/proc/{{os.getpid()}}/fd/{{folder}}"
runner.run_provider(Double())
"""


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
        schema = SCHEMAS[name].strip()
        text = PROGRAM.format(python=sys.executable, name=name, source=source, schema=schema)
        program.write_text(text)
        program.chmod(0o755)
        sources += f'    {name} = {{ source = "{source}" }}\n'
        resources += f'resource "{name}_thing" "one" {{}}\n'
    return f"terraform {{\n  required_providers {{\n{sources}  }}\n}}\n{resources}"
