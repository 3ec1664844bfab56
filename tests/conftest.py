"""What all tests share."""

import gc
import os
import subprocess
import sys
import threading
from collections.abc import Generator, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from local import tools
from local.provider import parent
from local.provider.mirror import cli_configuration

# Before their import, so that a failure says what differs.
pytest.register_assert_rewrite("tests.e2e.faults", "tests.e2e.world")
os.environ.setdefault("POWERTOOLS_METRICS_NAMESPACE", "cts")

settings.register_profile("patient", deadline=None)  # a busy machine is no failure
# For `make test`: each run tries other examples.
settings.register_profile("brief", settings.get_profile("patient"), max_examples=30)
settings.load_profile("patient")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-golden", action="store_true", help="rewrite the golden files")


def pytest_collection_finish() -> None:
    """What is there by now, thousands of tests among it, stays until the end: looking through it
    for garbage again and again takes a tenth of the time. So do looks at every 700 new objects."""
    gc.freeze()
    gc.set_threshold(100_000)


TRACERS = pytest.StashKey[tuple[Any, Any]]()
"""Coverage's: of the thread that runs the tests, and of threads that begin."""


@contextmanager
def tracing(tracer: Any, of_threads: Any) -> Iterator[None]:
    former, former_of_threads = sys.gettrace(), threading.gettrace()
    sys.settrace(tracer)
    threading.settrace(of_threads)
    try:
        yield
    finally:
        threading.settrace(former_of_threads)
        sys.settrace(former)


def untraced() -> AbstractContextManager[None]:
    """Without coverage, which makes what is slow take three times as long, also in threads that
    begin meanwhile."""
    return tracing(None, None)


def traced(config: pytest.Config) -> AbstractContextManager[None]:
    """With coverage, if there is any."""
    return tracing(*config.stash[TRACERS])


@pytest.hookimpl(wrapper=True)
def pytest_pycollect_makeitem() -> Generator[None, object, object]:
    """The modules were imported before: only pytest works here."""
    with untraced():
        return (yield)


LONGEST = (
    "e2e/test_doctor.py", "e2e/test_quiet.py", "e2e/test_faults_poller_gone.py",
    "e2e/test_faults_poller_killed.py", "e2e/test_faults_warm.py", "e2e/test_dashboard.py",
    "e2e/test_faults_silence.py", "e2e/test_consul_restart.py", "e2e/test_rest.py",
    "e2e/test_warm.py", "e2e/test_faults_apply.py", "e2e/test_faults_events.py",
    "e2e/test_publish_races.py", "e2e/test_task_commands.py", "e2e/test_moving_from_cts.py",
    "e2e/test_canary.py", "e2e/test_rest_errors.py", "e2e/test_hcp_terraform.py",
    "e2e/test_kinds.py", "e2e/test_push.py", "template/test_build.py",
    "contract/test_hand_over.py", "build/test_executor.py", "contract/test_hcp_many.py",
    "contract/test_hcp_killed.py", "local/test_stack.py", "build/test_busy.py",
    "build/test_root_module.py",
)  # fmt: skip
"""What takes longest comes first, beside all the rest: a minute or more of real time, or many cold
starts. Only one worker has a module's tests."""


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> Generator[None, object, object]:
    with untraced():
        result = yield

    def rank(item: pytest.Item) -> int:
        name = f"{item.path.parent.name}/{item.path.name}"
        return LONGEST.index(name) if name in LONGEST else len(LONGEST)

    items.sort(key=rank)
    return result


# The last to begin, as pytest-cov misses its tracer when it ends.
@pytest.hookimpl(wrapper=True, trylast=True)
def pytest_runtestloop(session: pytest.Session) -> Generator[None, object, object]:
    """Untraced: what pytest does around each of thousands of tests would take twice as long."""
    session.config.stash[TRACERS] = sys.gettrace(), threading.gettrace()
    with untraced():
        return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_fixture_setup(
    fixturedef: pytest.FixtureDef[Any], request: pytest.FixtureRequest
) -> Generator[None, object, object]:
    """Traced, unless it is made for a slow test alone."""
    is_its_own = fixturedef.scope == "function"
    with nullcontext() if is_its_own and is_slow(request.node) else traced(request.config):
        return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> Generator[None, object, object]:
    with nullcontext() if is_slow(pyfuncitem) else traced(pyfuncitem.config):
        return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item: pytest.Item) -> Generator[None, object, object]:
    with traced(item.config):
        return (yield)


def is_slow(item: pytest.Item) -> bool:
    """pytest-cov's own marker `no_cover` has no effect in a worker."""
    return item.get_closest_marker("slow") is not None


@dataclass
class Terraform:
    """Real Terraform, which finds the test provider of `local/provider`."""

    environment: dict[str, str]

    def __call__(
        self, folder: Path, *arguments: str, code: int = 0
    ) -> subprocess.CompletedProcess[str]:
        """Runs a command in the folder of a root module: `terraform(folder, "plan", "-out=p")`."""
        done = subprocess.run(
            ["terraform", *arguments, "-no-color"],
            cwd=folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == code, done.stdout + done.stderr
        return done


@pytest.fixture(scope="session")
def terraform(tmp_path_factory: pytest.TempPathFactory) -> Terraform:
    environment = tools.environment(tmp_path_factory.mktemp("terraform")) | parent.environment()
    Path(environment["TF_CLI_CONFIG_FILE"]).write_text(cli_configuration())
    tools.terraform()
    return Terraform(environment)
