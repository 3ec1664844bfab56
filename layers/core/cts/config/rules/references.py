"""The rule that references can be evaluated: a push says so, and no run has to fail."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from cts.build.references import BadReference, parts
from cts.config.blocks.model import Configuration, Vault
from cts.config.blocks.schema import walk
from cts.config.rules.problem import Code, Problem, Where
from cts.config.secrets import from_vault, texts
from cts.config.text.tree import Lines


def check_references(configuration: Configuration) -> Iterator[Problem]:
    for block, key, known, value in walk(configuration):
        if value and (known.secret or known.templates or known.resolved):
            yield from mistakes({key: value}, block.where, templates=not known.resolved)
    for provider in configuration.terraform_provider:
        given = {"task_env": dict(provider.task_env), **provider.arguments}
        yield from mistakes(given, provider.where)
    terraform = configuration.driver.terraform if configuration.driver else None
    for backend in terraform.backend if terraform else ():
        yield from mistakes(backend.options, backend.where)
    yield from _vault(configuration.vault)


def mistakes(
    values: Mapping[str, Any], where: Where, *, templates: bool = True, file: Lines | None = None
) -> Iterator[Problem]:
    """`templates`: whether those of CTS are evaluated, too; `file`: the text that they are from, if
    `where` does not know their lines."""
    for path, text in texts(dict(values)):
        try:
            parts(text, templates=templates)
        except BadReference as error:
            what = f"{error.text} {error.why}"
            problem = where.problem(Code.TEMPLATE, what, error.fix, option=path)
            place = file.place_of(error.text) if file else None
            yield replace(problem, place=place or where.at(path.partition(".")[0]).place)


def _vault(vault: Vault | None) -> Iterator[Problem]:
    """What is needed to reach Vault can't be in it."""
    blocks = ((vault, "token"), (vault.tls, "key")) if vault else ()
    for block, name in blocks:
        if block and from_vault(getattr(block, name)):
            what = f"the {name} can't be a secret of Vault: it is needed to reach Vault"
            yield block.where.problem(Code.TEMPLATE, what, 'write {{ env "NAME" }}', option=name)
