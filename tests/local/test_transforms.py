"""What SAM makes of a template is kept for all stacks of a build."""

from __future__ import annotations

import itertools
import tempfile
from typing import TYPE_CHECKING, Any

import pytest

from local.transforms import SAM, Transformed

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

TEMPLATE = {"Transform": SAM, "Resources": {}}


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))


def numbering() -> Callable[..., Any]:
    """A transform that never gives the same twice."""
    numbers = itertools.count(1)
    return lambda template, *_: {**template, "number": next(numbers)}


def test_two_stacks_get_the_same_from_one_template() -> None:
    transform = numbering()
    assert Transformed(transform)(TEMPLATE, {"A": "1"}) == {**TEMPLATE, "number": 1}
    assert Transformed(transform)(TEMPLATE, {"A": "2"}) == {**TEMPLATE, "number": 1}


def test_another_template_is_transformed_anew() -> None:
    transformed = Transformed(numbering())
    assert transformed(TEMPLATE)["number"] == 1
    assert transformed({**TEMPLATE, "Resources": {"A": {}}})["number"] == 2
    assert transformed(TEMPLATE)["number"] == 1


@pytest.mark.parametrize(
    "template",
    [
        {"Transform": ["AWS::LanguageExtensions", SAM]},
        {"Transform": SAM, "Resources": {"Fn::Transform": {"Name": "AWS::Include"}}},
        {},
    ],
)
def test_what_may_depend_on_more_than_the_template_is_not_kept(template: dict[str, Any]) -> None:
    transformed = Transformed(numbering())
    assert [transformed(template)["number"] for _ in range(2)] == [1, 2]


def test_a_failure_is_not_kept() -> None:
    class Failed(dict[str, Any]):
        pass

    answers = iter([Failed(why="no"), {"Resources": {}}])
    transformed = Transformed(lambda _: next(answers))
    assert isinstance(transformed(TEMPLATE), Failed)
    assert transformed(TEMPLATE) == {"Resources": {}}
