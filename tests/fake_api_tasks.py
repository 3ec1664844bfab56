"""The objects below `config/tasks/`, in memory."""

from cts.config.api_tasks import ApiTask, StoredTask
from cts.watch.snapshot import digest_of


class FakeApiTasks:
    """Versions are digests, as S3's are."""

    def __init__(self) -> None:
        self.stored: dict[str, StoredTask] = {}

    def all(self) -> dict[str, StoredTask]:
        return dict(self.stored)

    def put(self, task: ApiTask, read: StoredTask | None) -> bool:
        if not self._is_as(task.name, read):
            return False
        self.stored[task.name] = StoredTask(task, digest_of(task.to_json()))
        return True

    def delete(self, name: str, read: StoredTask) -> bool:
        if name in self.stored and not self._is_as(name, read):
            return False
        self.stored.pop(name, None)
        return True

    def _is_as(self, name: str, read: StoredTask | None) -> bool:
        stored = self.stored.get(name)
        return (stored and stored.version) == (read and read.version)
