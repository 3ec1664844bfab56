"""Buffer periods beyond the rows C-090 to C-099g, and durations as Go writes them."""

import pytest

from cts.config.compile import compile_bundle
from cts.generation import BufferPeriod

TASK = 'task {{ name = "t" module = "m" condition "services" {{ names = ["s"] }} {} }}'


def buffer(outside: str = "", inside: str = "") -> tuple[float, float] | None:
    text = f"{outside}\n{TASK.format(inside)}"
    result = compile_bundle({"c.hcl": text.encode()})
    assert result.compiled, result.problems
    return result.compiled.tasks["t"].buffer


@pytest.mark.parametrize(
    ("block", "in_file", "in_task"),
    [
        ('min = "30s"', (30, 30), (30, 120)),
        ('max = "60s"', (5, 60), (5, 60)),
        ('max = "2s"', (5, 5), (5, 5)),
        ("enabled = true", (5, 20), (5, 20)),
        ("enabled = false", None, None),
        ('max = "-3s"', (5, 5), (5, 5)),
    ],
)
def test_a_block_is_completed_as_cts_does(
    block: str, in_file: BufferPeriod | None, in_task: BufferPeriod | None
) -> None:
    written = f"buffer_period {{ {block} }}"
    assert buffer(outside=written) == in_file
    assert buffer(inside=written) == in_task


@pytest.mark.parametrize(
    ("outside", "inside", "expected"),
    [
        ("enabled = false", 'min = "10s"', (10, 40)),
        ("enabled = false", "", None),
        ('min = "10s" max = "15s"', "", (10, 15)),
    ],
)
def test_a_task_inherits_from_the_file(
    outside: str, inside: str, expected: BufferPeriod | None
) -> None:
    made = buffer(f"buffer_period {{ {outside} }}", f"buffer_period {{ {inside} }}")
    assert made == expected


def test_files_are_merged_field_by_field() -> None:
    result = compile_bundle({
        "a.hcl": b'buffer_period { min = "10s" max = "1m" }',
        "b.hcl": b'buffer_period { min = "12s" }',
        "c.hcl": TASK.format("").encode(),
    })  # fmt: skip
    assert result.compiled
    assert result.compiled.tasks["t"].buffer == (12, 60)


@pytest.mark.parametrize(
    ("written", "seconds"),
    [
        ('"1h30m"', 5400),
        ('"1500ms"', 1.5),
        ('"1.5s"', 1.5),
        ('".5s"', 0.5),
        ('"0"', 0),
        ('"+3s"', 3),
        ('"10us"', 1e-5),
        ("2000000000", 2),
    ],
)
def test_a_duration(written: str, seconds: float) -> None:
    assert buffer(f'buffer_period {{ min = {written} max = "2h" }}') == (seconds, 7200)


@pytest.mark.parametrize("written", ['""', '"abc"', '"1s "', "[]", '"9999999h"'])
def test_not_a_duration(written: str) -> None:
    result = compile_bundle({"c.hcl": f"buffer_period {{ min = {written} }}".encode()})
    assert [problem.path for problem in result.problems] == ["buffer_period.min"]
