"""The poller: keeps the views current."""

import json
import random
import time
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from cts.adapters import clients
from cts.adapters.bucket import Bucket
from cts.adapters.consul import Consul
from cts.adapters.secrets import ConsulCa, ConsulToken
from cts.adapters.states import States
from cts.adapters.table import Table
from cts.events import CatalogChanged
from cts.generation import Generation
from cts.settings import PollerSettings
from cts.watch.snapshot import digest_of
from cts.wiring.stores import bucket, bus, table
from cts.workflow.poll import PollPorts
from cts.workflow.watcher import Beat, LivePorts

MARGIN = 20.0
"""How many seconds before Lambda's time limit a poller must have left."""


class StoredGeneration:
    """The live generation: named in the table, stored in the bucket."""

    def __init__(self, table: Table, bucket: Bucket) -> None:
        self._table = table
        self._bucket = bucket

    def current(self) -> Generation | None:
        current = self._table.current()
        return self._bucket.generation(current) if current else None


def ports(
    settings: PollerSettings,
    seconds: float,
    on_beat: Callable[[Beat], None],
    on_change: Callable[[CatalogChanged], None],
    on_trouble: Callable[[str], None],
) -> LivePorts:
    """`seconds`: how long Lambda still lets the function run."""
    rows, objects = table(settings.store), bucket(settings.store)
    its_token, its_ca = token(settings), ca(settings)

    async def connection() -> str:
        versions = [await its_token.version(), await its_ca.version()]
        asked = [settings.consul_address, settings.consul_secret, settings.consul_ca]
        named = [*asked, settings.consistency]
        return digest_of(json.dumps(named + versions).encode())

    return LivePorts(
        ports=PollPorts(
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
    return ConsulCa(
        clients.later(clients.secrets_manager),
        clients.later(clients.ssm),
        settings.consul_ca,
        settings.consul_secret,
        settings.connection_secret,
    )


def token(settings: PollerSettings) -> ConsulToken:
    """Read by each new poller, so that a token pushed in the meantime takes effect at once."""
    return ConsulToken(
        clients.later(clients.secrets_manager), settings.consul_secret, settings.connection_secret
    )


def new_id() -> str:
    return str(uuid.uuid4())
