"""Sessions of the role `TaskRole`: what a build may do, for its own run and no other.

A session's credentials are in the archive that the build starts with, and renewed ones in a file
next to it, in a folder of the work bucket whose name can't be guessed.
"""

import json
from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Protocol

from cts import keys
from cts.adapters.aws_errors import translated
from cts.run.model import Run
from cts.terraform.archive import with_file

if TYPE_CHECKING:
    from mypy_boto3_sts import STSClient

ARCHIVE, SESSION = "archive.zip", "session.json"
"""`build/session.py` knows the second name and its content."""


class BuildObjects(Protocol):
    def put_archive(self, task: str, run: str, archive: bytes) -> None: ...
    def put_build_object(self, folder: str, name: str, body: bytes) -> None: ...
    def delete_build_objects(self, folder: str, names: Collection[str]) -> None: ...


class Sessions:
    """Each method raises Unavailable or Refused. What is done twice does no harm."""

    def __init__(self, client: "STSClient", role: str, bucket: BuildObjects) -> None:
        self._client = client
        self._role = role
        self._bucket = bucket

    def prepare(self, run: Run, archive: bytes) -> None:
        """Store the archive as a record of the run, and at the same time `open` it. Nothing finds
        either before the run is claimed."""
        with ThreadPoolExecutor(1) as pool:
            recorded = pool.submit(self._bucket.put_archive, run.task, run.id, archive)
            self.open(run, archive)
            recorded.result()

    def open(self, run: Run, archive: bytes) -> None:
        """Store what the run's build starts with: its archive, with credentials for an hour. A run
        in HCP Terraform has no folder for them."""
        if not run.folder:
            return
        body = with_file(archive, SESSION, self._session(run))
        self._bucket.put_build_object(run.folder, ARCHIVE, body)

    def renew(self, run: Run) -> None:
        """Store credentials for another hour, which is the longest that AWS gives to a role that
        was assumed with another role."""
        self._bucket.put_build_object(run.folder, SESSION, self._session(run))

    def close(self, run: Run) -> None:
        """Delete what `open` and `renew` have stored, if this version has started the run."""
        if run.folder:
            self._bucket.delete_build_objects(run.folder, [ARCHIVE, SESSION])

    def _session(self, run: Run) -> bytes:
        return json.dumps({"folder": run.folder, **self.credentials(run)}).encode()

    def credentials(self, run: Run) -> dict[str, str]:
        """New credentials of the run, as a container's endpoint answers them."""
        with translated(f"assuming the role {self._role} for run {run.id}"):
            found = self._client.assume_role(
                RoleArn=self._role,
                RoleSessionName=keys.session_name(run.id),
                Tags=[{"Key": name, "Value": value} for name, value in _tags(run).items()],
            )["Credentials"]
        return {
            "AccessKeyId": found["AccessKeyId"],
            "SecretAccessKey": found["SecretAccessKey"],
            "Token": found["SessionToken"],
            "Expiration": found["Expiration"].isoformat(),
        }


def _tags(run: Run) -> dict[str, str]:
    """What the role's policy asks for: whose run it is, and which secrets it may read."""
    return {"task": run.task, "run": run.id, **dict.fromkeys(run.secrets, "yes")}
