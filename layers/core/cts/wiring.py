"""Connect settings, adapters and ports. The only place where adapters are built."""

from __future__ import annotations

import json
import random
import secrets
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from functools import cache, partial
from typing import TYPE_CHECKING

from cts.adapters import clients
from cts.adapters.bucket import Bucket
from cts.adapters.bus import Bus
from cts.adapters.table import Table
from cts.keys import run_id

if TYPE_CHECKING:  # each function imports its own workflow only: a cold start pays per import
    from collections.abc import Callable

    from cts.adapters.secrets import ConsulCa, ConsulToken
    from cts.adapters.sessions import Sessions
    from cts.events import CatalogChanged
    from cts.generation import Generation
    from cts.ports import Driver
    from cts.settings import (
        ApiSettings,
        Builds,
        PollerSettings,
        PublisherSettings,
        ReaderSettings,
        Store,
        Tracked,
    )
    from cts.workflow import edit_steps, publish, read, settle, start, tasks, track, watcher
    from cts.workflow.counting import Metrics

MARGIN = 20.0
"""How many seconds before Lambda's time limit a poller must have left."""


def table(store: Store) -> Table:
    return Table(clients.dynamodb(), store.table, run_days=store.run_days)


def bucket(store: Store) -> Bucket:
    return Bucket(clients.later(clients.s3), store.work_bucket)


def bus(store: Store) -> Bus:
    return Bus(clients.later(clients.eventbridge), store.bus)


def new_id() -> str:
    return str(uuid.uuid4())


def new_folder() -> str:
    """A name that can't be guessed."""
    return secrets.token_hex(16)


def new_run_id(task: str) -> str:
    return run_id(task, datetime.now(UTC), secrets.token_hex(3))


class StoredGeneration:
    """The live generation: named in the table, stored in the bucket."""

    def __init__(self, table: Table, bucket: Bucket) -> None:
        self._table = table
        self._bucket = bucket

    def current(self) -> Generation | None:
        current = self._table.current()
        return self._bucket.generation(current) if current else None


def publisher(settings: PublisherSettings, metrics: Metrics) -> publish.PublishPorts:
    from cts.adapters.api_tasks import ApiTasks
    from cts.workflow import publish

    store = settings.store
    rows, objects = table(store), bucket(store)
    environment = {
        "CONSUL_HTTP_ADDR": settings.consul_address,
        "TFC_HOSTNAME": settings.hcp_address,
    }
    return publish.PublishPorts(
        sources=objects,
        api_tasks=ApiTasks(clients.later(clients.s3), store.work_bucket),
        attempts=rows,
        published=rows,
        tasks=rows,
        objects=objects,
        bus=bus(store),
        now=time.time,
        environment=environment,
        metrics=metrics,
    )


def poller(
    settings: PollerSettings,
    seconds: float,
    on_beat: Callable[[watcher.Beat], None],
    on_change: Callable[[CatalogChanged], None],
    on_trouble: Callable[[str], None],
) -> watcher.LivePorts:
    from cts.adapters.consul import Consul
    from cts.adapters.states import States
    from cts.watch.snapshot import digest_of
    from cts.workflow import poll, watcher

    rows, objects = table(settings.store), bucket(settings.store)
    its_token, its_ca = token(settings), ca(settings)

    async def connection() -> str:
        versions = [await its_token.version(), await its_ca.version()]
        asked = [settings.consul_address, settings.consul_secret, settings.consul_ca]
        named = [*asked, settings.consistency]
        return digest_of(json.dumps(named + versions).encode())

    return watcher.LivePorts(
        ports=poll.PollPorts(
            leases=rows,
            watch=rows,
            stale=rows,
            snapshots=objects,
            bus=bus(settings.store),
            now=time.time,
            new_id=new_id,
        ),
        generations=StoredGeneration(rows, objects),
        consul=lambda: Consul(
            settings.consul_address, its_token, its_ca, consistency=settings.consistency
        ),
        connection=connection,
        has_state=States(clients.later(clients.s3), settings.state_bucket).has_state,
        thread=partial(ThreadPoolExecutor, 1),
        chance=random.random,
        owner=new_id(),
        until=time.time() + seconds - MARGIN,
        on_beat=on_beat,
        on_change=on_change,
        on_trouble=on_trouble,
    )


def ca(settings: PollerSettings) -> ConsulCa:
    from cts.adapters.secrets import ConsulCa

    return ConsulCa(
        clients.later(clients.secrets_manager),
        clients.later(clients.ssm),
        settings.consul_ca,
        settings.consul_secret,
        settings.connection_secret,
    )


def token(settings: PollerSettings) -> ConsulToken:
    """Read by each new poller, so that a token pushed in the meantime takes effect at once."""
    from cts.adapters.secrets import ConsulToken

    return ConsulToken(
        clients.later(clients.secrets_manager), settings.consul_secret, settings.connection_secret
    )


def sessions(store: Store, builds: Builds | Tracked) -> Sessions:
    from cts.adapters.sessions import Sessions

    return Sessions(clients.later(clients.sts), builds.task_role, bucket(store))


def settling(store: Store, builds: Builds | Tracked, metrics: Metrics) -> settle.SettlePorts:
    from cts.workflow import settle

    return settle.SettlePorts(
        tasks=table(store),
        records=bucket(store),
        sessions=sessions(store, builds),
        bus=bus(store),
        now=time.time,
        chance=random.random,
        metrics=metrics,
    )


def codebuild(store: Store, builds: Builds | Tracked) -> Driver:
    from cts.adapters.codebuild import CodeBuild

    return CodeBuild(
        clients.later(clients.codebuild),
        builds.project,
        bucket(store),
        sessions(store, builds),
        time.time,
    )


def hcp_terraform(store: Store, builds: Builds | Tracked) -> Driver:
    from cts.adapters.hcp_api import HcpApi, Pace, client
    from cts.adapters.hcp_notifications import HcpNotifications
    from cts.adapters.hcp_secrets import HcpSecrets
    from cts.adapters.hcp_terraform import HcpTerraform
    from cts.adapters.secrets import HcpToken

    hcp, objects = builds.hcp, bucket(store)
    pace = Pace()
    its_token = HcpToken(clients.later(clients.secrets_manager), hcp.secret, hcp.own_secret)
    return HcpTerraform(
        hcp.address,
        lambda: HcpApi(client(), hcp.address, its_token, time.sleep, pace),
        HcpSecrets(sessions(store, builds)),
        files=objects,
        uploads=objects,
        now=time.time,
        sleep=time.sleep,
        notifications=HcpNotifications(hcp.notified_at, its_token),
    )


DRIVERS: dict[str, Callable[[Store, Builds | Tracked], Driver]] = {
    "terraform": codebuild,
    "terraform-cloud": hcp_terraform,
}
"""What makes each driver that a run may name."""


def drivers(store: Store, builds: Builds | Tracked) -> dict[str, Driver]:
    """Each is made when it is used: a cold start pays per import."""
    return {
        name: clients.later(cache(partial(make, store, builds))) for name, make in DRIVERS.items()
    }


def runner(store: Store, builds: Builds, metrics: Metrics) -> start.StartPorts:
    from cts.adapters.program import program
    from cts.terraform.place import RunPlace
    from cts.workflow import start

    rows, objects = table(store), bucket(store)
    return start.StartPorts(
        settling=settling(store, builds, metrics),
        tasks=rows,
        views=rows,
        generations=objects,
        objects=objects,
        fed=objects,
        slots=rows,
        drivers=drivers(store, builds),
        place=RunPlace(
            work_bucket=store.work_bucket,
            state_bucket=builds.state_bucket,
            region=builds.region,
            terraform_version=builds.terraform_version,
            task_secret_arn=builds.task_secret,
            consul_address=builds.consul_address,
            consul_secret_arn=builds.consul_secret or builds.connection_secret,
            consul_ca_arn=builds.consul_ca,
        ),
        program=program(),
        bus=bus(store),
        now=time.time,
        new_run_id=new_run_id,
        new_folder=new_folder,
        cap=builds.concurrency,
        records=objects,
    )


def tracker(store: Store, builds: Tracked, metrics: Metrics) -> track.TrackPorts:
    from cts.workflow import track

    rows, objects = table(store), bucket(store)
    return track.TrackPorts(
        settling=settling(store, builds, metrics),
        runs=rows,
        published=rows,
        generations=objects,
        drivers=drivers(store, builds),
        now=time.time,
        cap=builds.concurrency,
    )


def reader(settings: ReaderSettings) -> read.ReadPorts:
    from cts.workflow import read

    store = settings.store
    rows, objects = table(store), bucket(store)
    return read.ReadPorts(
        configuration=rows,
        tasks=rows,
        runs=rows,
        objects=objects,
        shown=objects,
        records=objects,
        now=time.time,
        live=settings.live,
    )


def asking(store: Store, metrics: Metrics) -> tasks.TaskPorts:
    from cts.workflow import tasks

    rows, objects = table(store), bucket(store)
    return tasks.TaskPorts(
        tasks=rows,
        live=rows,
        generations=objects,
        definitions=objects,
        records=objects,
        bus=bus(store),
        metrics=metrics,
        now=time.time,
    )


def api(settings: ApiSettings, metrics: Metrics) -> edit_steps.EditPorts:
    from cts.adapters.publisher import TaskChanges
    from cts.workflow import edit_steps

    store = settings.store
    return edit_steps.EditPorts(
        asking=asking(store, metrics),
        publisher=TaskChanges(clients.later(clients.functions), settings.publisher),
        runs=table(store),
        logs=bucket(store),
        sleep=time.sleep,
    )
