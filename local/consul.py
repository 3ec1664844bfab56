"""One real Consul server on the loopback interface, with a data folder of its own."""

from __future__ import annotations

import json
import random
import re
import socket
import subprocess
import urllib.error
import urllib.request
from typing import TYPE_CHECKING

from local import leash, tools
from local.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

START_SECONDS = 60
PORTS = range(20_000, 32_000)
UNUSED = {"dns": -1, "grpc": -1, "serf_wan": -1, "https": -1}
SERVES_GRPC_TLS = (1, 14)
"""The first version that does so, on port 8503 if nobody says otherwise: two can't."""


class ConsulEnded(Exception):
    """Consul didn't stay; another program may have taken a port just before it."""


class Consul:
    """`address`: its HTTP address; the same after every start."""

    def __init__(self, folder: Path, settings: Mapping[str, object]) -> None:
        """`settings` are added to Consul's configuration."""
        self._folder = folder
        self._settings = settings
        self._process: subprocess.Popen[bytes] | None = None
        self._ports = dict(zip(("http", "server", "serf_lan"), free_ports(3), strict=True))
        self.address = f"http://127.0.0.1:{self._ports['http']}"

    def start(self) -> None:
        """Starts the server and waits until it leads. Raises tools.MissingTool, TimeoutError."""
        self.launch(tools.consul())
        self.wait()

    def launch(self, binary: Path) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        configuration = self._folder / "consul.json"
        settings = self._configuration()
        if _version(binary) >= SERVES_GRPC_TLS:  # an older one refuses to be told of the port
            settings["ports"] = {**self._ports, **UNUSED, "grpc_tls": -1}
        configuration.write_text(json.dumps({**settings, **self._settings}))
        self._process = leash.start(
            [str(binary), "agent", "-config-file", str(configuration)],
            env=tools.environment(self._folder),
            cwd=self._folder,
            log=self._folder / "consul.log",
        )

    def wait(self) -> None:
        wait_until(self._leads, START_SECONDS, f"Consul to lead; see {self._folder}/consul.log")

    def stop(self) -> None:
        if self._process is not None:
            leash.stop(self._process)
            self._process = None

    def _configuration(self) -> dict[str, object]:
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
            # A server that was away restarts without waiting for others.
            "ports": {**self._ports, **UNUSED},
        }

    def _leads(self) -> bool:
        if self._process is not None and self._process.poll() is not None:
            raise ConsulEnded(f"Consul ended at once; see {self._folder}/consul.log")
        try:
            with urllib.request.urlopen(f"{self.address}/v1/status/leader", timeout=2) as answer:
                return bool(json.load(answer))
        except (OSError, ValueError):
            return False


def _version(binary: Path) -> tuple[int, ...]:
    said = subprocess.run([binary, "version"], capture_output=True, text=True, check=False).stdout
    found = re.search(r"v(\d+)\.(\d+)", said)
    return tuple(map(int, found.groups())) if found else (0,)


def free_ports(count: int) -> list[int]:
    """Ports that nothing listens on now, none of those that outgoing connections get."""
    candidates = random.SystemRandom().sample(PORTS, 100)  # tests seed the other one alike
    return [port for port in candidates if _is_free(port)][:count]


def _is_free(port: int) -> bool:
    try:
        socket.create_server(("127.0.0.1", port)).close()
    except OSError:
        return False
    return True
