"""Applies a StartBuild request to its project. Pure."""

from __future__ import annotations

from typing import Any

# The supported parameters of StartBuild, and where each goes in the project's settings.
OVERRIDES = {
    "sourceTypeOverride": ("source", "type"),
    "sourceLocationOverride": ("source", "location"),
    "buildspecOverride": ("source", "buildspec"),
    "imageOverride": ("environment", "image"),
    "computeTypeOverride": ("environment", "computeType"),
    "environmentTypeOverride": ("environment", "type"),
    "privilegedModeOverride": ("environment", "privilegedMode"),
    "timeoutInMinutesOverride": ("timeoutInMinutes",),
    "queuedTimeoutInMinutesOverride": ("queuedTimeoutInMinutes",),
    "serviceRoleOverride": ("serviceRole",),
    "logsConfigOverride": ("logsConfig",),
}
OTHER_PARAMETERS = {
    "projectName", "sourceVersion", "environmentVariablesOverride", "idempotencyToken",
}  # fmt: skip
LIMITS = {"timeoutInMinutesOverride": (5, 2160), "queuedTimeoutInMinutesOverride": (5, 480)}


class Refused(Exception):
    """The response is an error with this code."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


def settings(project: dict[str, Any], request: dict[str, Any]) -> dict[str, Any]:
    """The project with the request's overrides. Raises Refused."""
    if unknown := sorted(set(request) - set(OVERRIDES) - OTHER_PARAMETERS):
        raise Refused("InvalidInputException", f"Not supported here: {', '.join(unknown)}")
    for name, (least, most) in LIMITS.items():
        if name in request and not least <= request[name] <= most:
            raise Refused("InvalidInputException", f"{name} must be from {least} to {most}")
    settings = {
        **project,
        "source": dict(project["source"]),
        "environment": dict(project["environment"]),
    }
    for name, place in OVERRIDES.items():
        if name in request:
            target = settings if len(place) == 1 else settings[place[0]]
            target[place[-1]] = request[name]
    variables = settings["environment"].get("environmentVariables", [])
    replaced = {
        v["name"]: v for v in [*variables, *request.get("environmentVariablesOverride", [])]
    }
    settings["environment"]["environmentVariables"] = list(replaced.values())
    return settings
