"""A real Consul server on the loopback interface, with its own data folder."""

from __future__ import annotations

import json
import random
import re
import socket
import ssl
import subprocess
from typing import TYPE_CHECKING, Any

import httpx

from local import leash, tools
from local.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

START_SECONDS = 60
PORTS = range(20_000, 32_000)
UNUSED = {"dns": -1, "grpc": -1, "serf_wan": -1}
SERVES_GRPC_TLS = (1, 14)
"""The first version with this port, 8503 by default, which two servers can't share."""
MANAGER = "00000000-0000-4000-8000-000000000001"
WATCHER = "00000000-0000-4000-8000-000000000002"
RULES = """
service_prefix "" { policy = "read" }
node_prefix "" { policy = "read" }
key_prefix "" { policy = "read" }
"""
"""The permissions that the poller's token needs, and all that WATCHER has."""


class ConsulEnded(Exception):
    """Consul exited; another program may have taken one of its ports."""


class Consul:
    """`address`: that of its HTTP API, which stays the same across restarts."""

    def __init__(
        self, folder: Path, settings: Mapping[str, Any] | None = None, *, secure: bool = False
    ) -> None:
        """`settings` are added to Consul's configuration. `secure`: it only serves HTTPS, with a
        certificate from a private CA, and denies everything but WATCHER's permissions."""
        self._folder = folder
        self._settings = settings or {}
        self._secure = secure
        self.ca = folder / "consul-agent-ca.pem"
        self._process: subprocess.Popen[bytes] | None = None
        http, server, serf = free_ports(3)
        scheme, other = ("https", "http") if secure else ("http", "https")
        self._ports = {scheme: http, other: -1, "server": server, "serf_lan": serf}
        self.address = f"{scheme}://127.0.0.1:{http}"

    def start(self) -> None:
        """Starts the server and waits until it is ready. Raises tools.MissingTool, TimeoutError."""
        self.launch(tools.consul())
        self.wait()

    def launch(self, binary: Path) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        if self._secure and not self.ca.exists():
            self._make_certificates(binary)
        configuration = self._folder / "consul.json"
        settings = self._configuration()
        if _version(binary) >= SERVES_GRPC_TLS:  # older versions reject this option
            settings["ports"] = {**self._ports, **UNUSED, "grpc_tls": -1}
        ports = {**settings["ports"], **self._settings.get("ports", {})}
        configuration.write_text(json.dumps({**settings, **self._settings, "ports": ports}))
        self._process = leash.start(
            [str(binary), "agent", "-config-file", str(configuration)],
            env=tools.environment(self._folder),
            cwd=self._folder,
            log=self._folder / "consul.log",
        )

    def wait(self) -> None:
        """Until it leads, and has registered itself: nothing changes by itself from then on."""
        with self.client() as client:
            what = f"Consul to lead; see {self._folder}/consul.log"
            wait_until(lambda: self._leads(client), START_SECONDS, what)
            if self._secure:
                _allow_watcher(client)
            what = f"Consul to register itself; see {self._folder}/consul.log"
            wait_until(lambda: _has_registered(client), START_SECONDS, what)

    def client(self) -> httpx.Client:
        """A client with full access."""
        return httpx.Client(
            base_url=self.address,
            headers={"X-Consul-Token": MANAGER} if self._secure else {},
            verify=ssl.create_default_context(cafile=self.ca) if self._secure else False,
            timeout=10,
        )

    def stop(self) -> None:
        if self._process is not None:
            leash.stop(self._process)
            self._process = None

    def _configuration(self) -> dict[str, Any]:
        return {
            "node_name": "local",
            "datacenter": "dc1",
            "server": True,
            "bootstrap_expect": 1,
            "bind_addr": "127.0.0.1",
            "client_addr": "127.0.0.1",
            "data_dir": str(self._folder / "data"),
            "log_level": "WARN",
            "disable_update_check": True,
            "leave_on_terminate": False,
            # Elections take seconds otherwise.
            "performance": {"raft_multiplier": 1},
            # It has no other members to ask and to tell.
            "gossip_lan": {"gossip_interval": "5s", "probe_interval": "10s"},
            # A restarted server does not wait for others.
            "ports": {**self._ports, **UNUSED},
            **(self._security() if self._secure else {}),
        }

    def _security(self) -> dict[str, object]:
        return {
            "ca_file": str(self.ca),
            "cert_file": str(self._folder / "dc1-server-consul-0.pem"),
            "key_file": str(self._folder / "dc1-server-consul-0-key.pem"),
            "acl": {
                "enabled": True,
                "default_policy": "deny",
                "tokens": {"master": MANAGER, "agent": MANAGER},
            },
        }

    def _make_certificates(self, binary: Path) -> None:
        """Creates a CA, and a certificate for this machine signed by it."""
        for what in (["ca", "create"], ["cert", "create", "-server"]):
            subprocess.run(
                [binary, "tls", *what],
                env=tools.environment(self._folder),
                cwd=self._folder,
                capture_output=True,
                check=True,
            )

    def _leads(self, client: httpx.Client) -> bool:
        if self._process is not None and self._process.poll() is not None:
            raise ConsulEnded(f"Consul exited at once; see {self._folder}/consul.log")
        try:
            leads = bool(client.get("/v1/status/leader").json())
            return leads and (not self._secure or client.get("/v1/acl/token/self").is_success)
        except (httpx.TransportError, ValueError):
            return False


def _version(binary: Path) -> tuple[int, ...]:
    said = subprocess.run([binary, "version"], capture_output=True, text=True, check=False).stdout
    found = re.search(r"v(\d+)\.(\d+)", said)
    return tuple(map(int, found.groups())) if found else (0,)


def _has_registered(client: httpx.Client) -> bool:
    """The leader adds its node without addresses; the agent on it then adds those."""
    nodes = client.get("/v1/catalog/nodes").raise_for_status().json()
    return any(node["TaggedAddresses"] for node in nodes)


def _allow_watcher(client: httpx.Client) -> None:
    """Repeated at each start, because a server with an empty data folder has no tokens."""
    if client.get("/v1/acl/token/self", headers={"X-Consul-Token": WATCHER}).is_success:
        return
    policy = {"Name": "watcher", "Rules": RULES}
    client.put("/v1/acl/policy", json=policy).raise_for_status()
    token = {"SecretID": WATCHER, "Policies": [{"Name": "watcher"}]}
    client.put("/v1/acl/token", json=token).raise_for_status()


def free_ports(count: int) -> list[int]:
    """Free ports outside the range for outgoing connections."""
    candidates = random.SystemRandom().sample(
        PORTS, 100
    )  # tests seed the global generator identically
    return [port for port in candidates if _is_free(port)][:count]


def _is_free(port: int) -> bool:
    try:
        socket.create_server(("127.0.0.1", port)).close()
    except OSError:
        return False
    return True
