"""Bodies whose options only Terraform knows: of providers, backends, required providers."""

from dataclasses import dataclass
from typing import Any

from cts.config.model import Group, Secret
from cts.config.options import Found
from cts.config.problem import Code, Place, Problem, Where
from cts.config.secrets import env_name, looks_secret
from cts.config.tree import Body, Entry, Value


@dataclass(frozen=True, slots=True)
class Free:
    """Reads one body. In HCL a list of one element is its element, as in CTS."""

    found: Found
    is_hcl: bool
    group: Group = Group.TASK
    is_provider: bool = False
    """Terraform's providers take no lists of objects from CTS, and no repeated blocks."""

    def body(self, body: Body, path: str) -> dict[str, Any]:
        by_key: dict[str, list[Entry]] = {}
        for entry in body.entries:
            by_key.setdefault(entry.key, []).append(entry)
        return {key: self.option(entries, f"{path}.{key}") for key, entries in by_key.items()}

    def option(self, entries: list[Entry], path: str) -> Any:
        values = [entry.value for entry in entries]
        blocks = [value for value in values if isinstance(value.data, Body)]
        if blocks and len(values) > 1:
            what = "a block of this name stands here already"
            fix = "write it once: it cannot be told which one is meant"
            self.problem(entries[-1].place, Code.REPEATED_BLOCK, path, what, fix)
        if all(isinstance(value.data, tuple) for value in values):
            items = [item for value in values for item in _items(value)]
            last = Value(values[-1].place, tuple(items), values[-1].start, values[-1].end)
        else:
            last = values[-1]
        match last.data:
            case (only,) if self.is_hcl:
                last = only
        return self.value(last, path, entries[-1].key)

    def value(self, value: Value, path: str, key: str) -> Any:
        match value.data:
            case Body() as body:
                return self.body(body, path)
            case tuple() as items:
                if self.is_provider and any(isinstance(item.data, Body) for item in items):
                    what = "a list of objects cannot be an argument of a provider here"
                    self.problem(value.place, Code.WRONG_TYPE, path, what, "write one block")
                return [self.value(item, f"{path}[{n}]", key) for n, item in enumerate(items)]
        if looks_secret(key, value.data):
            where = Where(path, value.place, {})
            self.found.secrets.append(
                Secret(
                    where, self.group, env_name(path), value.place.file, value.start, value.end,
                    str(value.data),
                )
            )  # fmt: skip
        return value.data

    def problem(self, place: Place, code: Code, path: str, what: str, fix: str = "") -> None:
        self.found.problems.append(Problem(place, path, code, what, fix))


def _items(value: Value) -> tuple[Value, ...]:
    return value.data if isinstance(value.data, tuple) else (value,)
