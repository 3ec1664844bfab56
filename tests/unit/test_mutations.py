"""The lists of `make mutate`: every mutation fits where it says, and its tests are there."""

import ast
from collections import Counter
from pathlib import Path

import pytest

from tests.mutations.listed import ROOT, Mutation, misfits, mutated, mutations

ALL = list(mutations())


def test_every_mutation_fits_in_exactly_one_place() -> None:
    assert misfits(ALL) == []


@pytest.mark.slow
def test_a_mutation_changes_its_file_and_leaves_it_readable() -> None:
    """What can't even be compiled is no mistake that a test has to notice."""
    for each in ALL:
        text = mutated(each, ROOT)
        assert text != (ROOT / each.file).read_text(), each.name
        if each.file.endswith(".py"):
            ast.parse(text, each.name)


def test_no_two_mutations_have_one_name() -> None:
    assert [name for name, n in Counter(each.name for each in ALL).items() if n > 1] == []


def test_the_tests_of_a_mutation_are_there() -> None:
    for each in ALL:
        assert each.tests, each.name
        for test in each.tests:
            file, _, name = test.partition("::")
            assert (ROOT / file).exists(), f"{each.name}: {file}"
            assert f"def {name}" in (ROOT / file).read_text(), f"{each.name}: {test}"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("a = 1\n", "its text is in product.py 0 times"),
        ("b = 1\nb = 1\n", "its text is in product.py 2 times"),
        (None, "its file is gone"),
    ],
)
def test_a_mutation_that_fits_no_more_is_told(tmp_path: Path, text: str | None, says: str) -> None:
    if text is not None:
        (tmp_path / "product.py").write_text(text)
    fits = Mutation("run.toml", "b is two", "product.py", "b = 1", "b = 2", ("tests/unit/x.py",))
    [told] = misfits([fits], tmp_path)
    assert told.startswith('run.toml: "b is two" fits nowhere: ')
    assert says in told
    (tmp_path / "product.py").write_text("b = 1\n")
    assert misfits([fits], tmp_path) == []
