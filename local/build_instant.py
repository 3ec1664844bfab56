"""A build that runs nothing: it immediately leaves the results of a run without changes.

All such builds share one client with full access: other builds test the role's permissions.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any

import boto3
from botocore.exceptions import ClientError

if TYPE_CHECKING:
    from local.build import Build
    from local.build_run import Place


class Instant:
    def __init__(self, place: Place) -> None:
        self._place = place

    @cached_property
    def _s3(self) -> Any:
        session = boto3.Session("test", "test", region_name=self._place.region)
        return session.client("s3", endpoint_url=self._place.endpoint)

    def run(self, build: Build) -> str:
        """Puts `started` and `result.json` of the build's run. Returns its status."""
        build.begin("BUILD")
        bucket = build.settings["source"]["location"].partition("/")[0]
        values = {each["name"]: each["value"] for each in build.variables}
        folder = f"runs/{values['CTS_TASK']}/{values['CTS_RUN_ID']}"
        started = json.dumps({"build": build.id}).encode()
        try:
            self._s3.put_object(
                Bucket=bucket, Key=f"{folder}/started", Body=started, IfNoneMatch="*"
            )
        except ClientError:  # another build has claimed this run, or it was given up
            return "SUCCEEDED"
        ended = datetime.now(UTC).isoformat()
        result = json.dumps({"status": "unchanged", "at": {"ended": ended}}).encode()
        self._s3.put_object(Bucket=bucket, Key=f"{folder}/result.json", Body=result)
        return "SUCCEEDED"
