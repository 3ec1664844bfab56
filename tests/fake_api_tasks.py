"""The objects below `config/tasks/`, in memory."""

from itertools import count

from cts.config.api_tasks import ApiTask, StoredTask


class FakeApiTasks:
    """Versions count all writes."""

    def __init__(self) -> None:
        self.stored: dict[str, StoredTask] = {}
        self._writes = count(1)

    def all(self) -> dict[str, StoredTask]:
        return dict(self.stored)

    def put(self, task: ApiTask, read: StoredTask | None) -> bool:
        if self.stored.get(task.name) != read:
            return False
        self.stored[task.name] = StoredTask(task, f"e{next(self._writes)}")
        return True

    def delete(self, name: str) -> None:
        self.stored.pop(name, None)
