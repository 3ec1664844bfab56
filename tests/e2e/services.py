"""The variable `services`: as a run got it, and as Consul's own answer makes it."""

from __future__ import annotations

import io
import json
import zipfile
from typing import TYPE_CHECKING, Any

import hcl2

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

Services = dict[str, dict[str, Any]]


def expected(answers: Iterable[Mapping[str, Any]]) -> Services:
    """What CTS documents, made of the rows of /v1/health/service alone."""
    rows = map(_expected_row, answers)
    return {f"{row['id']}.{row['node']}.{row['node_datacenter']}": row for row in rows}


def fed(archive: bytes) -> Services:
    """What the terraform.tfvars in a run's archive says."""
    with zipfile.ZipFile(io.BytesIO(archive)) as zipped:
        text = zipped.read("terraform.tfvars").decode()
    # hcl2 cannot read an escaped template start.
    parsed = hcl2.loads(text.replace("$${", r"$\u007b").replace("%%{", r"%\u007b"))
    services: Services = _plain(parsed["services"])
    return services


def _expected_row(answer: Mapping[str, Any]) -> dict[str, Any]:
    service, node = answer["Service"], answer["Node"]
    return {
        "id": service["ID"],
        "name": service["Service"],
        "kind": service.get("Kind", ""),
        "address": service["Address"] or node["Address"],
        "port": service["Port"],
        "meta": service["Meta"] or {},
        "tags": sorted(service["Tags"] or []),
        "namespace": "",
        "status": "passing",
        "node": node["Node"],
        "node_id": node["ID"],
        "node_address": node["Address"],
        "node_datacenter": node["Datacenter"],
        "node_tagged_addresses": node["TaggedAddresses"] or {},
        "node_meta": node["Meta"] or {},
        "cts_user_defined_meta": {},
    }


def _plain(value: Any) -> Any:
    """What hcl2 gives, with strings unquoted."""
    match value:
        case dict():
            return {_plain(name): _plain(each) for name, each in value.items()}
        case list():
            return [_plain(each) for each in value]
        case str() if value.startswith('"'):
            return json.loads(value)
    return value
