"""Each kind of secret is found where it is, and never shown."""

import json
from functools import cache

import pytest

from cts.config.bundle import packed
from cts.config.compile import Result, compile_bundle
from cts.config.moving import moved, refused
from cts.config.rules.problem import Problem
from cts.config.text.comments import without_comments
from cts.config.text.secret_comments import MOST_FOUND
from tests.unit.secret_kinds import KINDS, NO_FILES, NO_SECRETS, Fate, Kind, Texts, module, provider


def compiled(files: Texts) -> Result:
    return _compiled(tuple(files.items()))


@cache
def _compiled(files: tuple[tuple[str, str], ...]) -> Result:
    """Several tests look at what becomes of the same files."""
    return compile_bundle({name: text.encode() for name, text in files})


def pushed(files: Texts, result: Result) -> dict[str, bytes]:
    """What `cts push` makes of the files."""
    contents = {name: text.encode() for name, text in files.items()}
    replaced = moved(packed(contents, result.configuration), result.secrets)
    return without_comments(replaced, result.configuration)


def said(problems: tuple[Problem, ...]) -> set[tuple[str, str]]:
    places = [(each.place.file, each.place.line) for each in problems]
    return {
        (f"{file}:{line}" if line else file, each.code.value)
        for (file, line), each in zip(places, problems, strict=True)
    }


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
class TestKind:
    def test_is_found_at_its_place(self, kind: Kind) -> None:
        result = compiled(kind.files)
        match kind.fate:
            case Fate.MOVED:
                values = "".join(each.value for each in result.secrets)
                assert kind.secret in values
                (place,) = {f"{e.where.place.file}:{e.where.place.line}" for e in result.secrets}
                assert place == kind.place
                assert not result.problems
            case Fate.REFUSED:
                assert said(result.problems) == {(kind.place, kind.code)}
            case Fate.LEFT | Fate.KEPT:
                assert not result.problems
                assert not result.secrets
                assert (kind.place, kind.code) in said(result.warnings)

    def test_is_pushed_only_if_it_is_kept(self, kind: Kind) -> None:
        result = compiled(kind.files)
        bundle = pushed(kind.files, result)
        is_there = any(kind.secret.encode() in content for content in bundle.values())
        if kind.fate is not Fate.REFUSED:
            assert is_there is (kind.fate is Fate.KEPT)
        if kind.fate is Fate.MOVED:
            again = compile_bundle(bundle)
            assert not again.problems
            assert not again.secrets

    def test_is_never_shown(self, kind: Kind) -> None:
        result = compiled(kind.files)
        told = [*result.problems, *result.warnings, *refused(result.secrets)]
        assert kind.secret not in "".join(map(str, told))
        assert kind.secret not in json.dumps([each.as_json() for each in told])


@pytest.mark.parametrize(("name", "is_key"), [("a.key", True), ("a.p8", True), ("a.der", False)])
def test_a_binary_key_is_refused_and_a_binary_certificate_is_not(name: str, is_key: bool) -> None:
    files = {file: text.encode() for file, text in module({}).items()}
    result = compile_bundle({**files, f"m/{name}": b"0\x82\x04\xa4\x02\x01\x00"})
    assert said(result.problems) == ({(f"m/{name}", "literal-secret")} if is_key else set())


def test_of_a_file_full_of_secrets_the_first_are_said() -> None:
    comments = '# token = "x9x9x9"\n' * 500
    result = compiled(module({"m/x.tf": comments, "c.hcl": comments}))
    told = [each.place.file for each in result.warnings]
    assert (told.count("m/x.tf"), told.count("c.hcl")) == (MOST_FOUND, MOST_FOUND)


@pytest.mark.parametrize("files", NO_SECRETS, ids=lambda files: str(list(files.values())[-1])[:60])
def test_what_only_looks_like_a_secret_is_left_alone(files: Texts) -> None:
    result = compiled(files)
    assert not result.secrets
    assert "literal-secret" not in {code for _, code in said(result.problems + result.warnings)}


def test_what_only_looks_like_a_file_is_left_alone() -> None:
    for argument in NO_FILES:
        assert not compiled(provider(argument)).warnings, argument
