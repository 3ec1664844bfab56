"""The runner: starts runs."""

import secrets
import time
from datetime import UTC, datetime

from cts.adapters.program import program
from cts.keys import run_id
from cts.run.lane import Capacity
from cts.settings import Builds, Store
from cts.terraform.archive import zipped
from cts.terraform.place import RunPlace
from cts.wiring.drivers import drivers
from cts.wiring.settling import settling
from cts.wiring.stores import bucket, bus, table
from cts.workflow.counting import Metrics
from cts.workflow.start import StartPorts


def ports(store: Store, builds: Builds, metrics: Metrics) -> StartPorts:
    rows, objects = table(store), bucket(store)
    return StartPorts(
        settling=settling(store, builds, metrics),
        tasks=rows,
        views=rows,
        generations=objects,
        objects=objects,
        fed=objects,
        drivers=drivers(store, builds),
        place=RunPlace(
            work_bucket=store.work_bucket,
            state_bucket=builds.state_bucket,
            region=builds.region,
            terraform_version=builds.terraform_version,
            task_secret_arn=builds.task_secret,
            consul_address=builds.consul_address,
            consul_secret_arn=builds.consul_secret or builds.connection_secret,
            consul_ca_arn=builds.consul_ca,
        ),
        program=zipped(program()),
        bus=bus(store),
        now=time.time,
        new_run_id=new_run_id,
        new_folder=new_folder,
        cap=builds.concurrency,
        capacity=Capacity(builds.warm.seconds, builds.warm.disk),
        records=objects,
    )


def new_run_id(task: str) -> str:
    return run_id(task, datetime.now(UTC), secrets.token_hex(3))


def new_folder() -> str:
    """A name that can't be guessed."""
    return secrets.token_hex(16)
