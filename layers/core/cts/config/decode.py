"""Plain values to the model, with a problem for each unknown option and wrong type.

The model says what a block has: a field's type chooses how its option is read.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, get_args, get_origin

from cts.config.free import Free
from cts.config.labelled import backends, condition, inputs, providers
from cts.config.model import (
    Backend,
    Condition,
    Configuration,
    Expressions,
    Input,
    Provider,
    Seconds,
    Secret,
    Values,
    about,
    key_of,
    options_of,
    types_of,
)
from cts.config.options import Found, Options
from cts.config.problem import Code
from cts.config.secrets import TEMPLATE
from cts.config.tree import Body, Value

if TYPE_CHECKING:
    from dataclasses import Field

Reader = Callable[[Options, str], Any]

READERS: Mapping[Any, Reader] = {
    str: Options.text,
    bool: Options.flag,
    int: Options.integer,
    Seconds: Options.seconds,
    tuple[str, ...]: Options.texts,
    Mapping[str, str]: Options.texts_by_name,
    Expressions: Options.texts_by_name,
    Values: lambda options, key: _values(options, key),  # noqa: PLW0108  defined below
    Condition: lambda options, key: condition(options, key, read),
    tuple[Input, ...]: lambda options, key: inputs(options, key, read),
    tuple[Provider, ...]: providers,
    tuple[Backend, ...]: backends,
}


def decode(file: Value, found: Found, *, is_hcl: bool) -> Configuration:
    """One file's configuration."""
    options = Options(file, "", found, is_hcl=is_hcl, lone_element=is_hcl)
    configuration: Configuration = read(Configuration, options)
    return replace(configuration, secrets=tuple(found.secrets))


def read(block: Any, options: Options) -> Any:
    """A block of the model from its options."""
    types = types_of(block)
    values = {each.name: _option(each, types[each.name], options) for each in options_of(block)}
    options.finish()
    return block(where=options.where, **values)


def _option(of: "Field[Any]", kind: Any, options: Options) -> Any:
    key = key_of(of)
    if kind in READERS:
        value = READERS[kind](options, key)
    elif get_origin(kind) is tuple:
        blocks = enumerate(options.blocks(key))
        return tuple(_repeated(get_args(kind)[0], options, key, n, value) for n, value in blocks)
    else:
        inside = options.block(key)
        return read(kind, inside) if inside else None
    if about(of).secret and value:
        _secret(of, value, options, key)
    return value


def _repeated(block: type[Any], outer: Options, key: str, number: int, value: Value) -> Any:
    options = outer.inside(f"{key}[{number}]", value)
    if (label := options.lone_label()) is not None:
        fix = f'write the name inside: {key} {{ name = "..." }}'
        options.add(label.place, Code.UNKNOWN_OPTION, label.key, f"a {key} has no label", fix)
        options = outer.inside(f"{key}[{number}]", label.value)
    name = options.peek("name")
    if name:
        options.path = f"{key}.{name}"
    return read(block, options)


def _values(options: Options, key: str) -> dict[str, Any] | None:
    """Free values by name; several blocks are one, the last of a name counts."""
    entries = options.entries(key)
    if not entries:
        return None
    # A module's variables are no secrets of a provider: nothing is moved out of them.
    free = Free(Found(options.found.problems), options.is_hcl and key == "required_providers")
    path = f"{options.path}.{key}"
    inner = tuple(item for entry in entries for item in options.inner(key, entry))
    options.places |= {f"{key}.{item.key}": item.value.place for item in inner}
    last = {item.key: item for item in inner}
    return free.body(Body(tuple(last.values())), path)


def _secret(of: "Field[Any]", text: str, options: Options, key: str) -> None:
    """Note a secret that is written out; a reference to one is none."""
    value = options.values[key]
    if TEMPLATE.search(text):
        return
    known = about(of)
    assert known.secret
    where = options.where.at(key)
    options.found.secrets.append(
        Secret(
            where, known.secret, known.name, value.place.file, value.start, value.end, text,
            is_file=known.is_file,
        )
    )  # fmt: skip
