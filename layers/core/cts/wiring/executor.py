"""The executor: executes runs in the warm lane."""

import tempfile
from collections.abc import Mapping
from pathlib import Path

from cts.adapters.program import program
from cts.executor.disk import Disk
from cts.executor.execute import Sandbox
from cts.executor.processes import environment
from cts.executor.program import Program
from cts.settings import ExecutorSettings


def sandbox(settings: ExecutorSettings, given: Mapping[str, str]) -> Sandbox:
    """`given`: the environment of this process. Half of the disk is for the run that is under
    way."""
    return Sandbox(
        bucket=settings.work_bucket,
        region=settings.region,
        disk=Disk(Path(tempfile.gettempdir()), settings.disk // 2),
        program=Program(program(), environment(given)),
    )
