"""What a configuration costs to check grows with its size, and no faster: work is counted, or the
input is so large that anything beyond linear would not come to an end."""

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from cts.build.masking import masked as masked_text
from cts.build.references import RESOLVED, TEMPLATE, VAULT
from cts.config import bundle
from cts.config.blocks.go_values import nanoseconds
from cts.config.blocks.model import WrittenSecret
from cts.config.blocks.schema import Group
from cts.config.compile import compile_bundle
from cts.config.hcl2 import shape
from cts.config.hcl2.mask import masked
from cts.config.hcl2.tokens import Token, tokens
from cts.config.hcl2.values import Budget, as_number, same
from cts.config.modules import local
from cts.config.modules.tfvars import read_variables
from cts.config.moving import named
from cts.config.rules.problem import LONGEST_WORD, MOST_WORDS, Code, Where, nearest
from cts.config.rules.regexp import compiled, fault
from cts.config.secrets import has_secret_name, literal_secrets
from cts.config.text.secret_comments import secrets_in_code
from cts.config.text.tree import Lines, ParseError
from cts.config.written import configuration
from cts.watch.schedule import EPOCH, Month, parse
from tests.unit.publisher import task

LONG = 1_000_000


def mask_of(text: str) -> str:
    lines = Lines(text, "v.tfvars")
    return masked(tokens(text, lines), lines, skips_lines=False).text


def secrets_named(count: int) -> tuple[WrittenSecret, ...]:
    made = [
        WrittenSecret(Where("p"), Group.TASK, "P", "a.hcl", n, n + 1, f"{n}") for n in range(count)
    ]
    return named(made, {}, {})


SHAPES: Mapping[str, Callable[[], object]] = {
    "openings of templates": lambda: TEMPLATE.search('{{ env "' * (LONG // 8)),
    "openings and quotes": lambda: TEMPLATE.search('{{ key "" ' * (LONG // 10)),
    "openings of AWS": lambda: RESOLVED.search("{{resolve:ssm:" * (LONG // 14)),
    "openings of Vault": lambda: VAULT.search('{{ with secret "' * (LONG // 16)),
    "parts of a template": lambda: literal_secrets('{{ env "X" }}-' * 50_000, is_named=True),
    "users in a template": lambda: literal_secrets('://u:{{ env "X" }}@' * 20_000, is_named=True),
    "lines of source code": lambda: masked_text('1: a="' + "a" * LONG + "\n"),
    "first lines of keys": lambda: masked_text("-----BEGIN PRIVATE KEY-----" + " \n" * (LONG // 3)),
    "code": lambda: [*secrets_in_code('a = ["' * (LONG // 10) + "x=\n" * (LONG // 10))],
    "interpolations": lambda: [*secrets_in_code('token = "${' * (LONG // 10))],
    "digits": lambda: as_number("1" * LONG + "x"),
    "digits of a duration": lambda: nanoseconds("1" * LONG),
    "lines of a map": lambda: mask_of("{\n" + "a = 1\n" * (LONG // 40) + "}"),
    "empty lines": lambda: mask_of("{\n" + "\n" * (LONG // 10) + "}"),
    "maps": lambda: mask_of("[" + "{}," * (LONG // 30) + "]"),
    "secrets of one name": lambda: secrets_named(5_000),
}


@pytest.mark.slow
@pytest.mark.parametrize("work", SHAPES.values(), ids=SHAPES)
def test_comes_to_an_end(work: Callable[[], object]) -> None:
    work()


# ---- counted ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("one", "other", "least"),
    [
        ({f"a{n}": None for n in range(500)}, {f"b{n}": None for n in range(500)}, 500),
        ("a" * 64_000, "a" * 63_999 + "b", 1000),
        ([Decimal(n) for n in range(500)], [Decimal(n) for n in range(500)], 500),
    ],
    ids=["keys", "letters", "items"],
)
def test_a_comparison_costs_what_there_is_to_look_at(one: Any, other: Any, least: int) -> None:
    budget = Budget("")
    before = budget.left
    same(one, other, budget)
    assert before - budget.left >= least


@pytest.mark.slow
def test_many_comparisons_are_too_much_work() -> None:
    maps = [", ".join(f"{name}{n} = 1" for n in range(200)) for name in "ab"]
    text = f"[for n in [{'1, ' * 1000}] : {{{maps[0]}}} == {{{maps[1]}}}]"
    variables, [found] = read_variables(f"x = {text}\n".encode(), "v.tfvars")
    assert (variables, found.code) == ({}, Code.VARIABLE_FILE)


def test_a_word_is_compared_with_few(monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[list[str]] = []

    def close(word: str, known: list[str], n: int) -> list[str]:
        given.append(known)
        return known[:n]

    monkeypatch.setattr("difflib.get_close_matches", close)
    known = [f"{n:010}" for n in range(10 * MOST_WORDS)] + ["abcd"]
    assert nearest("abce", known) == "abcd"
    assert [len(each) for each in given] == [MOST_WORDS]
    assert nearest("a" * (LONGEST_WORD + 1), known) == ""
    assert len(given) == 1


def test_the_days_of_a_month_are_found_once_for_each_kind_of_month() -> None:
    seen: list[Month] = []

    def rule(month: Month) -> Iterable[int]:
        seen.append(month)
        return []

    never = parse("0 0 31 2 *")
    object.__setattr__(never, "days", [rule])
    assert never.next(EPOCH) is None
    assert len(seen) == len(set(seen)) <= 28
    assert parse("0 0 29 2 *").next(EPOCH) == datetime(1972, 2, 29, tzinfo=UTC)


def test_an_expression_that_is_only_checked_is_not_kept() -> None:
    compiled.cache_clear()
    assert fault("a{1000}") == ("", "")
    assert compiled.cache_info().currsize == 0


def test_a_name_is_judged_once_for_all_items_of_its_list() -> None:
    has_secret_name.cache_clear()
    text = 'terraform_provider "p" {\n  ports = [' + "1," * 500 + "]\n}\n"
    compile_bundle({"a.hcl": text.encode()})
    assert has_secret_name.cache_info().misses < 10


def counting(calls: list[str], name: str, real: Callable[..., Any]) -> Callable[..., Any]:
    def call(*args: Any, **options: Any) -> Any:
        calls.append(name)
        return real(*args, **options)

    return call


def test_what_all_tasks_ask_of_a_bundle_is_found_once(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []
    for user, name in ((bundle, "module_folders"), (bundle, "archive"), (local, "declared")):
        monkeypatch.setattr(user, name, counting(calls, name, getattr(user, name)))
    sources = ["./m", "./m/", "./x/../m"]
    text = "".join(task(f"t{n}", module=sources[n % 3]) for n in range(40))
    files = {"a.hcl": text.encode(), "m/main.tf": b'variable "services" {}\n'}
    assert compile_bundle(files).compiled
    assert sorted(calls) == ["archive", "declared"]
    addresses = "".join(task(f"t{n}", module="m") for n in range(40))
    assert compile_bundle({**files, "a.hcl": addresses.encode()}).problems
    assert sorted(calls) == ["archive", "declared", "module_folders"]


def fault_of(text: str) -> ParseError | None:
    lines = Lines(text, "main.tf")
    return shape.fault(tokens(text, lines), lines)


def test_nested_blocks_are_looked_at_without_a_list_for_each_level(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    depths: list[int] = []
    real = shape._statement

    def statement(found: list[Token], lines: Lines, depth: int) -> list[Token] | None:
        depths.append(depth)
        return real(found, lines, depth)

    monkeypatch.setattr(shape, "_statement", statement)
    text = "a {\n" * 40 + "x = 1\n" + "}\n" * 40 + "b {\n"
    assert fault_of(text + "}\n") is None
    assert sorted(depths) == [0, *range(41)]


def test_of_several_faults_the_first_in_the_file_is_reported() -> None:
    text = "a {\n b {\n 1\n }\n}\nc {\n 2\n}\n"
    found = fault_of(text)
    assert found
    assert found.place.line == 3


def test_the_tasks_of_a_configuration_ask_for_their_providers_by_name() -> None:
    text = (
        "".join(f'terraform_provider "p" {{\n alias = "a{n}"\n}}\n' for n in range(3))
        + 'terraform_provider "q" {}\n'
    )
    final = configuration({"a.hcl": text.encode()})
    asked = [final.provider(entry) for entry in ("p", "p.a1", "p.a9", "q", "q.a", "r")]
    assert [each and each.id for each in asked] == ["p.a0", "p.a1", None, "q", None, None]
