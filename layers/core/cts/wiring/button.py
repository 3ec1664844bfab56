"""The button, and the part of the api that does the same: record what a person asks for."""

import time

from cts.settings import Store
from cts.wiring.stores import bucket, bus, table
from cts.workflow.counting import Metrics
from cts.workflow.tasks import TaskPorts


def ports(store: Store, metrics: Metrics) -> TaskPorts:
    rows, objects = table(store), bucket(store)
    return TaskPorts(
        tasks=rows,
        live=rows,
        generations=objects,
        definitions=objects,
        records=objects,
        bus=bus(store),
        metrics=metrics,
        now=time.time,
    )
