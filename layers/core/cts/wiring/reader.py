"""The reader, and the widget: show what is stored."""

import time

from cts.settings import ReaderSettings
from cts.wiring.stores import bucket, table
from cts.workflow.read import ReadPorts


def ports(settings: ReaderSettings) -> ReadPorts:
    store = settings.store
    rows, objects = table(store), bucket(store)
    return ReadPorts(
        configuration=rows,
        tasks=rows,
        runs=rows,
        objects=objects,
        records=objects,
        now=time.time,
        live=settings.live,
    )
