"""What tasks get of Consul and what triggers them, as CTS documents it. It shares nothing with the
product but the words: a second reading of the documents, for `test_inputs.py`."""

import re
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Instance:
    node: str
    service: str
    port: int
    tags: list[str]
    meta: dict[str, str]
    address: str
    status: str


@dataclass
class Node:
    id: str
    address: str
    meta: dict[str, str]


@dataclass
class Model:
    nodes: dict[str, Node] = field(default_factory=dict)
    instances: dict[str, Instance] = field(default_factory=dict)
    """By id, which is the instance's node's alone here."""
    critical_nodes: set[str] = field(default_factory=set)
    kv: dict[str, str] = field(default_factory=dict)
    intentions: dict[tuple[str, str], tuple[str, str]] = field(default_factory=dict)
    """Source and destination -> action, and the text of description and meta."""

    def services(self, found: str, *, exactly: bool, meta: dict[str, str]) -> dict[str, Any]:
        """`found`: a regular expression for the names."""
        search = re.fullmatch if exactly else re.search
        return {
            f"{id_}.{each.node}.dc1": self._row(id_, each, meta)
            for id_, each in self.instances.items()
            if search(found, each.service) and self._passes(each)
        }

    def _passes(self, each: Instance) -> bool:
        return each.status == "passing" and each.node not in self.critical_nodes

    def _row(self, id_: str, each: Instance, meta: dict[str, str]) -> dict[str, Any]:
        node = self.nodes[each.node]
        return {
            "id": id_,
            "name": each.service,
            "kind": "",
            "address": each.address or node.address,
            "port": each.port,
            "meta": each.meta,
            "tags": sorted(each.tags, key=str.encode),
            "namespace": "",
            "status": "passing",
            "node": each.node,
            "node_id": node.id,
            "node_address": node.address,
            "node_datacenter": "dc1",
            "node_tagged_addresses": {},
            "node_meta": node.meta,
            "cts_user_defined_meta": meta,
        }

    def catalog(self, found: str) -> dict[str, list[str]]:
        tags: dict[str, set[str]] = {}
        for each in self.instances.values():
            if re.search(found, each.service):
                tags.setdefault(each.service, set()).update(each.tags)
        return {name: sorted(each, key=str.encode) for name, each in tags.items()}

    def keys(self, path: str, *, recurse: bool) -> dict[str, str]:
        return {
            key: value
            for key, value in self.kv.items()
            if (key.startswith(path) if recurse else key == path)
        }

    def hosts(self) -> dict[str, Any]:
        return {
            f"{name}.dc1": {
                "id": each.id,
                "name": name,
                "address": each.address,
                "datacenter": "dc1",
                "tagged_addresses": {},
                "meta": each.meta,
            }
            for name, each in self.nodes.items()
        }

    def mesh(self) -> dict[str, Any]:
        texts = ("namespace", "partition", "peer", "sameness_group")
        return {
            f"{source} => {target}": {
                "source": source,
                "source_namespace": "default",
                **{f"source_{each}": "" for each in texts[1:]},
                "destination": target,
                "destination_namespace": "default",
                "destination_partition": "",
                "action": action,
                "permissions": "",
                "jwt": "",
                "precedence": (source != "*") * 1 + (target != "*") * 3 + 5,
                "description": text,
                "meta": {"note": text},
            }
            for (source, target), (action, text) in self.intentions.items()
        }
