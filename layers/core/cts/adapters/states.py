"""The state bucket, as far as the poller may see it: names."""

from typing import TYPE_CHECKING

from cts.adapters.aws_errors import translated

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


class States:
    def __init__(self, client: "S3Client", bucket: str) -> None:
        self._client, self._bucket = client, bucket

    def has_state(self, task: str) -> bool:
        """Whether there is a Terraform state of the task. Raises Unavailable or Refused."""
        key = f"tasks/{task}/terraform.tfstate"
        with translated(f"looking for {key}"):
            found = self._client.list_objects_v2(Bucket=self._bucket, Prefix=key)
        return any(each["Key"] == key for each in found.get("Contents", []))
