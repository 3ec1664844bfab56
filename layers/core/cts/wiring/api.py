"""The api, and the button: change what is stored, themselves or through the publisher."""

import time

from cts.adapters import clients
from cts.adapters.publisher import TaskChanges
from cts.settings import ApiSettings
from cts.wiring.stores import bucket, bus, table
from cts.workflow.counting import Metrics
from cts.workflow.edit_steps import EditPorts
from cts.workflow.tasks import TaskPorts


def ports(settings: ApiSettings, metrics: Metrics) -> EditPorts:
    store = settings.store
    rows, objects = table(store), bucket(store)
    return EditPorts(
        asking=TaskPorts(
            tasks=rows,
            live=rows,
            generations=objects,
            definitions=objects,
            records=objects,
            bus=bus(store),
            metrics=metrics,
            now=time.time,
        ),
        publisher=TaskChanges(clients.later(clients.functions), settings.publisher),
        runs=rows,
        logs=objects,
        sleep=time.sleep,
    )
