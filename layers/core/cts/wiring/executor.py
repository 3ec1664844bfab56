"""The executor: executes runs in the warm lane."""

import tempfile
from collections.abc import Mapping
from pathlib import Path

from cts.executor.disk import Disk
from cts.executor.execute import Sandbox
from cts.settings import ExecutorSettings


def sandbox(settings: ExecutorSettings, environment: Mapping[str, str]) -> Sandbox:
    """Half of the disk is for the run that is under way."""
    return Sandbox(
        bucket=settings.work_bucket,
        region=settings.region,
        disk=Disk(Path(tempfile.gettempdir()), settings.disk // 2),
        given=environment,
    )
