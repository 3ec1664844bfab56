"""The test provider `files`: a folder stands for a device, a file for an object on it.

`mirror.py` lets Terraform install it, and `parent.py` serves it.

Arguments: `device`: the folder, relative to FILES_ROOT if that is set; made if it is missing ·
`token`: must be what the folder's file `.token` holds, if it has one · `delay`: seconds that each
change takes, half of them before and half after the file is written · `tags` and blocks `label`
(`name`, `value`): noted in each file that is written.

A `files_object` has a `name` (another one makes another object), `content`, and `id`: its file is
`<id>.json`. IDs are random, so that no run takes over what a killed one left behind.
"""

from __future__ import annotations

import json
import os
import time
import uuid
from pathlib import Path
from typing import Any

from tf.blocks import SetNestedBlock
from tf.iface import Provider, Resource
from tf.schema import Attribute, Block, Schema
from tf.types import List, Number, String

Values = dict[str, Any]
LABEL = Block([Attribute("name", String(), required=True), Attribute("value", String())])


def provider(program: Path) -> FilesProvider:
    """That of the version in the name of a program, such as `terraform-provider-files_v1.1.0`."""
    return FilesProvider(program.name.rpartition("_v")[2])


class FilesProvider(Provider):
    def __init__(self, version: str) -> None:
        self.version = version

    def get_model_prefix(self) -> str:
        return "files_"

    def full_name(self) -> str:
        return "example.com/test/files"

    def get_provider_schema(self, diags: Any) -> Schema:
        return Schema(
            [
                Attribute("device", String(), required=True),
                Attribute("token", String(), optional=True, sensitive=True),
                Attribute("delay", Number(), optional=True),
                Attribute("tags", List(String()), optional=True),
            ],
            block_types=[SetNestedBlock("label", LABEL)],
        )

    def validate_config(self, diags: Any, config: Values) -> None:
        pass

    def configure_provider(self, diags: Any, config: Values) -> None:
        self.folder = Path(os.environ.get("FILES_ROOT", ""), config["device"])
        self.folder.mkdir(parents=True, exist_ok=True)
        asked = self.folder / ".token"
        if asked.exists() and asked.read_text().strip() != config["token"]:
            # Many providers show secrets in their errors.
            diags.add_error(f"{self.folder} refuses the token {config['token']}.", path=["token"])
        self.half_delay = float(config["delay"] or 0) / 2
        labels = {each["name"]: each["value"] for each in config["label"]}
        self.noted = {"provider": self.version, "tags": config["tags"] or [], "labels": labels}

    def get_data_sources(self) -> list[Any]:
        return []

    def get_resources(self) -> list[type[Resource]]:
        return [FilesObject]


class FilesObject(Resource):
    def __init__(self, provider: FilesProvider) -> None:
        self.provider = provider

    @classmethod
    def get_name(cls) -> str:
        return "object"

    @classmethod
    def get_schema(cls) -> Schema:
        return Schema(
            [
                Attribute("id", String(), computed=True),
                Attribute("name", String(), required=True, requires_replace=True),
                Attribute("content", String(), optional=True),
            ],
            version=1,
        )

    def create(self, ctx: Any, planned: Values) -> Values:
        return self.write(planned | {"id": uuid.uuid4().hex[:12]})

    def read(self, ctx: Any, current: Values) -> Values | None:
        file = self.file(current)
        if not file.exists():
            return None
        found = json.loads(file.read_text())
        return current | {"name": found["name"], "content": found["content"]}

    def update(self, ctx: Any, current: Values, planned: Values) -> Values:
        return self.write(planned)

    def delete(self, ctx: Any, current: Values) -> None:
        time.sleep(self.provider.half_delay)
        self.file(current).unlink(missing_ok=True)
        time.sleep(self.provider.half_delay)

    def file(self, state: Values) -> Path:
        return self.provider.folder / f"{state['id']}.json"

    def write(self, state: Values) -> Values:
        time.sleep(self.provider.half_delay)
        unfinished = self.file(state).with_suffix(".new")
        unfinished.write_text(json.dumps(state | self.provider.noted, indent=1) + "\n")
        unfinished.replace(self.file(state))
        time.sleep(self.provider.half_delay)
        return state
