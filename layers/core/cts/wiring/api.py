"""The api: changes what is stored, itself or through the publisher."""

import time

from cts.adapters import clients
from cts.adapters.publisher import TaskChanges
from cts.settings import ApiSettings
from cts.wiring import button
from cts.wiring.stores import bucket, table
from cts.workflow.counting import Metrics
from cts.workflow.edit_steps import EditPorts


def ports(settings: ApiSettings, metrics: Metrics) -> EditPorts:
    store = settings.store
    return EditPorts(
        asking=button.ports(store, metrics),
        publisher=TaskChanges(clients.later(clients.functions), settings.publisher),
        runs=table(store),
        logs=bucket(store),
        sleep=time.sleep,
    )
