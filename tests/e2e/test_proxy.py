"""Scripts written for CTS talk to the stack through `cts proxy`, with plain curl."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from local.tools import PROJECT
from tests.e2e.world import task

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.e2e.world import World

pytestmark = pytest.mark.e2e

COMMAND = "from cts_cli.main import app; app()"


@pytest.fixture(scope="module")
def proxy(world: World) -> Iterator[str]:
    """The address of a running proxy."""
    path = f"{PROJECT / 'layers' / 'core'}:{PROJECT / 'cli'}"
    with subprocess.Popen(
        [sys.executable, "-c", COMMAND, "proxy", "--listen", "127.0.0.1:0"],
        env={**world.stack.env, "PYTHONPATH": path},
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stderr
        try:
            first = process.stderr.readline()
            found = re.match(r"http://127\.0\.0\.1:\d+", first)
            assert found, first
            yield found[0]
        finally:
            process.terminate()
            left = process.stderr.read()
        assert (process.wait(), "stopped" in left) == (0, True), left


def curl(*arguments: str) -> tuple[int, Any]:
    """HTTP status and JSON."""
    done = subprocess.run(
        [
            "curl",
            "--silent",
            "--show-error",
            "--max-time",
            "60",
            "-w",
            "\\n%{http_code}",
            *arguments,
        ],
        env={"PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=True,
    )
    body, _, code = done.stdout.rpartition("\n")
    return int(code), json.loads(body)


def test_curl_reads_the_status_and_changes_a_task(world: World, proxy: str) -> None:
    world.catalog.register("px-1", "px-web", "10.9.0.1", 80)
    world.publish({"proxy.hcl": task("px-web", "px-web")})
    world.applied_right("px-web", "px-web")
    code, found = curl(f"{proxy}/v1/status/tasks/px-web?include=events")
    assert (code, found["px-web"]["status"], len(found["px-web"]["events"])) == (
        200,
        "successful",
        1,
    )
    assert curl(f"{proxy}/v1/status")[0] == 200
    why = json.dumps({"why": "tried with curl"})
    assert curl("-d", why, f"{proxy}/v1/tasks/px-web/hold")[0] == 200
    assert world.state("px-web").hold == "tried with curl"
    assert curl("-X", "POST", f"{proxy}/v1/tasks/px-web/release")[0] == 200
    assert curl(f"{proxy}/v1/status/tasks/absent")[0] == 404


def test_a_web_page_reaches_nothing(proxy: str) -> None:
    for header in ("Host: attacker.example", "Origin: https://attacker.example"):
        assert curl("-H", header, f"{proxy}/v1/status")[0] == 403
