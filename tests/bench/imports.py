"""What each function's cold start imports cost, on the layers as they are shipped."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from statistics import median

from local import deploy
from local.tools import PROJECT

SAMPLES = 9
FUNCTIONS = ("Publisher", "Poller", "Runner", "Tracker", "Reader", "Api")
LAYERS = ("CoreLayer", "DepsLayer")
OWN_LAYERS = {"Publisher": ("HclLayer",)}
ENVIRONMENT = {
    "AWS_REGION": "us-east-1",
    "AWS_DEFAULT_REGION": "us-east-1",
    "CTS_BUS": "bus",
    "CTS_CONCURRENCY": "1",
    "CTS_CONNECTION_SECRET_ARN": "arn:connection",
    "CTS_CONSUL_ADDRESS": "http://127.0.0.1:8500",
    "CTS_CONSUL_CONSISTENCY": "default",
    "CTS_EXECUTOR": "executor",
    "CTS_EXECUTOR_STORAGE": "4096",
    "CTS_EXECUTOR_TIMEOUT": "900",
    "CTS_HCP_ADDRESS": "https://app.terraform.io",
    "CTS_HCP_OWN_SECRET_ARN": "arn:hcp",
    "CTS_MODE": "live",
    "CTS_PUBLISHER": "publisher",
    "CTS_PROJECT": "project",
    "CTS_STATE_BUCKET": "state",
    "CTS_TABLE": "table",
    "CTS_TASK_ROLE": "arn:aws:iam::111122223333:role/task",
    "CTS_TERRAFORM_VERSION": "1.11.4",
    "CTS_TASK_SECRET_ARN": "arn:aws:secretsmanager:us-east-1:123456789012:secret:task",
    "CTS_WORK_BUCKET": "work",
    "POWERTOOLS_METRICS_NAMESPACE": "cts",
}
READY = {
    "Poller": (
        "import os; settings = app.PollerSettings.read(os.environ);"
        "app.poller.ports(settings, 0, app.count, app.log, print).consul()"
    ),
    "Publisher": "app.ports()",
    "Runner": "app.ports()",
    "Tracker": "app.ports()",
    "Reader": "app.ports()",
    "Api": "app.ports()",
}
"""What a function does before its first call: its clients are built."""
PROGRAM = """
import time, app
{ready}
print(time.process_time() * 1000)
"""


def import_costs() -> Iterator[tuple[str, tuple[float, str]]]:
    """CPU of import and wiring, and unzipped size, of each function."""
    built = deploy.build().parent
    for function in FUNCTIONS:
        folders = [built / layer / "python" for layer in (*LAYERS, *OWN_LAYERS.get(function, ()))]
        code = PROJECT / "functions" / function.lower()
        cpu = [_cpu(function, [code, *folders]) for _ in range(SAMPLES)]
        name = function.lower()
        yield f"{name}_import_cpu_ms", (round(median(cpu)), "ms")
        size = sum(_size(folder) for folder in [code, *folders])
        yield f"{name}_unzipped_mb", (round(size / 1e6, 1), "MB")


def _cpu(function: str, path: list[Path]) -> float:
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": os.pathsep.join(map(str, path)),
        "POWERTOOLS_SERVICE_NAME": function.lower(),
        **ENVIRONMENT,
    }
    # -S leaves the environment's own packages out: only the layers are there, as in Lambda.
    done = subprocess.run(
        [sys.executable, "-S", "-c", PROGRAM.format(ready=READY[function])],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    return float(done.stdout.split()[-1])


def _size(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
