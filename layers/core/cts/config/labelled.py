"""The blocks whose label says what they hold: conditions, module inputs, providers, backends."""

from collections.abc import Callable, Mapping
from typing import Any

from cts.config.free import Free
from cts.config.model import (
    Backend,
    CatalogServicesCondition,
    Condition,
    Group,
    Input,
    KvCondition,
    KvInput,
    NoCondition,
    Provider,
    ScheduleCondition,
    ServicesCondition,
    ServicesInput,
)
from cts.config.options import Options
from cts.config.problem import Code, did_you_mean
from cts.config.tree import Body, Entry, Value

Read = Callable[[type[Any], Options], Any]

CONDITIONS: Mapping[str, type[Condition]] = {
    "no-condition": NoCondition,
    "catalog-services": CatalogServicesCondition,
    "services": ServicesCondition,
    "consul-kv": KvCondition,
    "schedule": ScheduleCondition,
}
INPUTS: Mapping[str, type[Input]] = {"services": ServicesInput, "consul-kv": KvInput}
RESERVED = ("alias", "auto_commit", "task_env")


def condition(options: Options, key: str, read: Read) -> Condition | None:
    inside = options.block(key)
    made: Condition | None = _typed(inside, key, CONDITIONS, read) if inside else None
    return made


def inputs(options: Options, key: str, read: Read) -> tuple[Input, ...]:
    made = [
        _typed(options.inside(f"{key}[{n}]", value), key, INPUTS, read)
        for n, value in enumerate(options.blocks(key))
    ]
    return tuple(each for each in made if each is not None)


def _typed(options: Options, key: str, known: Mapping[str, type[Any]], read: Read) -> Any:
    """The block inside, of the type that the label names. Types match exactly, unlike options.

    JSON may give several types in one object: CTS takes the first of its own list.
    """
    entries = {entry.key: entry for entry in options.left}
    types = [name for name in known if name in entries]
    wanted = f'write {key} "..." {{ }} with one of {", ".join(known)}'
    for name, entry in entries.items():
        if name not in known:
            what = f'there is no {key} "{name}"'
            fix = did_you_mean(name.lower(), known) or wanted
            options.add(entry.place, Code.CONDITION_TYPE, name, what, fix)
    if not entries:
        options.add(options.place, Code.CONDITION_TYPE, "", f"the {key} has no type", wanted)
    for name in types[1:]:
        what = f'"{name}" is left out: "{types[0]}" stands beside it'
        options.warn(entries[name].place, Code.CONDITION_TYPE, name, what, "write one of them")
    if not types:
        return None
    found = options.bodies(types[0], entries[types[0]])
    if len(found) > 1:
        what = f"only one {key} block is allowed here"
        options.add(found[-1].place, Code.REPEATED_BLOCK, types[0], what)
    inside = options.inside(types[0], found[0], lone_element=True) if found else None
    return read(known[types[0]], inside) if inside else None


def providers(options: Options, key: str) -> tuple[Provider, ...]:
    blocks = options.blocks(key)
    if options.is_hcl:
        _mixed(options, key, blocks)
    made = [_provider(options, f"{key}[{n}]", value) for n, value in enumerate(blocks)]
    return tuple(each for each in made if each)


def _mixed(options: Options, key: str, blocks: list[Value]) -> None:
    """HCL 1 reads blocks of one name either all with a label or all without."""
    labelled = [_is_labelled(value) for value in blocks]
    if any(labelled) and not all(labelled):
        what = f"a {key} without a name stands beside one with a name"
        place = blocks[labelled.index(False)].place
        options.add(place, Code.MISSING_OPTION, key, what, f'write {key} "..." {{ }}')


def _is_labelled(value: Value) -> bool:
    return isinstance(value.data, Body) and any(entry.is_label for entry in value.data.entries)


def _provider(options: Options, key: str, value: Value) -> Provider | None:
    entries = value.data.entries if isinstance(value.data, Body) else ()
    if len(entries) != 1 or not isinstance(entries[0].value.data, Body):
        what = "the provider has no name" if not entries else "this is not one provider with a name"
        fix = 'write terraform_provider "..." { ... }'
        options.add(value.place, Code.MISSING_OPTION, key, what, fix)
        return None
    name, body = entries[0].key, entries[0].value.data
    inside = options.inside(f"terraform_provider.{name}", Value(value.place, body))
    inside.path = f"terraform_provider.{name}"
    alias = _alias(inside)
    if alias:
        inside.path += f".{alias}"
    arguments = Body(tuple(entry for entry in body.entries if entry.key not in RESERVED))
    free = Free(options.found, options.is_hcl, is_provider=True)
    return Provider(
        where=inside.where,
        name=name,
        alias=alias,
        auto_commit=any(e.key == "auto_commit" and e.value.data is True for e in body.entries),
        task_env=_task_env(inside, free, body),
        arguments=free.body(arguments, inside.path),
    )


def _alias(options: Options) -> str:
    entry = next((each for each in reversed(options.left) if each.key == "alias"), None)
    if entry is None or entry.value.data is None:
        return ""
    alias = options.lone(entry.value).data
    options.places["alias"] = entry.value.place
    if isinstance(alias, str):
        return alias
    options.wrong("alias", entry.value, "expected a string")
    return ""


def _task_env(options: Options, free: Free, body: Body) -> dict[str, str]:
    entries = [entry for entry in body.entries if entry.key == "task_env"]
    if not entries:
        return {}
    if len(entries) > 1 or not isinstance(options.lone(entries[0].value).data, Body):
        options.wrong("task_env", entries[-1].value, "expected one block of names and strings")
        return {}
    env = free.option(entries, f"{options.path}.task_env")
    inner = {entry.key: entry for entry in options.inner("task_env", entries[0])}
    for name, value in env.items():
        if not isinstance(value, str):
            options.wrong(f"task_env.{name}", inner[name].value, "expected a string")
    return {name: value for name, value in env.items() if isinstance(value, str)}


def backends(options: Options, key: str) -> tuple[Backend, ...]:
    """One backend for each type that is written; of one type the last block alone counts."""
    found: dict[str, Backend] = {}
    for entry in options.entries(key):
        for body in options.bodies(key, entry):
            for each in body.data.entries if isinstance(body.data, Body) else ():
                found[each.key] = _backend(options, each)
    return tuple(found.values())


def _backend(options: Options, entry: Entry) -> Backend:
    inside = options.inside(f"backend.{entry.key}", Value(entry.place, entry.value.data))
    body = options.lone(entry.value).data
    if not isinstance(body, Body):
        options.wrong(f"backend.{entry.key}", entry.value, "expected a block of options")
        body = Body()
    free = Free(options.found, options.is_hcl, Group.TASK)
    return Backend(inside.where, entry.key, free.body(body, inside.path))
