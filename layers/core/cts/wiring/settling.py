"""What runner and tracker need to record how a run ended."""

import random
import time

from cts.settings import Builds, Store, Tracked
from cts.wiring.drivers import sessions
from cts.wiring.stores import bucket, bus, table
from cts.workflow.counting import Metrics
from cts.workflow.settle import SettlePorts


def settling(store: Store, builds: Builds | Tracked, metrics: Metrics) -> SettlePorts:
    return SettlePorts(
        tasks=table(store),
        records=bucket(store),
        sessions=sessions(store, builds),
        bus=bus(store),
        now=time.time,
        chance=random.random,
        metrics=metrics,
    )
