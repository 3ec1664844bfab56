"""The publisher: checks pushes, and publishes them."""

import time

from cts.adapters import clients
from cts.adapters.api_tasks import ApiTasks
from cts.settings import PublisherSettings
from cts.wiring.stores import bucket, bus, table
from cts.workflow.counting import Metrics
from cts.workflow.publish import PublishPorts


def ports(settings: PublisherSettings, metrics: Metrics) -> PublishPorts:
    store = settings.store
    rows, objects = table(store), bucket(store)
    environment = {
        "CONSUL_HTTP_ADDR": settings.consul_address,
        "TFC_HOSTNAME": settings.hcp_address,
    }
    return PublishPorts(
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
