"""Plain values to the model, with a problem for each unknown option and wrong type.

The model says what a block has: a field's type chooses how its option is read.
"""

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import replace
from typing import Any, get_args, get_origin

from cts.conditions.block import ConditionBlock
from cts.conditions.registry import condition_blocks, input_blocks
from cts.config.blocks.model import (
    Backend,
    Configuration,
    DriverBlock,
    ProviderBlock,
)
from cts.config.blocks.options import Findings, Options
from cts.config.blocks.schema import (
    Group,
    Option,
    Seconds,
    Values,
    Variables,
    known_options,
    types_of,
)
from cts.config.blocks.terraform_blocks import Free, backends, providers
from cts.config.moving import noted
from cts.config.rules.problem import Code, Problem, did_you_mean, joined
from cts.config.text.tree import Body, Entry, Value

REPEATED = ("task", "service", "terraform_provider", "module_input")


def decode(file: Value, found: Findings, *, is_hcl: bool) -> Configuration:
    """One file's configuration."""
    options = Options(file, "", found, is_hcl=is_hcl, lone_element=is_hcl)
    configuration: Configuration = read(Configuration, options)
    for entry, path in _dropped(file, ""):
        Free(found, is_hcl).overridden([entry], path)
    found.warnings.extend(_left_out(file, ""))
    return replace(configuration, secrets=tuple(found.secrets))


def _dropped(value: Value, path: str) -> Iterator[tuple[Entry, str]]:
    """The entries that a repeated JSON key overrides, each with its block."""
    if isinstance(value.data, tuple):
        for item in value.data:
            yield from _dropped(item, path)
    elif isinstance(value.data, Body):
        yield from ((entry, path) for entry in value.data.dropped)
        for entry in value.data.dropped + value.data.entries:
            yield from _dropped(entry.value, joined(path, entry.key))


def _left_out(value: Value, path: str) -> Iterator[Problem]:
    """A warning for each entry that a repeated JSON key overrides, but none for what is in it."""
    for item in value.data if isinstance(value.data, tuple) else ():
        yield from _left_out(item, path)
    if not isinstance(value.data, Body):
        return
    last = {entry.key: entry for entry in value.data.entries}
    for entry in value.data.dropped:
        what = f'{_called(entry)} is ignored: "{entry.key}" is set again at {last[entry.key].place}'
        fix = f'write a list: "{entry.key}": [...]' if entry.key in REPEATED else "write it once"
        yield Problem(entry.place, joined(path, entry.key), Code.REPEATED_BLOCK, what, fix)
    for entry in value.data.entries:
        yield from _left_out(entry.value, joined(path, entry.key))


def _called(entry: Entry) -> str:
    names = (inner.value.data for inner in entry.value.entries if inner.key.lower() == "name")
    name = next(names, None) if entry.key in REPEATED else None
    return f'{entry.key} "{name}"' if isinstance(name, str) else f'this "{entry.key}"'


def read(block: Any, options: Options) -> Any:
    """A block of the model from its options."""
    types = types_of(block)
    if block is not DriverBlock:
        _drop_labels(options)
    values = {
        name: _option(key, known, types[name], options) for name, key, known in known_options(block)
    }
    options.finish(_missing(block, options) if options.left else ("", ""))
    return block(where=options.where, **values)


def _missing(block: Any, options: Options) -> tuple[str, str]:
    """The only option that a block must have, and what to write, if it is not there."""
    required = [(key, fix) for _, key, known in known_options(block) if (fix := known.required)]
    return required[0] if len(required) == 1 and required[0][0] not in options.places else ("", "")


def _drop_labels(options: Options) -> None:
    """Report a label that the block must not have, and go on with what is inside."""
    labels = list[Entry]()
    while len(options.left) == 1 and options.left[0].is_label:
        labels += options.left
        options.left = [*labels[-1].value.entries]
    if labels:  # they are not shown: with a lost "=" they may be secrets
        what = "this block must not have a label"
        fix = f'write {options.path.rpartition(".")[2]} {{ ... }}, or "=" before a value'
        options.add(labels[0].place, Code.UNKNOWN_OPTION, "", what, fix)


def _option(key: str, known: Option, kind: Any, options: Options) -> Any:
    if kind in READERS:
        value = READERS[kind](options, key)
    elif get_origin(kind) is tuple:
        block = get_args(kind)[0]
        values = [
            each
            for n, value in enumerate(options.blocks(key))
            for each in _unlabelled(block, options.inside(f"{key}[{n}]", value), key, value)
        ]
        return tuple(_repeated(block, options, key, n, each) for n, each in enumerate(values))
    else:
        inside = options.block(key)
        return read(kind, inside) if inside else None
    if known.secret:
        _secrets(known, known.secret, options, key)
    return value


def _repeated(block: type[Any], outer: Options, key: str, number: int, value: Value) -> Any:
    options = outer.inside(f"{key}[{number}]", value)
    name = options.peek("name")
    if name:
        options.path = f"{key}.{name}"
    return read(block, options)


def _unlabelled(block: type[Any], options: Options, key: str, value: Value) -> list[Value]:
    """The block, or those in it that have labels, which are a problem. They are then read as if
    they had the names inside."""
    labels = options.left
    if not labels or not all(_is_label(each, block) for each in labels):
        return [value]
    fix = f'write the name inside: {key} {{ name = "..." }}'
    if not options.is_hcl:
        fix = f'write the name inside: "{key}": [{{"name": "...", ...}}]'
    made = list[Value]()
    for label in labels:
        options.add(label.place, Code.UNKNOWN_OPTION, label.key, f"a {key} can't have a label", fix)
        inside = label.value
        while len(inside.entries) == 1 and inside.entries[0].is_label:
            inside = inside.entries[0].value
        name = Entry("name", label.place, Value(label.place, label.key))
        is_named = any(each.key.lower() == "name" for each in inside.entries)
        entries = inside.entries if is_named else (name, *inside.entries)
        made.append(Value(inside.place, Body(entries)))
    return made


def _is_label(entry: Entry, block: type[Any]) -> bool:
    """Whether it is a label, or a name and the object that it is for."""
    if entry.is_label or not entry.value.entries:
        return entry.is_label
    required = {key: bool(known.required) for _, key, known in known_options(block)}
    inside = (each.key.lower() for each in entry.value.entries)
    return entry.key.lower() not in required and any(required.get(each) for each in inside)


def _values(options: Options, key: str) -> dict[str, Any] | None:
    """Free values by name; several blocks are one, the last of a name counts."""
    entries = options.entries(key)
    if not entries:
        return None
    # A module's variables are no secrets of a provider: nothing is moved out of them.
    is_hcl = options.is_hcl and key == "required_providers"
    free = Free(options.found, is_hcl, finds_secrets=False)
    path = f"{options.path}.{key}"
    inner = tuple(item for entry in entries for item in options.inner(key, entry))
    options.places |= {f"{key}.{item.key}": item.value.place for item in inner}
    last = {item.key: item for item in inner}
    return free.body(Body(tuple(last.values())), path)


def _variables(options: Options, key: str) -> dict[str, str] | None:
    """Environment variables, whose secrets are noted, even those that a later value overrides."""
    found_here = Findings()
    free = Free(found_here, options.is_hcl)

    def text(name: str, value: Value) -> str | None:
        path = f"{key}.{name}"
        found = options.as_text(path, value)
        if found is not None:
            free.value(replace(value, data=found), f"{options.path}.{path}", name)
        return found

    texts = options.by_name(key, text)
    options.found.warnings.extend(found_here.warnings)
    last = {options.path_of(name): place for name, place in options.places.items()}
    options.found.secrets.extend(
        replace(each, is_ignored=each.where.place != last[each.where.path])
        for each in found_here.secrets
    )
    return texts


def _secrets(known: Option, group: Group, options: Options, key: str) -> None:
    """Note each secret that is written out, even one that a later value overrides. A reference
    is not a secret."""
    values = options.values.get(key, ())
    for n, value in enumerate(values, 1):
        if text := options.as_text(key, value):
            where = replace(options.where.at(key), place=value.place)
            noted_here = noted(
                replace(value, data=text),
                where,
                group,
                known.name,
                is_named=True,
                is_file=known.is_file,
            )
            ignored = n < len(values)
            options.found.secrets.extend(replace(each, is_ignored=ignored) for each in noted_here)


def _condition(options: Options, key: str) -> ConditionBlock | None:
    inside = options.block(key)
    return _typed(inside, key, condition_blocks()) if inside else None


def _inputs(options: Options, key: str) -> tuple[ConditionBlock, ...]:
    known = input_blocks()
    made = [
        _typed(options.inside(f"{key}[{n}]", value), key, known)
        for n, value in enumerate(options.blocks(key))
    ]
    return tuple(each for each in made if each is not None)


def _typed(
    options: Options, key: str, known: Mapping[str, type[ConditionBlock]]
) -> ConditionBlock | None:
    """The block inside, of the type that the label names. Types match exactly, unlike options.

    JSON may give several types in one object: CTS takes the first in its list of types.
    """
    entries = {entry.key: entry for entry in options.left}
    types = [name for name in known if name in entries]
    wanted = f'write {key} "..." {{ }} with one of {", ".join(known)}'
    for name, entry in _unknown_types(entries, known):
        what, label = f'there is no {key} "{name}"', entry.value.data
        is_block = isinstance(label, Body)
        fix = (did_you_mean(name.lower(), known) if is_block else "") or wanted
        if isinstance(label, str) and label in known:
            fix = options.as_block(key, label)
        options.add(entry.place, Code.CONDITION_TYPE, name, what, fix)
    if not entries:
        options.add(options.place, Code.CONDITION_TYPE, "", f"the {key} has no type", wanted)
    for name in types[1:]:
        what = f'"{name}" is ignored: the {key} already has the type "{types[0]}"'
        options.warn(entries[name].place, Code.CONDITION_TYPE, name, what, "keep only one of them")
    if not types:
        return None
    value, fix = entries[types[0]].value, options.as_block(key, types[0])
    found = options.bodies(types[0], entries[types[0]], fix)
    if not value.items:
        options.wrong(types[0], value, "must be a block", fix)
    if len(found) > 1:
        what = f"only one {key} block is allowed here"
        options.add(found[-1].place, Code.REPEATED_BLOCK, types[0], what)
    inside = options.inside(types[0], found[0], lone_element=True) if found else None
    made: ConditionBlock | None = read(known[types[0]], inside) if inside else None
    return made


def _unknown_types(entries: Mapping[str, Entry], known: Collection[str]) -> list[tuple[str, Entry]]:
    """Of options without a type only one, the one that names a type if any does: all of them are
    one mistake."""
    unknown = [(name, entry) for name, entry in entries.items() if name not in known]
    options = [each for each in unknown if not isinstance(each[1].value.data, Body)]
    if len(unknown) < len(entries) or len(options) < len(unknown):
        return unknown
    return sorted(options, key=lambda each: each[1].value.data not in known)[:1]


READERS: Mapping[Any, Callable[[Options, str], Any]] = {
    str: Options.text,
    bool: Options.flag,
    int: Options.integer,
    Seconds: Options.seconds,
    tuple[str, ...]: Options.texts,
    Mapping[str, str]: Options.texts_by_name,
    Values: _values,
    Variables: _variables,
    ConditionBlock: _condition,
    tuple[ConditionBlock, ...]: _inputs,
    tuple[ProviderBlock, ...]: providers,
    tuple[Backend, ...]: backends,
}
