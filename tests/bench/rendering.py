"""What it costs to render a task's files."""

import time
from collections.abc import Iterator
from itertools import pairwise

from cts.conditions.services import ServicesCondition, service_row
from cts.terraform.definition import Definition, Module
from cts.terraform.files import files
from cts.terraform.place import RunPlace
from cts.watch.snapshot import of

SAMPLES = 9
PLACE = RunPlace("work", "state", "eu-west-1", "1.11.4")
SIZES = (10, 100, 1000, 10_000)


def rendering_costs() -> Iterator[tuple[str, tuple[float, str]]]:
    """The CPU time to render some numbers of instances. Linear: ten times as many take ten times as
    long, or less."""
    times = {size: _time(size) for size in SIZES}
    yield "render_10_ms", (round(times[10] * 1000, 2), "ms")
    yield "render_10000_s", (round(times[10_000], 3), "s")
    steps = (times[more] / times[less] for less, more in pairwise(SIZES))
    yield "render_tenfold_ratio", (round(max(steps), 1), "ratio")


def _time(size: int) -> float:
    definition = Definition("bench", Module("./m", digest="d"), ServicesCondition(("web",)))
    (view,) = definition.condition.views(None)
    read = {view.id: of([service_row(_instance(number)) for number in range(size)])}
    samples = []
    for _ in range(SAMPLES):
        began = time.process_time()
        files(definition, read, description="", place=PLACE, run="bench-1")
        samples.append(time.process_time() - began)
    return min(samples)


def _instance(number: int) -> dict[str, object]:
    """As Consul answers."""
    address = f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}"
    return {
        "Node": {
            "Node": f"node-{number}",
            "ID": f"{number:08x}-0000-0000-0000-000000000000",
            "Address": address,
            "Datacenter": "dc1",
            "TaggedAddresses": {"lan": address, "wan": address},
            "Meta": {"consul-network-segment": "", "consul-version": "1.21.4"},
        },
        "Service": {
            "ID": f"web-{number}",
            "Service": "web",
            "Address": address,
            "Port": 8080,
            "Meta": {"version": "1.2.3", "owner": "team a"},
            "Tags": ["http", "blue"],
        },
        "Checks": [{"CheckID": "serfHealth", "Status": "passing"}],
    }
