"""The tracker: records how runs end, and sweeps."""

import time

from cts.settings import Store, Tracked
from cts.wiring.drivers import drivers
from cts.wiring.settling import settling
from cts.wiring.stores import bucket, table
from cts.workflow.counting import Metrics
from cts.workflow.track import TrackPorts


def ports(store: Store, builds: Tracked, metrics: Metrics) -> TrackPorts:
    rows, objects = table(store), bucket(store)
    return TrackPorts(
        settling=settling(store, builds, metrics),
        runs=rows,
        heard_of=rows,
        published=rows,
        generations=objects,
        drivers=drivers(store, builds),
        now=time.time,
        cap=builds.concurrency,
    )
