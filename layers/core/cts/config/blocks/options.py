"""Reading a block's options one by one, by name and type, with CTS's weak typing.

A number is also text, a lone value is also a list, "true" is also true; what cannot be
converted is a problem. Keys match in any letter case, but one spelling per block.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from functools import partial

from cts.build.masking import SECRET_NAME
from cts.conditions.registry import ROOMS
from cts.config.blocks import go_values
from cts.config.blocks.former import former
from cts.config.blocks.go_values import FALSE, MOST_NANOSECONDS, NANOSECONDS, TRUE
from cts.config.blocks.lists_in_text import lists_in_text
from cts.config.blocks.model import WrittenSecret
from cts.config.blocks.schema import Seconds
from cts.config.limits import MOST_FINDINGS, MOST_SECRETS, Few
from cts.config.rules.problem import Code, Place, Problem, Where, joined, nearest
from cts.config.text.tree import Body, Entry, Value

LABELLED = {"backend", "condition", "driver", "module_input", "source_input", "terraform_provider"}
LABELS = {*ROOMS, "terraform", "terraform-cloud"}
A_STRING = 'write a string in quotes: "..."'


@dataclass(frozen=True, slots=True)
class Findings:
    """What reading a file yields besides its options."""

    problems: list[Problem] = field(default_factory=Few)
    warnings: list[Problem] = field(default_factory=Few)
    secrets: list[WrittenSecret] = field(default_factory=partial(Few, MOST_SECRETS))


class Options:
    """The options of one block. Ask for each, then call `finish`."""

    def __init__(
        self, value: Value, path: str, found: Findings, *, is_hcl: bool, lone_element: bool
    ) -> None:
        self.place, self.path, self.found = value.place, path, found
        self.is_hcl = is_hcl
        self.lone_element = lone_element
        """A list of one element stands for its element (HCL, and JSON inside conditions)."""
        self.left = [*value.entries]
        self.places: dict[str, Place] = {}
        self.values: dict[str, list[Value]] = {}
        """All values of a key, the last one counts."""
        self.known: set[str] = set()

    @property
    def where(self) -> Where:
        return Where(self.path, self.place, self.places)

    def text(self, key: str) -> str | None:
        return None if (value := self.scalar(key)) is None else self.as_text(key, value)

    def flag(self, key: str) -> bool | None:
        if (value := self.scalar(key)) is None:
            return None
        match value.data:
            case bool() | int() | float():
                return bool(value.data)
            case str() as text if text in TRUE | FALSE:
                return text in TRUE
        self.wrong(key, value, "must be true or false", "write one of them", shows=True)
        return None

    def integer(self, key: str) -> int | None:
        """A whole number; text as Go reads it, in any base. What follows the point is dropped."""
        if (value := self.scalar(key)) is None:
            return None
        match value.data:
            case bool() | int() | float():
                return int(value.data)
            case "":
                return 0
            case str() as text if (number := go_values.integer(text)) is not None:
                return number
        self.wrong(key, value, "must be a whole number", "write digits only, as in 5", shows=True)
        return None

    def seconds(self, key: str) -> Seconds | None:
        """A duration as Go writes it: "1m30s". A bare number is nanoseconds, as in CTS."""
        if (value := self.scalar(key)) is None:
            return None
        nanoseconds: Decimal | None = None
        match value.data:
            case int() | float():
                number = int(value.data)
                nanoseconds = Decimal(number)
                if number and abs(number) < NANOSECONDS["ms"]:
                    what = f"a bare number is nanoseconds: this is {number} ns"
                    self.warn(value.place, Code.INVALID_VALUE, key, what, f'write "{number}s"')
            case str() as text:
                nanoseconds = go_values.nanoseconds(text)
        if nanoseconds is not None and abs(nanoseconds) < MOST_NANOSECONDS:
            return Seconds(float(nanoseconds) / NANOSECONDS["s"])
        must, fix = go_values.duration_fault(value.data)
        self.wrong(key, value, must, fix, shows=True)
        return None

    def texts(self, key: str) -> tuple[str, ...] | None:
        """A list of strings. Repeated lists are concatenated; of repeated lone values the last
        counts."""
        entries = self.entries(key)
        if not entries:
            return None
        if not all(isinstance(entry.value.data, tuple) for entry in entries):
            entries = entries[-1:]
        items = [item for entry in entries for item in self.items(entry.value)]
        self.places |= {f"{key}[{n}]": item.place for n, item in enumerate(items)}
        texts = [item.data if isinstance(item.data, str) else "" for item in items]
        for item, (what, fix) in zip(items, lists_in_text(key, texts), strict=True):
            if what:
                self.warn(item.place, Code.INVALID_VALUE, key, what, fix)
        found = [self.as_text(key, item, "must contain only strings") for item in items]
        return tuple(text for text in found if text is not None)

    def items(self, value: Value) -> tuple[Value, ...]:
        """JSON's empty object is an empty list, as in CTS."""
        return () if value.data == Body() and not self.is_hcl else value.items

    def texts_by_name(self, key: str) -> dict[str, str] | None:
        """Names and texts; several blocks are one."""
        return self.by_name(key, lambda name, value: self.as_text(f"{key}.{name}", value))

    def by_name(self, key: str, read: Callable[[str, Value], str | None]) -> dict[str, str] | None:
        """`read`: the text that a name has, or None."""
        entries = self.entries(key)
        if not entries:
            return None
        texts: dict[str, str] = {}
        for entry in entries:
            for item in self.inner(key, entry):
                value = self.lone(item.value)
                self.places[f"{key}.{item.key}"] = value.place
                if (text := read(item.key, value)) is not None:
                    texts[item.key] = text
        return texts

    def inner(self, key: str, entry: Entry) -> list[Entry]:
        return [item for body in self.bodies(key, entry) for item in body.entries]

    def block(self, key: str) -> "Options | None":
        """The one block of this name. JSON writes it as an object, never as a list."""
        entries = self.entries(key)
        blocks = [value for entry in entries for value in self.bodies(key, entry)]
        is_list = any(isinstance(entry.value.data, tuple) for entry in entries)
        if blocks and (len(blocks) > 1 or (is_list and not self.lone_element)):
            what, fix = f"only one {key} block is allowed here", ""
            if len(blocks) == 1:
                what, fix = f"{key} must be an object, not a list", "remove the square brackets"
            self.add(blocks[-1].place, Code.REPEATED_BLOCK, key, what, fix)
        return self.inside(key, blocks[0]) if blocks else None

    def blocks(self, key: str) -> list[Value]:
        """All blocks of this name, also those written as a list of objects. A lone empty one
        vanishes, as in CTS."""
        entries = self.entries(key)
        if len(entries) == 1 and entries[0].value.data == Body():
            return []
        return [value for entry in entries for value in self.bodies(key, entry)]

    def bodies(self, key: str, entry: Entry, fix: str = "") -> list[Value]:
        """`fix`: what to write instead of what is not a block, of which the first is reported."""
        found, is_told = list[Value](), False
        for item in entry.value.items:
            if isinstance(item.data, Body):
                place = item.place if isinstance(entry.value.data, tuple) else entry.place
                found.append(Value(place, item.data))
            elif not is_told:
                self.wrong(key, item, "must be a block", fix or self.as_block(key, item.data))
                is_told = True
        return found

    def as_block(self, key: str, label: object = "") -> str:
        """What to write. `label`: shown if it is one that is known."""
        if key not in LABELLED:
            return f"write {key} {{ ... }}" if self.is_hcl else f'write "{key}": {{...}}'
        shown = label if label in LABELS else "..."
        if self.is_hcl:
            return f'write {key} "{shown}" {{ ... }}'
        return f'write "{key}": {{"{shown}": {{...}}}}'

    def inside(self, key: str, value: Value, *, lone_element: bool = False) -> "Options":
        path = self.path_of(key)
        lone_element = lone_element or self.lone_element
        return Options(value, path, self.found, is_hcl=self.is_hcl, lone_element=lone_element)

    def finish(self, missing: tuple[str, str] = ("", "")) -> None:
        """Report the options that no block has read. `missing`: the option that an unknown one is
        most likely meant for, and what to write."""
        for entry in self.left[: MOST_FINDINGS + 1]:
            if not entry.is_label:
                self.unknown(entry, missing if len(self.left) == 1 else ("", ""))
                continue
            block = self.path.rpartition(".")[2]
            what = f'there is no {block} "{entry.key}"'
            self.add(entry.place, Code.UNKNOWN_OPTION, entry.key, what)

    def unknown(self, entry: Entry, missing: tuple[str, str]) -> None:
        path = self.path_of(entry.key)
        if found := former(self.path, entry.key):
            what, fix, meant = found.what, found.fix, found.meant
        elif meant := nearest(entry.key.lower(), self.known):
            what, fix = "unknown option", f'did you mean "{meant}"?'
        else:
            what, (meant, fix) = "unknown option", missing
        problem = Problem(entry.place, path, Code.UNKNOWN_OPTION, what, fix, meant)
        self.found.problems.append(problem)

    def entries(self, key: str) -> list[Entry]:
        """The entries of a key, in its exact spelling if there is one, taken off what is left."""
        self.known.add(key)
        if not self.left:
            return []
        near = [entry for entry in self.left if entry.key.lower() == key]
        if not near:
            return []
        spelling = key if any(entry.key == key for entry in near) else near[0].key
        found = [entry for entry in near if entry.key == spelling]
        self.left = [entry for entry in self.left if entry.key != spelling]
        set_ = [entry for entry in found if entry.value.data is not None]
        if set_:
            self.places[key] = set_[-1].value.place
        return set_

    def peek(self, key: str) -> str | None:
        """A text that is asked for later."""
        near = [entry.value for entry in self.left if entry.key.lower() == key]
        value = self.lone(near[-1]).data if near else None
        return value if isinstance(value, str) else None

    def scalar(self, key: str) -> Value | None:
        """The last value of a key."""
        entries = self.entries(key)
        if not entries:
            return None
        self.values[key] = [self.lone(entry.value) for entry in entries]
        return self.values[key][-1]

    def lone(self, value: Value) -> Value:
        """The value, taken out of a list of one where that is allowed."""
        match value.data:
            case (only,) if self.lone_element:
                return only
        return value

    def as_text(self, key: str, value: Value, must: str = "must be a string") -> str | None:
        match value.data:
            case str() as text:
                return text
            case bool() as flag:
                return "1" if flag else "0"
            case int() | float() as number:
                return format(Decimal(str(number)), "f")
        self.wrong(key, value, must, A_STRING)
        return None

    def wrong(self, key: str, value: Value, must: str, fix: str, *, shows: bool = False) -> None:
        """`shows` the value, unless the option has the name of a secret. A value in the place of a
        block or a list may be anything, even a secret."""
        is_hidden = not shows or bool(SECRET_NAME.search(self.path_of(key)))
        name = key.rpartition(".")[2]
        what = f"{name} {must}, not {_shown(value, is_hidden=is_hidden)}"
        self.add(value.place, Code.WRONG_TYPE, key, what, fix)

    def add(self, place: Place, code: Code, key: str, what: str, fix: str = "") -> None:
        self.found.problems.append(Problem(place, self.path_of(key), code, what, fix))

    def warn(self, place: Place, code: Code, key: str, what: str, fix: str = "") -> None:
        self.found.warnings.append(Problem(place, self.path_of(key), code, what, fix))

    def path_of(self, key: str) -> str:
        return joined(self.path, key)


def _shown(value: Value, *, is_hidden: bool) -> str:
    match value.data:
        case Body():
            return "a block"
        case tuple():
            return "a list"
        case bool() as flag:
            return str(flag).lower()
        case None:
            return "null"
        case str() as text:
            return "a string" if is_hidden else f'"{text[:40]}"'
        case number:
            return "a number" if is_hidden else str(number)[:40]
