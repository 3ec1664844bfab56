"""References to secrets in a task's texts: which there are, and texts with values in their place.

{{ env "NAME" }}                                            the stack's task secret
{{ key "path" }}                                            Consul's KV store
{{ with secret "path" }}{{ .Data.data.field }}{{ end }}     Vault
{{resolve:secretsmanager:NAME-OR-ARN[:SecretString[:FIELD[:STAGE[:VERSION]]]]}}
{{resolve:ssm:NAME-OR-ARN[:VERSION]}}, {{resolve:ssm-secure:...}}
"""

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any


def _template(function: str) -> re.Pattern[str]:
    """A line's first opening is tried alone: what closes a later one closes it, too. To try each
    would take quadratic time."""
    opening = rf'\{{\{{[ \t\r\n]*(?:{function})[ \t\r\n]+"'
    return re.compile(rf'^(?>[^\n]*?{opening})[^\n]+"[ \t\r\n]*\}}\}}', re.MULTILINE)


TEMPLATE = _template(r"env|key|with[ \t\r\n]+secret")
"""What makes a whole text a template, as in CTS; any other text in braces is only text."""
VAULT = _template(r"with[ \t\r\n]+secret")
ACTION = re.compile(r'\{\{((?:"(?:[^"\\\n]|\\.)*"|[^"}]|\}(?!\}))*)\}\}')
RESOLVED = re.compile(r"\{\{\s*resolve:[^{}]*(?:\}\})?")
"""A secret or a parameter of AWS, written as in CloudFormation, perhaps with mistakes. It may be in
any value."""
SECRET = "resolve:secretsmanager:"
PARAMETERS = "resolve:ssm:", "resolve:ssm-secure:"
QUOTED = r'("(?:[^"\\\n]|\\.)*")'
NAMED = re.compile(rf"(env|key)\s+{QUOTED}")
WITH = re.compile(rf"with\s+secret\s+{QUOTED}")
FIELD = re.compile(r"(?:\.\w+)+")
INDEX = re.compile(rf"index\s+((?:\.\w+)+)((?:\s+{QUOTED})+)")
PARTS_OF_ARN = {"secretsmanager": 7, "ssm": 6}


class Origin(StrEnum):
    """Where a value is."""

    TASK_SECRET = "env"
    CONSUL = "key"
    VAULT = "with secret"
    SECRETS_MANAGER = "secretsmanager"
    PARAMETER_STORE = "ssm"


@dataclass(frozen=True, slots=True)
class Reference:
    """`text`: its own, in braces. `name`: of the variable, key, secret or parameter."""

    text: str
    kind: Origin
    name: str
    field: tuple[str, ...] = ()
    """Of Vault's answer, or of a secret that is a JSON object: the way to the value. Empty: all."""
    stage: str = ""
    version: str = ""


class BadReference(ValueError):
    """`text`: what can't be evaluated. Says what to write instead."""

    def __init__(self, text: str, why: str, fix: str) -> None:
        super().__init__(f"{text} {why}: {fix}")
        self.text, self.why, self.fix = text, why, fix


def parts(text: str, *, templates: bool = True) -> list[str | Reference]:
    """A text in parts. `templates`: whether what CTS evaluates is a reference here; `{{resolve:}}`
    always is, and anything else in braces is only text. Raises BadReference."""
    is_template = templates and "{{" in text and TEMPLATE.search(text) is not None
    found, at = list[str | Reference](), 0
    inside = _With()
    trims = False
    for action in _actions(text) if is_template else RESOLVED.finditer(text):
        content = action[1] if is_template else "resolve:"
        between = text[at : action.start()]
        between = between.lstrip() if trims else between
        trims = is_template and bool(re.search(r"\s-$", content))
        if is_template and re.match(r"-\s", content):
            between, content = between.rstrip(), content[1:]
        found.append(between)
        found += inside.take(action[0], content.removesuffix("-" if trims else "").strip())
        at = action.end()
    inside.end()
    if is_template and (unclosed := RESOLVED.search(text, at)):
        _resolve(unclosed[0])
    rest = text[at:].lstrip() if trims else text[at:]
    return [each for each in (*found, rest) if each != ""]


def _actions(text: str) -> Iterator[re.Match[str]]:
    """Those of a template. What is not closed ends them: nothing behind it can be told."""
    at = 0
    while (start := text.find("{{", at)) >= 0 and (found := ACTION.match(text, start)):
        yield found
        at = found.end()


class _With:
    """Reads actions one by one, and remembers the Vault secret that fields are of."""

    def __init__(self) -> None:
        self.opened: Reference | None = None

    def take(self, text: str, content: str) -> list[Reference]:
        if content.startswith("resolve:"):
            return [_resolve(text)]
        if found := NAMED.fullmatch(content):
            return [Reference(text, Origin(found[1]), _unquoted(text, found[2]))]
        if self.opened is None and (found := WITH.fullmatch(content)):
            self.opened = Reference(text, Origin.VAULT, _unquoted(text, found[1]))
            return []
        if self.opened is not None and content == "end":
            self.opened = None
            return []
        if self.opened is not None and (way := _field(text, content)):
            whole = f"{self.opened.text}{text}{{{{ end }}}}"
            return [replace(self.opened, text=whole, field=way)]
        raise BadReference(
            text,
            "can't be evaluated",
            'write {{ env "NAME" }}, {{ key "path" }}, '
            'or {{ with secret "path" }}{{ .Data.data.field }}{{ end }}',
        )

    def end(self) -> None:
        if self.opened is not None:
            raise BadReference(self.opened.text, "does not end", "add {{ end }}")


def _field(text: str, content: str) -> tuple[str, ...]:
    """The way to a field: of `.Data.data.name`, or `index .Data.data "na-me"`."""
    if FIELD.fullmatch(content):
        return tuple(content[1:].split("."))
    if found := INDEX.fullmatch(content):
        names = (_unquoted(text, each) for each in re.findall(QUOTED, found[2]))
        return (*found[1][1:].split("."), *names)
    return ()


def _unquoted(text: str, quoted: str) -> str:
    try:
        return str(json.loads(quoted))
    except ValueError:
        why, fix = f"has an unknown escape in {quoted}", "write a backslash as \\\\"
        raise BadReference(text, why, fix) from None


def _resolve(text: str) -> Reference:
    is_whole = text.endswith("}}") and not re.search(r"\s", text)
    content = text[2:-2] if is_whole else ""
    if content.startswith(SECRET):
        kind, said = Origin.SECRETS_MANAGER, content.removeprefix(SECRET)
        name, more = _name(said, PARTS_OF_ARN[kind])
        whole, field, stage, version, *rest = (*more, *[""] * (4 - len(more)))
        if name and whole in ("", "SecretString") and not rest:
            return Reference(text, kind, name, (field,) if field else (), stage, version)
    for prefix in PARAMETERS:
        if content.startswith(prefix):
            kind, said = Origin.PARAMETER_STORE, content.removeprefix(prefix)
            name, more = _name(said, PARTS_OF_ARN[kind])
            if name and len(more) < 2 and all(map(str.isdigit, more)):
                return Reference(text, kind, name, version="".join(more))
    raise BadReference(
        text,
        "can't be evaluated",
        "write {{resolve:secretsmanager:NAME:SecretString:FIELD}}, which may end after NAME, or "
        "{{resolve:ssm:NAME}}, without spaces",
    )


def _name(said: str, of_arn: int) -> tuple[str, list[str]]:
    """The name, or an ARN, which has colons itself; and what follows it."""
    words = said.split(":")
    length = of_arn if words[0] == "arn" else 1
    return ":".join(words[:length]), words[length:]


# ---- in JSON values ------------------------------------------------------------------------------


def references(value: Any, *, templates: bool = True) -> Iterator[Reference]:
    """Those in the texts of a JSON value, at any depth; not in the names of an object's members.
    Raises BadReference."""
    match value:
        case str():
            found = parts(value, templates=templates)
            yield from (each for each in found if isinstance(each, Reference))
        case dict():
            yield from references(list(value.values()), templates=templates)
        case list() | tuple():
            for each in value:
                yield from references(each, templates=templates)


def filled(value: Any, look_up: Callable[[Reference], str], *, templates: bool = True) -> Any:
    """The JSON value with what `look_up` finds in the place of references. Raises BadReference."""
    match value:
        case str():
            found = parts(value, templates=templates)
            return "".join(look_up(e) if isinstance(e, Reference) else e for e in found)
        case dict():
            return {n: filled(each, look_up, templates=templates) for n, each in value.items()}
        case list() | tuple():
            return [filled(each, look_up, templates=templates) for each in value]
    return value
