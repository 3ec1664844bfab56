"""Consul's data as `terraform.tfvars`."""

from collections.abc import Iterable

from cts.terraform.hclwrite import block, key, value
from cts.watch.snapshot import ServiceRow

ATTRIBUTES = {
    "id": "string",
    "name": "string",
    "kind": "string",
    "address": "string",
    "port": "number",
    "meta": "map(string)",
    "tags": "list(string)",
    "namespace": "string",
    "status": "string",
    "node": "string",
    "node_id": "string",
    "node_address": "string",
    "node_datacenter": "string",
    "node_tagged_addresses": "map(string)",
    "node_meta": "map(string)",
    "cts_user_defined_meta": "map(string)",
}
"""A service's attributes and their types, in CTS's order: version 0 of its protocol."""


def services(rows: Iterable[ServiceRow]) -> str:
    """The variable `services`. Of two rows with one key the later wins, as in Terraform."""
    by_key = {service_key(row): row for row in rows}
    return f"services = {block({key(name): _service(by_key[name]) for name in sorted(by_key)})}\n"


def service_key(row: ServiceRow) -> str:
    """`<id>.<node>.<namespace>.<datacenter>`; an empty part goes together with its dot."""
    parts = (row["id"], row["node"], row["namespace"], row["node_datacenter"])
    return ".".join(part for part in parts if part)


def _service(row: ServiceRow) -> str:
    filled = {**row, "cts_user_defined_meta": row.get("cts_user_defined_meta", {})}
    return block({name: value(filled[name]) for name in ATTRIBUTES})
