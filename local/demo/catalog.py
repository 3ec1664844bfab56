"""Registers, changes and removes services in Consul's catalog."""

from collections.abc import Mapping
from typing import Any

import httpx


class Catalog:
    """The catalog of the Consul that `client` talks to. No agents are needed."""

    def __init__(self, client: httpx.Client) -> None:
        self._http = client

    def register(
        self,
        instance: str,
        service: str,
        address: str,
        port: int,
        *,
        status: str = "passing",
        **more: Any,
    ) -> None:
        """Register an instance with one check, or change it. `more`: Tags, Meta."""
        node = node_of(instance)
        self._put(
            "register",
            {
                "Node": node,
                "Address": address,
                "Service": {
                    "ID": instance,
                    "Service": service,
                    "Address": address,
                    "Port": port,
                    **more,
                },
                "Check": {
                    "CheckID": f"service:{instance}",
                    "Name": f"{service} answers",
                    "ServiceID": instance,
                    "Status": status,
                },
            },
        )

    def deregister(self, instance: str) -> None:
        self._put("deregister", {"Node": node_of(instance), "ServiceID": instance})

    def remove_node(self, node: str) -> None:
        self._put("deregister", {"Node": node})

    def healthy(self, service: str) -> list[dict[str, Any]]:
        answer = self._http.get(f"/v1/health/service/{service}", params={"passing": "1"})
        answer.raise_for_status()
        rows: list[dict[str, Any]] = answer.json()
        return rows

    def close(self) -> None:
        self._http.close()

    def _put(self, what: str, body: Mapping[str, Any]) -> None:
        self._http.put(f"/v1/catalog/{what}", json=body).raise_for_status()


def node_of(instance: str) -> str:
    return f"node-{instance}"
