"""CTS 0.9.0's behaviour, row by row.

`cases/` has what CTS makes of small configurations, a file per topic, and in `differences.toml`
the rows where ours is another outcome, and why. In a row's text `TASK{ ... }` is a task with all
that it needs, `BARE{ ... }` the same without a condition; a new line begins behind the brace.

A problem or warning is its code, the option, something it speaks of and, in some rows, its place.
"""

import json
import tomllib
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from cts.config.compile import Result, compile_bundle
from cts.config.rules.problem import Code, Problem
from cts.terraform.definition import Definition
from cts.terraform.root import main
from cts.watch.needs import watched
from cts.watch.query import request
from cts.watch.schedule import parse
from cts.watch.snapshot import of
from cts_cli.errors import CommandError
from cts_cli.sources import find
from tests.unit.cases.effective import as_json, effective, look_up
from tests.unit.test_terraform_files import PLACE

FOLDER = Path(__file__).parent / "cases"
BARE = 'task { name = "t1" module = "m" '
MACROS = {"TASK{": BARE + 'condition "services" { names = ["s1"] }\n', "BARE{": BARE + "\n"}
CONSUL_BACKEND = 'driver "terraform" { backend "consul" { } }'
NOTES = {
    Code.CONDITION_TYPE, Code.FILE_MISSING, Code.INVALID_VALUE, Code.NOT_NEEDED,
    Code.NOT_SUPPORTED_YET, Code.OUTSIDE_BUNDLE, Code.OVERRIDDEN, Code.TEMPLATE,
}  # fmt: skip
"""CTS has nothing to say there: these are tested where a row names them."""
ROWS_OF_CTS = 308
NEXT_TIMES = 3

Row = Mapping[str, Any]


def read(name: str) -> dict[str, Row]:
    return tomllib.loads((FOLDER / f"{name}.toml").read_text())


TOPICS = {file.stem: read(file.stem) for file in sorted(FOLDER.glob("*.toml"))}
DIFFERENCES = TOPICS.pop("differences")
SOURCES, CRON = TOPICS.pop("sources"), TOPICS.pop("cron")
ROWS = {name: row for topic in TOPICS.values() for name, row in topic.items()}


def expectation(name: str, row: Row) -> Row:
    return DIFFERENCES.get(name, row)


def written(row: Row) -> dict[str, bytes]:
    """The row's files."""
    alone = {f"c.{kind}": row[kind] for kind in ("hcl", "json") if kind in row}
    return {name: expanded(text) for name, text in (alone | row.get("files", {})).items()}


def expanded(text: str) -> bytes:
    for macro, meaning in MACROS.items():
        text = text.replace(macro, meaning)
    return text.encode()


def compiled(row: Row, more: Mapping[str, bytes] | None = None) -> Result:
    files = {**written(row), **(more or {})}
    if "args" in row:
        files[".configuration"] = "".join(f"{name}\n" for name in row["args"]).encode()
    return compile_bundle(files, row.get("environment", {}))


def values(result: Result) -> dict[str, Any]:
    """The effective configuration, each task's variables as its definition has them."""
    tree: dict[str, Any] = effective(result.configuration)
    for name, definition in definitions(result).items():
        task = next(each for each in tree["task"] if each["name"] == name)
        task["variables"] = as_json(definition.variables)
    return tree


def definitions(result: Result) -> dict[str, Definition]:
    if (made := result.compiled) is None:
        return {}
    digests = {name: task.definition for name, task in made.tasks.items()}
    digests |= {name: task.definition for name, task in made.waiting.items()}
    return {name: made.definitions[digest] for name, digest in digests.items()}


def hold(expected: Row, result: Result) -> None:
    """All problems, or the values and all warnings: nothing else may be said."""
    problems, warnings = expected.get("problems", []), expected.get("warnings", [])
    said = tuple(
        each for each in result.warnings if each.code not in NOTES or noted(each, warnings)
    )
    same(problems, result.problems)
    if not problems:
        same(warnings, said)
    agree(values(result), expected.get("effective", {}))
    if {"definition", "watched", "fed"} & expected.keys():
        hold_compiled(expected, definitions(result)["t1"])


def hold_compiled(expected: Row, definition: Definition) -> None:
    agree(json.loads(definition.to_json()), expected.get("definition", {}))
    if "watched" in expected:
        assert [str(view) for view in watched([definition.condition], {})] == expected["watched"]
    if "fed" in expected:
        fed = [str(view) for each in definition.inputs for view in watched([each], {})]
        assert fed == expected["fed"]


def noted(problem: Problem, expected: list[list[str]]) -> bool:
    return [problem.code, problem.path] in [each[:2] for each in expected]


def same(expected: list[list[str]], found: Iterable[Problem]) -> None:
    found = list(found)
    assert [[each.code, each.path] for each in found] == [each[:2] for each in expected]
    for (_, _, about, *place), problem in zip(expected, found, strict=True):
        assert about in f"{problem.what} {problem.fix}"
        assert place in ([], [f"{problem.place.line}:{problem.place.column}"])


def agree(tree: Any, expected: Mapping[str, Any]) -> None:
    for path, value in expected.items():
        assert look_up(tree, path) == value, path


@pytest.mark.parametrize("name", ROWS)
def test_row(name: str) -> None:
    hold(expectation(name, ROWS[name]), compiled(ROWS[name]))


@pytest.mark.parametrize("name", SOURCES)
def test_row_of_sources(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    row = SOURCES[name]
    for file, content in written(row).items():
        path = tmp_path / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    paths = [Path(each) for each in row["args"]] or [Path()]
    expected = expectation(name, row)
    if "error" in expected:
        with pytest.raises(CommandError, match=expected["error"]):
            find(paths)
        return
    hold(expected, compile_bundle(find(paths)))


@pytest.mark.parametrize("name", CRON)
def test_row_of_cron(name: str) -> None:
    row = CRON[name]
    schedule = parse(row["cron"])
    time: datetime | None = datetime(2026, 3, 1, 10, tzinfo=UTC)
    found: list[datetime] = []
    while time and len(found) < NEXT_TIMES:
        if time := schedule.next(time):
            found.append(time)
    assert found == row["next"]


@pytest.mark.parametrize("name", [name for name, row in DIFFERENCES.items() if "also" in row])
def test_row_with_the_consul_backend_written_out(name: str) -> None:
    result = compiled(ROWS[name], {"d.hcl": CONSUL_BACKEND.encode()})
    agree(values(result), DIFFERENCES[name]["also"])


def test_a_task_of_row_c161_is_compiled_and_does_not_run() -> None:
    made = compiled(ROWS["C-161"]).compiled
    assert made
    assert not made.tasks["t1"].enabled


def test_the_expression_of_row_c162_matches_digits() -> None:
    condition = definitions(compiled(ROWS["C-162"]))["t1"].condition
    assert [view.name for view in condition.views(of(["web", "web1", "web22"]))] == ["web1"]


@pytest.mark.parametrize("query", ['names = ["a"]', 'regexp = "^a$"'])
def test_the_filter_of_row_c163_decides_on_health(query: str) -> None:
    row = {"hcl": ROWS["C-163"]["hcl"].replace('names = ["a"]', query)}
    condition = definitions(compiled(row))["t1"].condition
    (view,) = condition.views(of(["a", "b"]))
    assert request(view).params == {"filter": 'Checks.Status == "critical"'}


def test_row_c166_is_silent_once_there_is_a_username() -> None:
    provider = b'terraform_provider "panos" { username = "u" }'
    hold({}, compiled(ROWS["C-166"], {"d.hcl": provider}))


@pytest.mark.parametrize(("name", "is_written"), [("C-168", True), ("C-160", False)])
def test_a_version_is_written_to_the_root_module(name: str, is_written: bool) -> None:
    definition = definitions(compiled(ROWS[name]))["t1"]
    text = main(definition, description="", place=PLACE, run="run-1")
    assert ("version" in text.partition("module ")[2]) is is_written


@pytest.mark.parametrize(
    ("name", "refused", "also"),
    [
        *(("C-224b", "web\\\\Z", also) for also in ("a{1001}", "a++", "(?x)a", "(?#c)a")),
        *(("C-224b", "web\\\\Z", also) for also in ("\\\\h", "\\\\u0041")),
        ("C-225", "*/0", "*/70"),
    ],
)
def test_what_a_row_says_is_refused_too(name: str, refused: str, also: str) -> None:
    row = ROWS[name]
    assert refused in row["hcl"]
    same(
        [[*row["problems"][0][:2], ""]],
        compiled({"hcl": row["hcl"].replace(refused, also)}).problems,
    )


def test_every_row_is_there_and_says_its_outcome_once() -> None:
    every = ROWS | SOURCES | CRON
    assert len(every) == ROWS_OF_CTS
    outcome = {"problems", "effective", "warnings", "definition", "watched", "fed", "error"}
    assert not {name for name in DIFFERENCES if outcome & every[name].keys()}
    assert not {name for name, row in DIFFERENCES.items() if not (row["cts"] and row["why"])}
