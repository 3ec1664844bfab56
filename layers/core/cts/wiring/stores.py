"""The table, the work bucket and the bus."""

from cts.adapters import clients
from cts.adapters.bucket import Bucket
from cts.adapters.bus import Bus
from cts.adapters.table import Table
from cts.settings import Store


def table(store: Store) -> Table:
    return Table(clients.dynamodb(), store.table, run_days=store.run_days)


def bucket(store: Store) -> Bucket:
    return Bucket(clients.later(clients.s3), store.work_bucket)


def bus(store: Store) -> Bus:
    return Bus(clients.later(clients.eventbridge), store.bus)
