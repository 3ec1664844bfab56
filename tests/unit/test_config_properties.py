"""Whatever is pushed, the answer is a result: compiled, or a list of problems. And what means the
same compiles to the same."""

import gc
import json
import os
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, seed, settings
from hypothesis import strategies as st

from cts.config.compile import Result, compile_bundle
from cts.config.moving import moved
from tests.examples import examples
from tests.unit.cases.effective import effective
from tests.unit.configurations import Item, configurations, split, whole

pytestmark = pytest.mark.slow

MUTATIONS = int(os.environ.get("MUTATIONS", "10000"))
SHORT = 4
"""Bytes of a file in which nothing is left to spoil."""
SLOWEST = 2.0
"""Seconds of work for any one bundle."""
PIECES = st.sampled_from(
    [*'{}[]()"\\=,.-#\n \t:;$%<>/*0e', "${", "%{", "<<", "<<-A\n", "/*", "null", "-", "0x", '"""',
     "\ufeff", "\x00", "\\u", "(?=", "task", "é", "\U0001f600", "\r", "1e999", "{{", "true", "[[",
     '{{ env "A" }}', '{{ with secret "a" }}', "}\n}", "task {\n", '"services"', "9" * 400]
)  # fmt: skip
PLACES = st.integers(0, 10**6)
WORD = re.compile(r'"(?:[^"\\\n]|\\.)*"|[\w.-]+')
Edit = tuple[str, int, int, str]
PUT: st.SearchStrategy[Edit] = st.tuples(st.just("put"), PLACES, st.integers(0, 9), PIECES)
SWAP = st.tuples(st.just("swap"), PLACES, PLACES, st.just(""))
LINES = st.tuples(st.sampled_from(["drop", "repeat", "move"]), PLACES, PLACES, st.just(""))
EDITS = st.one_of([st.lists(each, min_size=1, max_size=4) for each in (PUT, SWAP, LINES)])
"""What becomes of a text: `put` writes over some characters, `swap` writes one word in the place
of another, the rest is done to a line."""


@dataclass
class Tally:
    """What many bundles came to."""

    compiled: int = 0
    refused: int = 0
    slowest: float = 0.0
    """Seconds of work."""

    def compile(self, files: Mapping[str, bytes]) -> Result:
        gc.disable()  # the garbage is mostly of Hypothesis
        began = time.thread_time()
        result = compile_bundle(files)
        seconds = time.thread_time() - began
        gc.enable()
        assert seconds < SLOWEST
        assert (result.compiled is None) == bool(result.problems)
        for problem in (*result.problems, *result.warnings):
            assert str(problem).encode()
        self.compiled += not result.problems
        self.refused += bool(result.problems)
        self.slowest = max(self.slowest, seconds)
        return result


def compiled(files: Mapping[str, bytes]) -> Result:
    return Tally().compile(files)


def meaning(files: Mapping[str, bytes]) -> Any:
    """What runs, and every option's value."""
    result = compiled(files)
    assert not result.problems
    return result.compiled, effective(result.configuration)


def edited(content: bytes, edits: Sequence[Edit]) -> bytes:
    text = content.decode()
    for kind, at, other, piece in edits:
        text = EDITORS[kind](text, at, other, piece)
    return text.encode(errors="surrogatepass")


def put(text: str, at: int, length: int, piece: str) -> str:
    start = at % (len(text) + 1)
    return text[:start] + piece + text[start + length :]


def swap(text: str, at: int, other: int, _: str) -> str:
    """A string in the place of a string, any other word in that of another."""
    words = list(WORD.finditer(text))
    if not words:
        return text
    old = words[at % len(words)]
    alike = [word.group() for word in words if (word.group()[0] == '"') == (old.group()[0] == '"')]
    return text[: old.start()] + alike[other % len(alike)] + text[old.end() :]


def in_lines(text: str, at: int, other: int, *, kept: bool, added: bool) -> str:
    lines = text.splitlines(keepends=True) or [""]
    line = lines[at % len(lines)]
    if not kept:
        del lines[at % len(lines)]
    if added:
        lines.insert(other % (len(lines) + 1), line)
    return "".join(lines)


EDITORS: Mapping[str, Callable[[str, int, int, str], str]] = {
    "put": put,
    "swap": swap,
    "drop": lambda text, at, other, _: in_lines(text, at, other, kept=False, added=False),
    "repeat": lambda text, at, other, _: in_lines(text, at, other, kept=True, added=True),
    "move": lambda text, at, other, _: in_lines(text, at, other, kept=False, added=True),
}


@settings(max_examples=examples(20), suppress_health_check=[HealthCheck.too_slow])
@given(configurations(), st.data())
def test_however_it_is_written_it_means_the_same(items: list[Item], data: st.DataObject) -> None:
    as_hcl = meaning(whole(items, "hcl"))
    assert meaning(whole(items, "json")) == as_hcl
    assert meaning(data.draw(split(items))) == as_hcl


@settings(max_examples=examples(10), suppress_health_check=[HealthCheck.too_slow])
@given(configurations(), st.data())
def test_moved_secrets_are_gone_and_change_nothing_else(
    items: list[Item], data: st.DataObject
) -> None:
    files = data.draw(split(items))
    secrets = compiled(files).secrets
    assume(secrets)
    without = compiled(moved(files, secrets))
    assert not without.problems
    assert not without.secrets


def mutate(items: list[Item], data: st.DataObject, tally: Tally) -> None:
    files = data.draw(split(items))
    texts = [name for name in sorted(files) if len(files[name]) > SHORT]
    for name in data.draw(st.sets(st.sampled_from(texts), min_size=1, max_size=2)):
        files[name] = edited(files[name], data.draw(EDITS))
    result = tally.compile(files)
    if result.secrets:
        compiled(moved(files, result.secrets))


@settings(max_examples=examples(40), suppress_health_check=[HealthCheck.too_slow])
@given(configurations(), st.data())
def test_a_mutated_configuration_gives_a_result(items: list[Item], data: st.DataObject) -> None:
    mutate(items, data, Tally())


@pytest.mark.soak
def test_many_mutated_configurations_give_a_result(
    record_property: Callable[[str, object], None], request: pytest.FixtureRequest
) -> None:
    tally = Tally()

    @seed(request.config.getoption("randomly_seed", 0))
    @settings(max_examples=MUTATIONS, database=None, suppress_health_check=[HealthCheck.too_slow])
    @given(configurations(), st.data())
    def each(items: list[Item], data: st.DataObject) -> None:
        mutate(items, data, tally)

    each()
    record_property("mutations", asdict(tally))


@settings(max_examples=examples(50))
@given(st.binary(max_size=200), st.binary(max_size=200), st.binary(max_size=200))
def test_any_bytes_give_a_result(hcl: bytes, as_json: bytes, variables: bytes) -> None:
    task = json.dumps({"task": {"name": "t", "module": "m", "variable_files": ["v"]}})
    compiled({"a.hcl": hcl, "b.json": as_json, "c.json": task.encode(), "v": variables})


@settings(max_examples=examples(50))
@given(st.lists(PIECES | st.sampled_from(["a", "b = ", '"x"', "1"]), max_size=40))
def test_any_pile_of_pieces_gives_a_result(pieces: list[str]) -> None:
    text = "".join(pieces).encode()
    compiled({"a.hcl": text, "b.json": text})
