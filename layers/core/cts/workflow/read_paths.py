"""The paths that CTS has for reading only."""

from cts.errors import NotAllowed


def not_allowed(method: str, path: str) -> NotAllowed | None:
    """How CTS refuses another method than GET there. None for GET, and for all other paths."""
    if method == "GET":
        return None
    if path == "/v1/health":
        return NotAllowed(method, "health")
    if path == "/v1/status/tasks" or path.startswith("/v1/status/tasks/"):
        return NotAllowed(method, "task status")
    if path == "/v1/status" or path.startswith("/v1/status/"):
        return NotAllowed(method, "overallStatus")
    return None
