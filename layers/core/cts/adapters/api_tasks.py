"""The objects below `config/tasks/`: what people have made of tasks through the API."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from cts import keys
from cts.adapters.aws_errors import code_of, translated
from cts.config.api_tasks import ApiTask, StoredTask
from cts.errors import Unreadable

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

AT_ONCE = 10
"""Number of objects to read at once: the size of botocore's connection pool."""
WAS_FASTER = frozenset({"PreconditionFailed", "NoSuchKey", "ConditionalRequestConflict"})
"""S3's responses if the object was written or deleted meanwhile."""


class ApiTasks:
    """Versions are ETags: a list has no other ones."""

    def __init__(self, client: "S3Client", bucket: str) -> None:
        self._client = client
        self._bucket = bucket
        self._read: dict[str, StoredTask] = {}

    def all(self) -> dict[str, StoredTask]:
        """By task. What has not changed since the last time is not read again."""
        versions = self._versions()
        known = {
            name: each
            for name, each in self._read.items()
            if name in versions and versions[name] == each.version
        }
        new = [name for name in versions if name not in known]
        get = self._client.get_object  # here: a client must not be built in a thread
        with ThreadPoolExecutor(AT_ONCE) as pool:
            found = pool.map(lambda name: self._get(get, name), new)
            known |= {each.task.name: each for each in found if each is not None}
        self._read = known
        return dict(known)

    def put(self, task: ApiTask, read: StoredTask | None) -> bool:
        """False if it was written or deleted since it was read."""
        key = keys.api_task(task.name)
        condition: Any = {"IfMatch": read.version} if read else {"IfNoneMatch": "*"}
        with translated(f"writing {key}"):
            try:
                self._client.put_object(
                    Bucket=self._bucket, Key=key, Body=task.to_json(), **condition
                )
            except ClientError as error:
                if code_of(error) in WAS_FASTER:
                    return False
                raise
        return True

    def delete(self, name: str, read: StoredTask) -> bool:
        """False if it was written since it was read."""
        key = keys.api_task(name)
        with translated(f"deleting {key}"):
            try:
                self._client.delete_object(Bucket=self._bucket, Key=key, IfMatch=read.version)
            except ClientError as error:
                if code_of(error) not in WAS_FASTER:
                    raise
                return code_of(error) == "NoSuchKey"
        return True

    def _versions(self) -> dict[str, str]:
        found: dict[str, str] = {}
        with translated(f"listing {keys.API_TASKS}"):
            pages = self._client.get_paginator("list_objects_v2").paginate(
                Bucket=self._bucket, Prefix=keys.API_TASKS
            )
            for page in pages:
                for each in page.get("Contents", []):
                    found[each["Key"].removeprefix(keys.API_TASKS)] = each["ETag"]
        return found

    def _get(self, get: Any, name: str) -> StoredTask | None:
        """None if it was deleted meanwhile."""
        key = keys.api_task(name)
        with translated(f"reading {key}"):
            try:
                found = get(Bucket=self._bucket, Key=key)
            except ClientError as error:
                if code_of(error) == "NoSuchKey":
                    return None
                raise
            with closing(found["Body"]) as body:
                content = body.read()
        try:
            return StoredTask(ApiTask.from_json(content), found["ETag"])
        except ValueError as error:
            what = f"reading {key}: it is not what the API writes ({error})"
            raise Unreadable(f"{what}. Delete its newest version") from error
