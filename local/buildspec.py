"""A CodeBuild buildspec, version 0.2, and the shell script that runs its phases. Pure.

The script reports on a separate file descriptor, one line each: `start PHASE`,
`failed PHASE CODE COMMAND`, `end PHASE STATUS`, `exported NAME BASE64`. As in CodeBuild, all
commands share one shell, `finally` always runs, and POST_BUILD runs even when BUILD failed.
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import yaml

if TYPE_CHECKING:
    from collections.abc import Mapping

PHASES = ("INSTALL", "PRE_BUILD", "BUILD", "POST_BUILD")
EVEN_AFTER_FAILURE = "POST_BUILD"


class BadBuildspec(ValueError):
    """An error that CodeBuild reports as YAML_FILE_ERROR."""


@dataclass(frozen=True, slots=True)
class Phase:
    commands: tuple[str, ...] = ()
    always: tuple[str, ...] = ()  # `finally`
    continues: bool = False  # `on-failure: CONTINUE`


@dataclass(frozen=True, slots=True)
class Buildspec:
    phases: Mapping[str, Phase]
    variables: Mapping[str, str] = field(default_factory=dict)
    secrets: Mapping[str, str] = field(default_factory=dict)
    parameters: Mapping[str, str] = field(default_factory=dict)
    exported: tuple[str, ...] = ()


def parse(text: str) -> Buildspec:
    """Reads a buildspec. Raises BadBuildspec."""
    try:
        document = yaml.safe_load(text)
    except yaml.YAMLError as problem:
        raise BadBuildspec(f"The buildspec is not valid YAML: {problem}") from None
    if not isinstance(document, dict) or not isinstance(document.get("phases"), dict):
        raise BadBuildspec("The buildspec has no `phases`.")
    if str(document.get("version")) != "0.2":
        raise BadBuildspec(f"The buildspec's version is {document.get('version')}, not 0.2.")
    phases = {name.upper(): _phase(name, body) for name, body in document["phases"].items()}
    if unknown := sorted(set(phases) - set(PHASES)):
        raise BadBuildspec(f"The buildspec has unknown phases: {', '.join(unknown).lower()}.")
    environment = document.get("env") or {}
    return Buildspec(
        phases=phases,
        variables=_texts(environment.get("variables")),
        secrets=_texts(environment.get("secrets-manager")),
        parameters=_texts(environment.get("parameter-store")),
        exported=tuple(environment.get("exported-variables") or ()),
    )


def _phase(name: str, body: Any) -> Phase:
    if not isinstance(body, dict):
        raise BadBuildspec(f"The phase {name} has no commands.")
    return Phase(
        commands=_commands(body.get("commands")),
        always=_commands(body.get("finally")),
        continues=body.get("on-failure") == "CONTINUE",
    )


def _commands(value: Any) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else tuple(str(line) for line in value or ())


def _texts(value: Any) -> dict[str, str]:
    return {str(name): str(text) for name, text in (value or {}).items()}


def script(spec: Buildspec, channel: int) -> str:
    """The bash script. It reports on file descriptor `channel`, and exits 1 if a phase failed."""
    lines = [
        f"say() {{ printf '%s\\n' \"$*\" >&{channel}; }}",
        # Commands must not inherit the channel: processes they leave running would keep it open.
        f'run() {{ eval "$1" {channel}>&-; }}',
        "export CODEBUILD_BUILD_SUCCEEDING=1",
        "stopped=0",
    ]
    for name in PHASES:
        lines += _phase_lines(name, spec.phases.get(name, Phase()))
    for name in spec.exported:
        lines.append(f'say exported {name} "$(printf %s "${{{name}-}}" | base64 -w0)"')
    return "\n".join([*lines, '[ "$CODEBUILD_BUILD_SUCCEEDING" = 1 ]', ""])


def _phase_lines(name: str, phase: Phase) -> list[str]:
    # Only a failed BUILD lets a later phase run; after INSTALL or PRE_BUILD the build is over.
    lines = ["if [ $stopped = 0 ]; then", f"say start {name}", "failed=0"]
    for command in phase.commands:
        quoted = shlex.quote(command)
        lines.append(
            f"[ $failed = 0 ] && {{ run {quoted} || "
            f"{{ failed=$?; say failed {name} $failed {shlex.quote(_first_line(command))}; }}; }}"
        )
    lines += [f"run {shlex.quote(command)}" for command in phase.always]
    after = "" if phase.continues else "CODEBUILD_BUILD_SUCCEEDING=0"
    if not phase.continues and name not in ("BUILD", EVEN_AFTER_FAILURE):
        after += "; stopped=1"
    lines += [
        f"if [ $failed = 0 ]; then say end {name} SUCCEEDED",
        f"else say end {name} FAILED; {after or ':'}; fi",
        "fi",
    ]
    return lines


def _first_line(command: str) -> str:
    return command.strip().partition("\n")[0]
