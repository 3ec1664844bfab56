"""Secrets written out in a configuration: noted, named, and replaced by references."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from itertools import count, groupby
from typing import Any

from cts.config.blocks.model import WrittenSecret
from cts.config.blocks.schema import Group
from cts.config.bundle import inside
from cts.config.rules.problem import Code, Problem, Where
from cts.config.secrets import literal_secrets, template_parts
from cts.config.text.tree import Value
from cts.terraform.references import is_reference

OF_TEMPLATE = "_TEXT"
"""Behind the name of a secret that is only a part of its option's value."""


def env_name(path: str) -> str:
    """`terraform_provider.panos.api_key` as the name of an environment variable."""
    return re.sub(r"[^A-Z0-9]+", "_", path.upper()).strip("_")


def noted(
    value: Value, where: Where, group: Group, name: str, *, is_named: bool, is_file: bool = False
) -> Iterator[WrittenSecret]:
    """The secret that a value is, or those in the texts of a template. `is_named`: the option has
    the name of a secret."""
    text, file = str(value.data), value.place.file
    whole = WrittenSecret(where, group, name, file, value.start, value.end, text, is_file=is_file)
    if not is_reference(text):
        yield whole
    elif not is_file:
        parts = template_parts(text)
        for n in literal_secrets(text, is_named=is_named):
            yield replace(whole, name=name + OF_TEMPLATE, value=parts[n], template=text, part=n)


def named(
    secrets: Iterable[WrittenSecret], files: Mapping[str, bytes], effective: Mapping[str, Any]
) -> tuple[WrittenSecret, ...]:
    """The secrets with their values, each under a unique name. A key file that is not there
    holds nothing to move.

    `effective`: the value of each option in the end. A secret that another value overrides is
    ignored, but may not stay in its file either.
    """
    spans = {(each.file, each.start, each.end, each.part): each for each in secrets}
    taken = {(each.group, each.name) for each in spans.values()}
    numbers: dict[tuple[str, str], Iterator[int]] = {}
    given: set[tuple[str, str]] = set()
    found: list[WrittenSecret] = []
    texts_of_files: dict[str, str] = {}
    for secret in spans.values():
        written = secret.template or secret.value
        if secret.is_ignored or effective.get(secret.where.path, written) != written:
            if not secret.is_file:
                found.append(replace(secret, is_ignored=True))
            continue
        value = _content(secret, files, texts_of_files)
        if value is None:
            continue
        wanted = (secret.group, secret.name)
        name = secret.name
        if wanted in given:
            more = (f"{name}_{n}" for n in numbers.setdefault(wanted, count(2)))
            name = next(each for each in more if (secret.group, each) not in taken)
        given.add((secret.group, name))
        taken.add((secret.group, name))
        found.append(replace(secret, name=name, value=value))
    return tuple(found)


def _content(secret: WrittenSecret, files: Mapping[str, bytes], read: dict[str, str]) -> str | None:
    """`read`: the texts of the files so far."""
    if not secret.is_file:
        return secret.value
    name = inside(secret.value)
    if name is None or name not in files:
        return None
    if name not in read:
        read[name] = files[name].decode(errors="replace")
    return read[name]


def reference(name: str) -> str:
    return f'{{{{ env "{name}" }}}}'


def moved(files: Mapping[str, bytes], secrets: Iterable[WrittenSecret]) -> dict[str, bytes]:
    """The files with a reference in the place of each secret: `"{{ env \\"NAME\\" }}"`. In the
    place of one that is ignored there is nothing: `""`."""
    ordered = sorted(secrets, key=_span, reverse=True)
    texts = {secret.file: files[secret.file].decode() for secret in ordered}
    for (file, start, end), of_value in groupby(ordered, _span):
        written = json.dumps(_with_references([*of_value]), ensure_ascii=False)
        texts[file] = texts[file][:start] + written + texts[file][end:]
    return {**files, **{name: text.encode() for name, text in texts.items()}}


def _span(secret: WrittenSecret) -> tuple[str, int, int]:
    return secret.file, secret.start, secret.end


def _with_references(secrets: list[WrittenSecret]) -> str:
    """A value without its secrets: several are parts of one template."""
    if secrets[0].is_ignored:
        return ""
    parts = template_parts(secrets[0].template)
    for secret in secrets:
        parts[secret.part] = reference(secret.name)
    return "".join(parts)


def refused(secrets: Iterable[WrittenSecret]) -> Iterable[Problem]:
    """A bundle is stored where many can read it: nothing in it may be secret."""
    for secret in secrets:
        what = "the configuration contains a secret in plain text"
        fix = f"`cts push` keeps it as a secret of the stack and writes {reference(secret.name)}"
        if secret.is_ignored:
            fix = "`cts push` leaves it out"
        yield secret.where.problem(Code.LITERAL_SECRET, what, fix)
