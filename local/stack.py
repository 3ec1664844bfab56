"""A complete system on this machine: Consul, the front, and the deployed template."""

from __future__ import annotations

import functools
import json
import resource
import shutil
import threading
import urllib.error
import urllib.request
from typing import TYPE_CHECKING, Any, Self

import boto3
from botocore.config import Config

from local import deploy, leash, programs, tools
from local.consul import WATCHER, Consul, ConsulEnded

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Mapping
    from pathlib import Path
    from types import TracebackType

    import httpx

REGION = "us-east-1"
ANSWER_SECONDS = 300
"""Until the front has answered, on a busy machine."""
OPEN_FILES = 16_384
CREDENTIALS = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}


class Stack:
    """A running stack. Create it with `start`, and use it as a context manager.

    `endpoint`: the AWS endpoint · `consul`: Consul's HTTP address · `outputs`: those of the
    deployed stack · `env`: the environment for programs that use it · `folder`: all its files ·
    `hcp`: the address of the test server for HCP Terraform's API, if it was asked for.
    """

    def __init__(
        self, folder: Path, name: str, consul: Mapping[str, object], *, secure: bool
    ) -> None:
        self.folder = folder
        self.name = name
        self.endpoint = ""
        self.env: dict[str, str] = {}
        self.outputs: dict[str, str] = {}
        self.hcp = ""
        self._template = ""
        self._front: subprocess.Popen[bytes] | None = None
        self._hcp: subprocess.Popen[bytes] | None = None
        self._new_consul = functools.partial(Consul, folder / "consul", consul, secure=secure)
        self._consul = self._new_consul()
        self._secure = secure
        self._clients: dict[str, Any] = {}

    @classmethod
    def start(
        cls,
        folder: Path,
        *,
        name: str = "cts",
        parameters: dict[str, str] | None = None,
        schedules: bool = True,
        consul: Mapping[str, object] | None = None,
        secure: bool = False,
        hcp: bool = False,
        template: Path = tools.PROJECT / "template.yaml",
    ) -> Self:
        """Starts everything and deploys the template.

        `schedules` off: they only fire when `fire` is called. `consul`: settings for Consul's
        configuration. `secure`: Consul uses HTTPS with a private CA, and denies by default. The
        parameters about Consul are set here. `hcp`: with a test server for HCP Terraform's API, to
        which the parameters for it are set.
        Raises tools.MissingTool, deploy.DeploymentFailed, TimeoutError.
        """
        folder.mkdir(parents=True, exist_ok=True)
        stack = cls(folder.resolve(), name, consul or {}, secure=secure)
        try:
            stack._start(parameters or {}, schedules, template, hcp=hcp)
        except BaseException:
            stack.stop()
            raise
        return stack

    def _start(
        self, parameters: dict[str, str], schedules: bool, template: Path, *, hcp: bool
    ) -> None:
        tools.terraform()
        _allow_open_files()
        self._consul.launch(tools.consul())
        self._start_front()
        if hcp:
            self._start_hcp()
        self.schedules(schedules)
        self.client("s3").create_bucket(Bucket=deploy.BUCKET)
        built = deploy.build(template)
        (self.folder / "tmp" / "layers").symlink_to(built.parents[1] / "layers")
        self._template = deploy.package(built, self.client("s3"), self.env)
        self._await_consul()
        of_hcp = {"HcpAddress": self.hcp, "HcpNotifications": "yes"} if self.hcp else {}
        # What is on PATH needs no download.
        of_terraform = {"TerraformVersion": tools.version_of(tools.terraform())}
        self.redeploy({**of_terraform, **self._consul_parameters(), **of_hcp, **parameters})

    def _consul_parameters(self) -> dict[str, str]:
        address = {"ConsulAddress": self.consul}
        if not self._secure:
            return address
        secrets = self.client("secretsmanager")
        token = secrets.create_secret(Name="consul-token", SecretString=WATCHER)
        ca = secrets.create_secret(Name="consul-ca", SecretString=self._consul.ca.read_text())
        return {**address, "ConsulSecretArn": token["ARN"], "ConsulCaArn": ca["ARN"]}

    def _await_consul(self) -> None:
        try:
            self._consul.wait()
        except ConsulEnded:  # try again on other ports
            self._consul = self._new_consul()
            self._consul.start()

    def redeploy(self, parameters: dict[str, str]) -> None:
        """Deploys with these parameters; those that are not given stay as they are. Raises
        deploy.DeploymentFailed."""
        deploy.deploy(self._template, self.name, parameters, self.client("cloudformation"))
        stacks = self.client("cloudformation").describe_stacks(StackName=self.name)["Stacks"]
        self.outputs = {o["OutputKey"]: o["OutputValue"] for o in stacks[0].get("Outputs", [])}

    def stop(self) -> None:
        """Ends all processes of the stack. The folder is kept."""
        ending = [threading.Thread(target=self._consul.stop)]
        ending += [
            threading.Thread(target=leash.stop, args=(process,))
            for process in (self._front, self._hcp)
            if process is not None
        ]
        self._front = self._hcp = None
        for thread in ending:
            thread.start()
        for thread in ending:
            thread.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        problem: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    @property
    def consul(self) -> str:
        return self._consul.address

    @property
    def devices(self) -> Path:
        """What builds change through the test provider (`local/provider`): a folder for each of
        its folders."""
        return self.folder / "devices"

    def consul_client(self) -> httpx.Client:
        """A Consul client with full access."""
        return self._consul.client()

    def stop_consul(self) -> None:
        self._consul.stop()

    def start_consul(self, *, empty: bool = False) -> None:
        """Starts Consul at its old address, with its data or empty."""
        if empty:
            shutil.rmtree(self.folder / "consul" / "data", ignore_errors=True)
        self._consul.start()

    def client(self, service: str) -> Any:
        """The boto3 client of a service, with full access."""
        if service not in self._clients:
            self._clients[service] = _session().client(
                service,  # type: ignore[call-overload]
                endpoint_url=self.endpoint,
                config=Config(retries={"total_max_attempts": 1}, read_timeout=900),
            )
        return self._clients[service]

    def fault(self, **rule: Any) -> int:
        """Adds a fault rule (`local.faults.Rule`); returns its id. Raises ValueError."""
        return int(self._control("POST", "faults", rule)["id"])

    def clear_faults(self) -> None:
        self._control("DELETE", "faults")

    def faults(self) -> list[dict[str, Any]]:
        """The active rules, with how often each matched and fired."""
        return list(self._control("GET", "faults"))

    def calls(self, since: int = 0) -> list[dict[str, Any]]:
        """The recorded requests after number `since`, oldest first; -1: only the newest one."""
        return list(self._control("GET", f"calls?since={since}"))

    def events(self, since: int = 0) -> list[dict[str, Any]]:
        """Events put on a bus, delivered to a target, or dropped by a fault, after number `since`,
        oldest first; -1: only the newest one."""
        return list(self._control("GET", f"events?since={since}"))

    def builds(self) -> list[dict[str, Any]]:
        """All builds, oldest first, in the API's form."""
        return list(self._control("GET", "builds"))

    def build_settings(self, **values: float) -> None:
        """`concurrent`: builds at once, others are queued · `minute`: seconds of a minute in time
        limits · `instant`: 1: builds run nothing and leave the results of a run without changes."""
        self._control("POST", "builds", values)

    def kill(self, function: str) -> int:
        """Kills a function's sandboxes (by logical ID), like lost hosts. Returns how many."""
        return int(self._control("POST", "kill", {"function": function})["killed"])

    def fill_disks(self, function: str, size: int) -> int:
        """From now on, no file in the sandboxes of a function (by logical ID), also in new ones,
        can be larger than `size` bytes, as if their disks were full. Returns how many there are."""
        return int(self._control("POST", "disks", {"function": function, "size": size})["filled"])

    def fire(self, function: str) -> None:
        """Fires the schedules of a function now. Raises ValueError if it has none."""
        self._control("POST", "fire", {"function": function})

    def schedules(self, enabled: bool) -> None:
        """Whether schedules fire by themselves."""
        self._control("POST", "schedules", {"enabled": enabled})

    def function_log(self, function: str) -> str:
        """Everything that a function (logical ID) has printed so far."""
        file = self.folder / "logs" / f"{function}.log"
        return file.read_text() if file.exists() else ""

    def _start_hcp(self) -> None:
        tools.terraform()
        env = {"AWS_ENDPOINT_URL": self.endpoint}
        self._hcp = programs.start(self.folder, "hcp", "local.hcp", env, self.devices)
        self.hcp = programs.endpoint(self._hcp, self.folder, "hcp")

    def _start_front(self) -> None:
        env = tools.environment(self.folder)
        self._front = programs.start(self.folder, "front", "local.serve", CREDENTIALS, self.devices)
        self.endpoint = programs.endpoint(self._front, self.folder, "front")
        self.env = {
            **env,
            **CREDENTIALS,
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_REGION": REGION,
            "AWS_DEFAULT_REGION": REGION,
            "CTS_STACK": self.name,
        }

    def _control(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        request = urllib.request.Request(
            f"{self.endpoint}/_front/{path}", method=method, data=json.dumps(body or {}).encode()
        )
        try:
            with urllib.request.urlopen(request, timeout=ANSWER_SECONDS) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as problem:
            raise ValueError(json.load(problem)["error"]) from None


@functools.cache
def _session() -> boto3.Session:
    """For all stacks: reading what boto3 knows of a service takes a tenth of a second."""
    return boto3.Session("test", "test", region_name=REGION)


def _allow_open_files() -> None:
    """Consul and pollers hold a connection for each view; many systems limit these to 1,024."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = OPEN_FILES if hard == resource.RLIM_INFINITY else min(OPEN_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
