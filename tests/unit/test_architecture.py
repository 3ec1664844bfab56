"""The arrows between the parts (docs/architecture.md), held by a test instead of by memory."""

import ast
import re
import sys
from collections import defaultdict
from collections.abc import Iterator
from fnmatch import fnmatch
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

from tests.unit.python_files import nodes

pytestmark = pytest.mark.slow  # `make check` runs them

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "layers/core/cts"

WORDS = {"cts.errors", "cts.events"}
PURE = {
    *WORDS,
    "cts.conditions",
    "cts.config",
    "cts.generation",
    "cts.keys",
    "cts.run",
    "cts.stored",
    "cts.terraform",
    "cts.watch",
}
# What asks the machine: a pure part takes the answer as an argument.
IMPURE = {"http", "os", "random", "secrets", "shutil", "socket", "subprocess", "time", "uuid"}
CLOCK = {"now", "today", "utcnow"}

HCL2 = {"hcl2", "lark"}
READER = PACKAGE / "config/hcl2/read.py"

# The runner reads the secrets of a run in HCP Terraform as builds do.
BUILD_READS_SECRETS = {
    f"cts.build.{name}"
    for name in (
        "aws",
        "credentials",
        "errors",
        "facts",
        "hidden",
        "masking",
        "references",
        "resolve",
    )
}

# part of the package -> what its modules may import beside the standard library: whole parts, or
# single modules of one
MAY_IMPORT: dict[str, set[str]] = {
    "errors": set(),
    "events": {"cts.errors"},
    "stored": set(),
    "keys": set(),
    "watch": {
        "cts.watch",
        "cts.conditions.condition",
        "cts.generation",
        "cts.run",
        "cts.stored",
        *WORDS,
    },
    "conditions": {
        "cts.conditions",
        "cts.config.text.escapes",
        "cts.config.rules.problem",
        "cts.config.rules.regexp",
        "cts.config.blocks.schema",
        "cts.terraform.hclwrite",
        "cts.watch",
        "cts.stored",
    },
    "executor": {"cts.executor", "cts.build", "cts.keys"},
    "generation": {"cts.conditions", "cts.watch", "cts.stored"},
    "terraform": {
        "cts.build.references",
        "cts.terraform",
        "cts.conditions",
        "cts.watch",
        "cts.stored",
        *WORDS,
    },
    "config": {
        "cts.build.masking",
        "cts.build.references",
        "cts.config",
        "cts.conditions",
        "cts.generation",
        "cts.stored",
        "cts.terraform",
        "cts.watch",
        "re2",
        *HCL2,
        *WORDS,
    },
    "run": {"cts.run", "cts.stored", *WORDS},
    "build": {"cts.build"},
    "ports": {"cts.generation", "cts.run", *WORDS},
    "workflow": {"cts.workflow", "cts.ports", *PURE},
    "adapters": {"cts.adapters", *BUILD_READS_SECRETS, *PURE, "boto3", "botocore", "httpx"},
    "settings": WORDS,
    "wiring": {
        "cts.wiring",
        "cts.settings",
        "cts.adapters",
        "cts.executor",
        "cts.workflow",
        *PURE,
    },
}
PURE_PARTS = [
    "errors",
    "events",
    "stored",
    "keys",
    "watch",
    "conditions",
    "generation",
    "terraform",
    "config",
    "run",
]

FUNCTION_MAY_IMPORT = {
    *WORDS,
    "cts.executor",
    "cts.settings",
    "cts.wiring",
    "cts.workflow",
    "aws_lambda_powertools",
}
COMMAND_MAY_IMPORT = {
    *WORDS,
    "cts",
    "cts.adapters.not_aws",
    "cts.build.masking",
    "cts.build.references",
    "cts.conditions",
    "cts.config",
    "cts.generation",
    "cts.keys",
    "cts.run.error_text",
    "cts.run.plan_text",
    "cts.run.reasons",
    "cts.watch.snapshot",
    "cts_cli",
    "boto3",
    "botocore",
    "httpx",
    "rich",
    "typer",
}


def modules(part: str) -> list[Path]:
    """The files of a part, which is a folder or a single module."""
    module = PACKAGE / f"{part}.py"
    return [module] if module.exists() else sorted((PACKAGE / part).rglob("*.py"))


@cache
def imported(path: Path, *, inside_functions: bool = True) -> tuple[str, ...]:
    """Names imported at run time; what only a type checker sees is free."""
    return tuple(_imported(path, inside_functions))


def _imported(path: Path, inside_functions: bool) -> Iterator[str]:
    free = {
        child
        for node in nodes(path)
        if (isinstance(node, ast.If) and getattr(node.test, "id", "") == "TYPE_CHECKING")
        or (isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and not inside_functions)
        for statement in node.body
        for child in ast.walk(statement)
    }
    for node in set(nodes(path)) - free:
        match node:
            case ast.Import():
                yield from (alias.name for alias in node.names)
            case ast.ImportFrom(module=str(module), level=0):
                yield from (f"{module}.{alias.name}" for alias in node.names)
            case ast.ImportFrom():
                pytest.fail(f"{path.relative_to(ROOT)}:{node.lineno}: name the module in full")


def part_of(name: str) -> str:
    """`cts.watch.view.Row` -> `cts.watch`; `httpx.Client` -> `httpx`."""
    top, second, *_ = [*name.split("."), ""]
    return f"cts.{second}" if top == "cts" and second and not second.startswith("__") else top


def assert_imports_only(path: Path, allowed: set[str], root: Path = ROOT) -> None:
    for name in imported(path):
        part = part_of(name)
        if part not in sys.stdlib_module_names:
            assert part in allowed or any(
                f"{name}.".startswith(f"{module}.") for module in allowed
            ), f"{path.relative_to(root)} imports {name}"


@pytest.mark.parametrize("part", MAY_IMPORT)
def test_a_part_imports_only_along_the_arrows(part: str) -> None:
    for path in modules(part):
        assert_imports_only(path, MAY_IMPORT[part])


@pytest.mark.parametrize(
    ("part", "line"),
    [
        ("conditions", "from cts.config.blocks.options import Options"),
        ("conditions", "from cts.terraform.root import main"),
        ("conditions", "from cts.workflow import poll"),
        ("conditions", "import re2"),
        ("watch", "from cts.conditions.services import SERVICE"),
        ("watch", "from cts.config.rules.regexp import compiled"),
        ("terraform", "from cts.config.blocks.model import Task"),
        ("config", "from cts.workflow.poll import Poller"),
    ],
)
def test_an_arrow_the_other_way_is_refused(part: str, line: str, tmp_path: Path) -> None:
    module = tmp_path / "module.py"
    module.write_text(f"{line}\n")
    with pytest.raises(AssertionError, match=re.escape(line.split()[1])):
        assert_imports_only(module, MAY_IMPORT[part], tmp_path)


def test_every_part_has_its_arrows() -> None:
    parts = {path.stem for path in PACKAGE.iterdir() if path.suffix == ".py" or path.is_dir()}
    assert parts - {"__init__", "__pycache__"} <= MAY_IMPORT.keys()


@pytest.mark.parametrize("part", PURE_PARTS)
def test_a_pure_part_asks_neither_the_machine_nor_the_clock(part: str) -> None:
    for path in modules(part):
        where = path.relative_to(ROOT)
        for name in imported(path):
            assert part_of(name) not in IMPURE, f"{where} imports {name}"
        asked = {
            ast.unparse(node)
            for node in nodes(path)
            if isinstance(node, ast.Attribute) and node.attr in CLOCK
        }
        assert not any(name.startswith(("date.", "datetime.")) for name in asked), where


def test_python_hcl2_is_imported_in_one_place_and_when_there_is_something_to_read() -> None:
    folders = (PACKAGE, ROOT / "cli/cts_cli", ROOT / "functions")
    paths = [path for folder in folders for path in folder.rglob("*.py")]
    assert [path for path in paths if HCL2 & set(map(part_of, imported(path)))] == [READER]
    at_once = map(part_of, imported(READER, inside_functions=False))
    assert not HCL2 & set(at_once)


def test_only_settings_reads_the_environment() -> None:
    for path in PACKAGE.rglob("*.py"):
        if path.name == "settings.py" or "build" in path.relative_to(PACKAGE).parts:
            continue
        read = {"os.environ", "os.getenv"} & {
            ast.unparse(node)
            for node in nodes(path)
            if isinstance(node, ast.Attribute) and node.attr in {"environ", "getenv"}
        }
        assert not read, f"{path.relative_to(ROOT)} reads the environment"


@pytest.mark.parametrize(
    "path", sorted(ROOT.glob("functions/*/app.py")), ids=lambda p: p.parent.name
)
def test_an_entry_point_only_wires(path: Path) -> None:
    assert_imports_only(path, FUNCTION_MAY_IMPORT)
    assert len(path.read_text().splitlines()) < 40


def test_the_command_line_knows_the_configuration_and_nothing_else_of_the_package() -> None:
    for path in (ROOT / "cli/cts_cli").rglob("*.py"):
        assert_imports_only(path, COMMAND_MAY_IMPORT)


PRINTS = {"print", "typer.confirm", "typer.echo", "typer.prompt", "typer.secho"}
ON_SCREEN = {"output.py", "screen.py"}


def test_what_is_printed_comes_by_the_screen() -> None:
    for path in (ROOT / "cli/cts_cli").rglob("*.py"):
        drawn = {name for name in imported(path) if part_of(name) == "rich"} - {
            "rich.cells.cell_len"
        }
        calls = [n for n in nodes(path) if isinstance(n, ast.Call)]
        printed = [each for each in calls if ast.unparse(each.func) in PRINTS]
        if path.name == "main.py":  # the version
            assert [ast.unparse(each) for each in printed] == [
                "typer.echo(f'cts {cts.__version__}')"
            ]
        elif path.name not in ON_SCREEN:
            assert (drawn, printed) == (set(), []), path.name


def graph(package: Path) -> dict[str, set[str]]:
    """Each module of a package, and those of it that it imports when it is loaded."""
    names = {
        path: ".".join((package.name, *path.relative_to(package).with_suffix("").parts))
        for path in package.rglob("*.py")
    }
    known = {name.removesuffix(".__init__") for name in names.values()}
    return {
        name.removesuffix(".__init__"): {
            near
            for target in imported(path, inside_functions=False)
            if (near := target if target in known else target.rpartition(".")[0]) in known
        }
        for path, name in names.items()
    }


@pytest.mark.parametrize("package", [PACKAGE, ROOT / "local", ROOT / "cli/cts_cli"])
def test_no_modules_import_each_other(package: Path) -> None:
    try:
        TopologicalSorter(graph(package)).prepare()
    except CycleError as error:
        pytest.fail(" -> ".join(error.args[1]))


def classes() -> Iterator[tuple[str, ast.ClassDef]]:
    """Every class of the package, and where it is."""
    for path in sorted(PACKAGE.rglob("*.py")):
        for node in nodes(path):
            if isinstance(node, ast.ClassDef):
                yield str(path.relative_to(PACKAGE)), node


def is_port(node: ast.ClassDef) -> bool:
    return any(ast.unparse(base) == "Protocol" for base in node.bases)


def methods(node: ast.ClassDef, ports: dict[str, ast.ClassDef]) -> list[str]:
    """The methods of a port, those of the ports it is made of included."""
    own = [n.name for n in node.body if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)]
    bases = [ports[name] for base in node.bases if (name := ast.unparse(base)) in ports]
    return [*own, *(name for base in bases for name in methods(base, ports))]


def test_a_port_has_at_most_four_methods() -> None:
    ports = {node.name: node for _, node in classes() if is_port(node)}
    assert {
        name: found for name, node in ports.items() if len(found := methods(node, ports)) > 4
    } == {}
    assert len(methods(ports["ReadObjects"], ports)) == 4


def test_no_two_classes_have_one_name() -> None:
    """But a port and the adapter that satisfies it."""
    named = defaultdict(list)
    for where, node in classes():
        named[node.name].append((where.startswith("adapters/"), is_port(node)))
    for name, found in named.items():
        assert len(found) == 1 or sorted(found) == [(False, True), (True, False)], name


def test_no_folder_of_tests_is_left_out(pytestconfig: pytest.Config) -> None:
    left_out = pytestconfig.getini("norecursedirs")
    for file in (ROOT / "tests").rglob("test_*.py"):
        folders = file.relative_to(ROOT).parts[:-1]
        assert not [each for each in folders for name in left_out if fnmatch(each, name)], file
