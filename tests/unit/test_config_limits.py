"""What is over a limit is rejected with one sentence, before it takes memory or time."""

import io
import zipfile
from collections.abc import Mapping

import pytest

from cts.config import limits
from cts.config.bundle import SOURCES, UnreadableBundle, unpacked
from cts.config.compile import Result, compile_bundle
from cts.config.limits import Few, OverLimit
from cts.config.modules.tfvars import read_variables
from cts.config.rules.problem import Code, Place, Problem
from cts.config.text.tree import MAX_DEPTH
from tests.unit.publisher import task

MODULE = 'variable "services" {}\n'
KIB = 1024


def checked(**files: str) -> Result:
    return compile_bundle({name: text.encode() for name, text in files.items()})


def bundled(files: Mapping[str, str]) -> Result:
    return compile_bundle({name: text.encode() for name, text in files.items()})


# ---- the zip --------------------------------------------------------------------------------


def over(body: bytes) -> str:
    with pytest.raises(OverLimit) as caught:
        unpacked(body)
    return str(caught.value)


def compressed(files: Mapping[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return buffer.getvalue()


class TestZip:
    def test_of_too_many_bytes(self) -> None:
        assert over(bytes(limits.LARGEST_BUNDLE + 1)) == "the zip has more than 64 MiB"

    def test_whose_files_are_too_many_bytes(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(limits, "LARGEST_BUNDLE", 64 * KIB)
        body = compressed({"a": bytes(40 * KIB), "b": bytes(40 * KIB)})
        assert over(body) == (
            'the bundle unpacks to more than 65,536 bytes: "b" is the first that is too much'
        )
        assert unpacked(compressed({"a": bytes(64 * KIB)})) == {"a": bytes(64 * KIB)}

    def test_of_too_many_files(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(limits, "MOST_FILES", 3)
        body = compressed({str(n): b"" for n in range(4)})
        assert over(body) == "the bundle has 4 files, and the limit is 3"

    def test_with_a_long_name(self) -> None:
        name = "a/" * 500 + "b"
        assert over(compressed({name: b""})).endswith("has more than 1,000 characters")

    def test_that_lists_far_too_many_files_is_not_even_opened(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(limits, "MOST_FILES", 3)
        monkeypatch.setattr(zipfile, "ZipFile", None)
        assert over(b"PK\x01\x02" * 31) == "the zip holds far more than 3 files"

    @pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
    def test_that_can_only_be_unpacked_whole(self, method: int) -> None:
        with pytest.raises(UnreadableBundle, match="use deflate"):
            unpacked(compressed({"a": b"a"}, method))


# ---- what is in it ----------------------------------------------------------------------------

MANY = {
    "configuration files": {f"{n}.hcl": "" for n in range(limits.MOST_CONFIGURATION_FILES + 1)},
    "a file named again and again": {SOURCES: "a.hcl\n" * 200, "a.hcl": "#" * 12 * KIB},
    "a long list of files": {SOURCES: "\n" * (limits.LARGEST_CONFIGURATION + 1)},
    "a large configuration": {"a.hcl": " " * (limits.LARGEST_CONFIGURATION + 1)},
    "modules": {
        "a.hcl": "".join(task(f"t{n}", module=f"./m{n}") for n in range(limits.MOST_MODULES + 1))
    },
    "modules in modules": {
        "a.hcl": "".join(task(f"t{n}", module="./m" + "/m" * n) for n in range(40)),
        **{"m/" * 40 + f"{n}.txt": "" for n in range(300)},
    },
    "a large module": {"a.hcl": task("t"), "m/main.tf": "#" * (limits.LARGEST_TERRAFORM + 1)},
    "a large variable file": {
        "a.hcl": task("t").replace("module", 'variable_files = ["v"]\nmodule', 1),
        "v": "#" * (limits.LARGEST_VARIABLES + 1),
    },
    "variables shared by tasks": {
        "a.hcl": "".join(
            task(f"t{n}").replace("module", 'variable_files = ["v"]\nmodule', 1) for n in range(200)
        ),
        "v": f'v = "{"x" * 100 * KIB}"\n',
        "m/main.tf": MODULE + 'variable "v" {}\n',
    },
    "variables declared for tasks": {
        "a.hcl": "".join(task(f"t{n}") for n in range(200)),
        "m/main.tf": MODULE + "".join(f"variable v{n} {{\n default = 1\n}}\n" for n in range(900)),
    },
    "a provider shared by tasks": {
        "a.hcl": f'terraform_provider "p" {{\n x = "{"x" * 100 * KIB}"\n}}\n'
        + "".join(
            task(f"t{n}").replace("module", 'providers = ["p"]\nmodule', 1) for n in range(200)
        ),
    },
    "a backend shared by tasks": {
        "a.hcl": 'driver "terraform" { backend "gcs" {\n'
        f'x = "{"x" * 100 * KIB}"\n}} }}\n' + "".join(task(f"t{n}") for n in range(200)),
    },
    "a service shared by tasks": {
        "a.hcl": f'service {{\n name = "s"\n filter = "{"x" * 100 * KIB}"\n}}\n'
        + "".join(
            f'task {{\n name = "t{n}"\n module = "m"\n services = ["s"]\n}}\n' for n in range(200)
        ),
    },
    "secrets": {
        "a.hcl": 'terraform_provider "p" {\n'
        + "".join(f'password{n} = "x"\n' for n in range(limits.MOST_SECRETS + 1))
        + "}\n",
    },
}


@pytest.mark.slow
@pytest.mark.parametrize("files", MANY.values(), ids=MANY)
def test_too_much_is_the_one_problem_of_a_push(files: Mapping[str, str]) -> None:
    result = bundled(files)
    assert result.compiled is None
    [problem_] = result.problems
    assert problem_.code is Code.OVER_LIMIT
    assert str(problem_.place)
    assert any(char.isdigit() for char in problem_.what)


@pytest.mark.slow
def test_what_is_at_a_limit_is_accepted() -> None:
    text = task("t")
    room = limits.LARGEST_CONFIGURATION - len(text)
    result = checked(**{"a.hcl": text + "#" * room, "m/main.tf": MODULE})
    assert result.problems == ()
    assert result.compiled


# ---- findings ---------------------------------------------------------------------------------

FINDINGS = {
    "unknown options": "".join(f"a{n} = 1\n" for n in range(300)),
    "tasks without modules": "".join(f'task {{\n name = "t{n}"\n}}\n' for n in range(300)),
    "empty names": task("t").replace('"web"', '"", ' * 300),
}


@pytest.mark.slow
@pytest.mark.parametrize("text", FINDINGS.values(), ids=FINDINGS)
def test_the_first_problems_are_reported_and_that_there_are_more(text: str) -> None:
    problems = checked(**{"a.hcl": text, "m/main.tf": MODULE}).problems
    assert len(problems) == limits.MOST_FINDINGS + 1
    [more] = [each for each in problems if each.code is Code.OVER_LIMIT]
    assert more.what == "only the first 200 problems are reported, and there are more"


@pytest.mark.slow
def test_the_first_warnings_are_reported_and_that_there_are_more() -> None:
    text = "".join(task(f"t{n}").replace("web", "*") for n in range(300))
    result = checked(**{"a.hcl": text, "m/main.tf": MODULE})
    assert result.problems == ()
    assert result.compiled
    assert len(result.warnings) == limits.MOST_FINDINGS + 1
    assert [each.what for each in result.warnings if each.code is Code.OVER_LIMIT] == [
        "only the first 200 warnings are reported, and there are more"
    ]


def test_a_short_list_keeps_one_more_than_is_reported() -> None:
    few = Few[int](3)
    few.extend(range(9))
    few.append(9)
    assert few == [0, 1, 2, 3]


def test_a_problem_shows_the_beginning_of_a_long_text() -> None:
    made = Problem(Place("a"), "p" * 9999, Code.SYNTAX, "w" * 9999, "f" * 9999)
    assert [len(text) for text in (made.path, made.what, made.fix)] == [1003] * 3


@pytest.mark.parametrize(
    ("file", "text"),
    [("a.hcl", '"{}" = 1\n'), ("a.hcl", 'a "{}" {{}}\n'), ("a.json", '{{"{}": 1}}')],
)
def test_a_long_name_is_refused_where_it_stands(file: str, text: str) -> None:
    [found] = bundled({file: text.format("x" * 501)}).problems
    assert (found.code, found.what) == (Code.SYNTAX, "a name of more than 500 characters")
    assert found.place.line == 1


def test_a_version_of_any_length_is_read() -> None:
    text = f'driver "terraform" {{\n version = "1.{"9" * 5000}.0"\n}}\n'
    [found] = [each for each in checked(**{"a.hcl": text}).problems if each.path]
    assert found.code is Code.INVALID_VERSION


def test_a_long_cron_expression_is_refused() -> None:
    text = (
        task("t")
        .replace('"services"', '"schedule"')
        .replace('names = ["web"]', f'cron = "{"1," * 600} * * * *"')
    )
    codes = [each.code for each in checked(**{"a.hcl": text, "m/main.tf": MODULE}).problems]
    assert codes == [Code.INVALID_CRON]


# ---- depth --------------------------------------------------------------------------------------

DEEP = 60
DEPTHS = {
    "lists": ("a.hcl", "x = " + "[" * DEEP + "]" * DEEP),
    "blocks": ("a.hcl", "a {\n" * DEEP + "}\n" * DEEP),
    "labels": ("a.hcl", "a " + '"b" ' * DEEP + "{}"),
    "lists and blocks in turn": ("a.hcl", "x = " + "[{ a = " * DEEP + "1" + "}]" * DEEP),
    "JSON lists": ("a.json", '{"x": ' + "[" * DEEP + "]" * DEEP + "}"),
    "JSON objects": ("a.json", '{"x": ' * DEEP + "1" + "}" * DEEP),
    "JSON in turn": ("a.json", '{"x": ' + '[{"x": ' * DEEP + "1" + "}]" * DEEP + "}"),
    "JSON as deep as Python reads": ("a.json", "[" * 100_000 + "]" * 100_000),
}  # fmt: skip


@pytest.mark.parametrize(("file", "text"), DEPTHS.values(), ids=DEPTHS)
def test_of_deep_nesting_one_problem_is_reported(file: str, text: str) -> None:
    [found] = bundled({file: text}).problems
    assert (found.code, found.what) == (
        Code.SYNTAX,
        f"more than {MAX_DEPTH} levels of nesting",
    )


DEEP_EXPRESSIONS = {
    "lists": "[" * DEEP + "]" * DEEP,
    "lists and maps in turn": "[{ a = " * DEEP + "1" + "}]" * DEEP,
    "parentheses": "(" * DEEP + "1" + ")" * DEEP,
    "templates": '"${' * DEEP + "1" + '}"' * DEEP,
    "conditionals": "true ? 1 : " * DEEP + "1",
    "a sum": "1" + " + 1" * 2000,
    "signs": "!" * 5000 + "true",
    "very long": "[" + "1," * 30_000 + "]",
}


@pytest.mark.slow
@pytest.mark.parametrize("text", DEEP_EXPRESSIONS.values(), ids=DEEP_EXPRESSIONS)
def test_an_expression_that_is_too_much_is_left_to_terraform(text: str) -> None:
    variables, [found] = read_variables(f"x = {text}\n".encode(), "v.tfvars")
    assert (variables, found.code) == ({}, Code.NOT_CHECKED)
