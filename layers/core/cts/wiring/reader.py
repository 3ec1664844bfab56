"""The reader, and the widget: show what is stored."""

import gc
import time

from cts.settings import ReaderSettings
from cts.wiring.stores import bucket, table
from cts.workflow.read import ReadPorts


def ports(settings: ReaderSettings) -> ReadPorts:
    store = settings.store
    rows, objects = table(store), bucket(store)
    gc.freeze()  # or requests would be held up by looks through all that was imported
    return ReadPorts(
        configuration=rows,
        tasks=rows,
        runs=rows,
        objects=objects,
        records=objects,
        now=time.time,
        live=settings.live,
    )
