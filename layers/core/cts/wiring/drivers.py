"""What executes runs: each driver, by the name that a run's row has."""

from __future__ import annotations

import time
from functools import cache, partial
from typing import TYPE_CHECKING

from cts.adapters import clients
from cts.adapters.sessions import Sessions
from cts.wiring.stores import bucket

if TYPE_CHECKING:
    from collections.abc import Callable

    from cts.ports import Driver
    from cts.settings import Builds, Store, Tracked


def sessions(store: Store, builds: Builds | Tracked) -> Sessions:
    return Sessions(clients.later(clients.sts), builds.task_role, bucket(store))


def codebuild(store: Store, builds: Builds | Tracked) -> Driver:
    from cts.adapters.codebuild import CodeBuild

    return CodeBuild(
        clients.later(clients.codebuild),
        builds.project,
        bucket(store),
        time.time,
    )


def executor(store: Store, builds: Builds | Tracked) -> Driver:
    from cts.adapters.executor import Executor

    return Executor(
        clients.later(clients.invoker),
        builds.warm.function,
        builds.warm.seconds,
        bucket(store),
        time.time,
    )


def hcp_terraform(store: Store, builds: Builds | Tracked) -> Driver:
    from cts.adapters.certificates import HcpCa
    from cts.adapters.hcp_api import HcpApi, Pace, client
    from cts.adapters.hcp_notifications import HcpNotifications
    from cts.adapters.hcp_secrets import HcpSecrets
    from cts.adapters.hcp_terraform import HcpTerraform
    from cts.adapters.secrets import HcpToken

    hcp, objects = builds.hcp, bucket(store)
    pace = Pace()
    secrets = clients.later(clients.secrets_manager)
    its_token = HcpToken(secrets, hcp.secret, hcp.own_secret)
    ca = HcpCa(hcp.ca, secrets, clients.later(clients.ssm))
    return HcpTerraform(
        hcp.address,
        lambda: HcpApi(client(ca()), hcp.address, its_token, time.sleep, pace),
        HcpSecrets(sessions(store, builds)),
        files=objects,
        uploads=objects,
        now=time.time,
        sleep=time.sleep,
        notifications=HcpNotifications(hcp.notified_at, its_token),
    )


DRIVERS: dict[str, Callable[[Store, Builds | Tracked], Driver]] = {
    "terraform": codebuild,
    "executor": executor,
    "terraform-cloud": hcp_terraform,
}


def drivers(store: Store, builds: Builds | Tracked) -> dict[str, Driver]:
    """Each is imported and made when it is used: most stacks use one."""
    return {
        name: clients.later(cache(partial(make, store, builds))) for name, make in DRIVERS.items()
    }
