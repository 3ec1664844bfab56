"""Dataclasses as stored JSON values that older and newer versions of this program can also read.

`load` ignores unknown fields. A dataclass with a field `extra` keeps them there, and `dump` puts
them back, so that an older program does not drop them when it rewrites an item.

The first release rejects unknown fields. So `parted` stores the fields that it knows separately
from later ones, which have the metadata `LATER`, and from entries whose key is a later word.
"""

from collections.abc import Callable, Mapping
from dataclasses import MISSING, Field, fields, is_dataclass
from enum import Enum
from functools import cache
from types import NoneType, UnionType
from typing import Any, TypeVar, Union, cast, get_args, get_origin, get_type_hints

T = TypeVar("T")
Reader = Callable[[Any, str], Any]
"""Takes a JSON value, and its path for error messages."""

EXTRA = "extra"
LATER: Mapping[str, Any] = {"later": True}
PLAIN: Mapping[type, tuple[type, ...]] = {
    str: (str,),
    bool: (bool,),
    int: (int,),
    float: (float, int),
}


def load(kind: type[T], raw: object) -> T:
    """Read a JSON value. Raises ValueError, with the path, if it is not a valid `kind`."""
    named: Any = kind
    return cast("T", _reader(named)(raw, kind.__name__))


def known_fields(kind: type[Any], raw: Mapping[str, Any]) -> dict[str, Any]:
    """The entries of a JSON object that this version of the dataclass has fields for."""
    named: Any = kind
    return {name: raw[name] for name in _names(named) if name in raw}


@cache
def _names(kind: Any) -> tuple[str, ...]:
    return tuple(f.name for f in fields(kind))


def dump(value: Any) -> Any:
    """The JSON value, to be read by `load`."""
    if is_dataclass(value) and not isinstance(value, type):
        kept = getattr(value, EXTRA, {})
        shown = [f for f in fields(value) if f.name != EXTRA and not _is_left_out(value, f)]
        known = {f.name: dump(getattr(value, f.name)) for f in shown}
        # If a map has keys that this program does not know, they are in `extra`.
        both = {name: known[name] | kept[name] for name in kept.keys() & known.keys()}
        return known | kept | both
    if isinstance(value, Mapping):
        return {str(key): dump(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [dump(each) for each in value]
    return value


def _is_left_out(value: Any, of: Field[Any]) -> bool:
    """Whether a later field is unset. It is then left out, so most items look as before."""
    return of.metadata == LATER and getattr(value, of.name) == of.default


def parted(value: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """A dataclass in two parts: what the first release can read, and the top-level fields that go
    beyond it. `load` reads both combined, with the second part taking precedence."""
    first, whole = _first(value), dump(value)
    return first, {
        name: each for name, each in whole.items() if name not in first or first[name] != each
    }


def _first(value: Any) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        names = [f.name for f in fields(value) if f.name != EXTRA and f.metadata != LATER]
        return {name: _first(getattr(value, name)) for name in names}
    if isinstance(value, Mapping):
        known = {key: each for key, each in value.items() if not getattr(key, "later", False)}
        return {str(key): _first(each) for key, each in known.items()}
    if isinstance(value, list | tuple):
        return [_first(each) for each in value]
    return value


@cache
def _reader(kind: Any) -> Reader:
    if kind is Any:
        return lambda raw, _at: raw
    if isinstance(kind, type) and not get_args(kind):
        return _class(kind)
    origin, arguments = get_origin(kind), get_args(kind)
    if origin in (Union, UnionType):
        [other] = [each for each in arguments if each is not NoneType]
        reader = _reader(other)
        return lambda raw, at: None if raw is None else reader(raw, at)
    if origin in (list, tuple):
        return _list(origin, _reader(arguments[0]))
    return _map(_reader(arguments[0]), _reader(arguments[1]))


def _class(kind: type) -> Reader:
    if kind in PLAIN:
        return _plain(kind)
    return _word(kind) if issubclass(kind, Enum) else _object(kind)


def _plain(kind: type) -> Reader:
    kinds = PLAIN[kind]

    def read(raw: Any, at: str) -> Any:
        if not isinstance(raw, kinds) or (kind is not bool and isinstance(raw, bool)):
            raise ValueError(f"{at} must be of type {kind.__name__}")
        return raw

    return read


def _word(kind: type[Enum]) -> Reader:
    def read(raw: Any, at: str) -> Any:
        if not isinstance(raw, str):
            raise ValueError(f"{at} must be of type {kind.__name__}")
        return kind(raw)

    return read


def _list(kind: type, element: Reader) -> Reader:
    def read(raw: Any, at: str) -> Any:
        if not isinstance(raw, list | tuple):
            raise ValueError(f"{at} must be a list")
        return kind(element(each, at) for each in raw)

    return read


def _map(key: Reader, value: Reader) -> Reader:
    def read(raw: Any, at: str) -> Any:
        return {key(name, at): value(each, f"{at}.{name}") for name, each in _pairs(raw, at)}

    return read


def _object(kind: type) -> Reader:
    hints = get_type_hints(kind)
    known = [f for f in fields(kind) if f.name != EXTRA]
    readers = {f.name: _reader(hints[f.name]) for f in known}
    plain = {f.name: _plain_types(hints[f.name]) for f in known}
    words = {f.name: words for f in known if (words := _key_words(hints[f.name]))}
    needed = {f.name for f in known if f.default is MISSING and f.default_factory is MISSING}
    keeps = len(known) < len(fields(kind))

    def read(raw: Any, at: str) -> Any:
        given = dict(_pairs(raw, at))
        if missing := needed - given.keys():
            raise ValueError(f"{at} lacks {', '.join(sorted(missing))}")
        extra = {name: given.pop(name) for name in tuple(given) if name not in readers}
        for name, its in words.items():
            if given.get(name) and isinstance(given[name], Mapping):
                given[name], unknown = _parted(given[name], its)
                extra |= {name: unknown} if unknown else {}
        found = {
            name: value
            if type(value) in plain[name]  # most are, and a stack has thousands
            else readers[name](value, f"{at}.{name}")
            for name, value in given.items()
        }
        return kind(**found, **({EXTRA: extra} if keeps else {}))

    return read


def _plain_types(hint: Any) -> frozenset[type]:
    """The types whose values are taken as they are."""
    if isinstance(hint, UnionType):
        return frozenset().union(*map(_plain_types, get_args(hint)))
    if hint is NoneType:
        return frozenset({NoneType})
    return frozenset(PLAIN[hint]) if hint in PLAIN else frozenset()


def _key_words(hint: Any) -> frozenset[str]:
    """The words that are a map's keys."""
    keys = get_args(hint)[0] if get_origin(hint) not in (None, Union, UnionType) else None
    if isinstance(keys, type) and issubclass(keys, Enum):
        return frozenset(each.value for each in keys)
    return frozenset()


def _parted(raw: Mapping[str, Any], words: frozenset[str]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The entries whose key is one of the words, and the rest."""
    known = {name: value for name, value in raw.items() if name in words}
    return known, {name: value for name, value in raw.items() if name not in words}


def _pairs(raw: Any, at: str) -> Any:
    if not isinstance(raw, Mapping):
        raise ValueError(f"{at} must be an object")
    return raw.items()
