"""`make bench`: how long a change in Consul takes, and what imports, rendering, builds and
`cts status` cost.

Every figure is printed, and written to build/bench.json as {name: {"value", "unit"}}. With names of
GROUPS as arguments (`python -m tests.bench rendering`), only their figures are printed. Bare
Terraform runs in turn with the changes, so that the ratio holds on a machine whose speed drifts.
CTS_BENCH_CHANGES: how many changes to time.
"""

import io
import json
import os
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median, quantiles
from typing import Any

from rich.console import Console
from rich.table import Table

from local.demo.catalog import Catalog
from local.stack import Stack
from local.tools import PROJECT
from local.waiting import wait_until
from tests.bench.builds import OPTIONS, build_costs
from tests.bench.hops import medians, moments, seconds, shares
from tests.bench.imports import import_costs
from tests.bench.rendering import rendering_costs
from tests.bench.status import status_costs

CHANGES = int(os.environ.get("CTS_BENCH_CHANGES", "50"))
PATIENCE = 60.0
INIT = ("-input=false", "-backend-config=key=bare.tfstate", *OPTIONS)
"""Of bare Terraform, which locks its state as a run does."""
CONFIGURATION = {
    "tasks.hcl": """
        buffer_period { enabled = false }
        task {
          name   = "bench"
          module = "./module"
          condition "services" { names = ["bench"] }
          serverless { lane = "build" }
        }
        task {
          name   = "warm"
          module = "./module"
          condition "services" { names = ["warm"] }
          serverless { lane = "warm" }
        }
        task {
          name   = "regexp"
          module = "./module"
          condition "services" { regexp = "^matched$" }
        }
        task {
          name   = "kv"
          module = "./kv"
          condition "consul-kv" { path = "bench/port" }
        }
    """,
    "kv/main.tf": """
        variable "services" { type = map(any) }
        variable "consul_kv" { type = map(string) }
        resource "terraform_data" "rule" {
          input = var.consul_kv
        }
    """,
    "module/main.tf": """
        variable "services" { type = map(object({ name = string, port = number })) }
        resource "terraform_data" "rule" {
          for_each = var.services
          input    = each.value.port
        }
    """,
}


def main(names: list[str]) -> None:
    console = Console(highlight=False)
    figures = {name: figure for group in names or GROUPS for name, figure in GROUPS[group]()}
    show(console, figures)
    if names:
        return
    path = PROJECT / "build/bench.json"
    path.parent.mkdir(exist_ok=True)
    named = {name: {"value": value, "unit": unit} for name, (value, unit) in figures.items()}
    path.write_text(json.dumps(named, indent=1) + "\n")


def change_costs() -> Iterator[tuple[str, tuple[float, str]]]:
    """The time from a change to its trigger and to the end of its apply."""
    with tempfile.TemporaryDirectory() as folder, Stack.start(Path(folder)) as stack:
        bench = Bench(stack, Path(folder))
        bench.push()
        with Console().status("") as status:
            for number in range(CHANGES):
                status.update(f"{number} of {CHANGES} changes")
                bench.change(number)
        yield from bench.figures()


def show(console: Console, figures: dict[str, tuple[float, str]]) -> None:
    table = Table("figure", "value", "unit")
    for name, (value, unit) in sorted(figures.items()):
        table.add_row(name, f"{value:g}", unit)
    console.print(table)


class Bench:
    def __init__(self, stack: Stack, folder: Path) -> None:
        self._stack = stack
        self._folder = folder
        self._consul = stack.consul_client()
        self._catalog = Catalog(self._consul)
        self._s3 = stack.client("s3")
        self._seen = 0
        self._triggered: dict[str, list[float]] = {"bench": [], "warm": [], "regexp": [], "kv": []}
        self._applied: dict[str, list[float]] = {"bench": [], "warm": []}
        self._terraform: list[float] = []
        self._hops: dict[str, list[dict[str, float]]] = {"bench": [], "warm": []}
        self._bare: list[float] = []
        self._bare_apply: list[float] = []

    def push(self) -> None:
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as bundle:
            for name, text in CONFIGURATION.items():
                bundle.writestr(name, text)
        work = self._stack.outputs["WorkBucket"]
        self._s3.put_object(Bucket=work, Key="config/bundle.zip", Body=buffer.getvalue())
        for _ in self._triggered:
            self._next("RunFinished")

    def change(self, number: int) -> None:
        """For each lane one change of a port, timed from its write to the end of its apply. Then
        one for each of the other tasks, timed until they are triggered."""
        run, _ = self._applied_change("bench", number)
        self._bare.append(self._bare_terraform(run))
        run, at = self._applied_change("warm", number)
        self._terraform.append(seconds(at["ended"]) - seconds(at["init"]))
        self._bare_apply.append(self._prepared_terraform(run))

        written = time.time()
        self._catalog.register("matched-1", "matched", "10.0.0.2", 1000 + number)
        self._triggered["regexp"].append(self._trigger() - written)
        self._next("RunFinished")

        written = time.time()
        self._consul.put("/v1/kv/bench/port", content=str(number)).raise_for_status()
        self._triggered["kv"].append(self._trigger() - written)
        self._next("RunFinished")

    def _applied_change(self, task: str, number: int) -> tuple[str, dict[str, str]]:
        """The id of its run, and when its steps began."""
        calls = self._stack.calls(since=-1)[-1]["n"]
        events = self._seen
        written = time.time()
        self._catalog.register(f"{task}-1", task, "10.0.0.1", 1000 + number)
        self._triggered[task].append(self._trigger() - written)
        run: str = self._next("RunFinished")["detail"]["run_id"]
        at: dict[str, str] = json.loads(self._object(f"runs/{task}/{run}/result.json"))["at"]
        self._applied[task].append(seconds(at["ended"]) - written)
        told = self._stack.calls(since=calls), self._stack.events(since=events)
        self._hops[task].append(shares(written, moments(run, task, at, *told)))
        return run, at

    def _trigger(self) -> float:
        return seconds(self._next("TaskTriggered")["at"])

    def _bare_terraform(self, run: str) -> float:
        """The same root module, with a state of its own in the same bucket."""
        folder = self._folder / "bare" / run
        self._unpack("bench", run, folder)
        began = time.time()
        self._run(folder, "init", *INIT)
        self._run(folder, "apply", "-input=false", "-auto-approve")
        return time.time() - began

    def _prepared_terraform(self, run: str) -> float:
        """One apply of the same root module, in a folder that needs no `init`, by the program that
        the executor has."""
        folder = self._folder / "prepared"
        is_new = not folder.exists()
        self._unpack("warm", run, folder)
        [program] = (self._stack.folder / "bin").glob("terraform-*")
        if is_new:
            self._run(folder, "init", *INIT, program=program)
        began = time.time()
        self._run(folder, "apply", "-input=false", "-auto-approve", program=program)
        return time.time() - began

    def _unpack(self, task: str, run: str, folder: Path) -> None:
        body = self._object(f"runs/{task}/{run}/archive.zip")
        with zipfile.ZipFile(io.BytesIO(body)) as archive:
            archive.extractall(folder)

    def _run(self, folder: Path, *command: str, program: Path = Path("terraform")) -> None:
        environment = {**os.environ, **self._stack.env}
        if command[0] == "apply":  # it creates its workspace
            environment["TF_WORKSPACE"] = folder.relative_to(self._folder).parts[0]
        done = subprocess.run(
            [program, *command], cwd=folder, env=environment, capture_output=True, check=False
        )
        if done.returncode:
            sys.exit(f"terraform {command[0]}: {done.stderr.decode()}")

    def figures(self) -> Iterator[tuple[str, tuple[float, str]]]:
        applied, warm = median(self._applied["bench"]), self._applied["warm"]
        bare = median(self._bare)
        ratios = _ratios(self._applied["bench"], self._bare)
        named = self._triggered["bench"]
        yield "trigger_p50_ms", (round(median(named) * 1000, 1), "ms")
        yield "trigger_p99_ms", (round(quantiles(named, n=100)[98] * 1000, 1), "ms")
        for kind in ("regexp", "kv"):
            yield f"{kind}_trigger_p50_ms", (round(median(self._triggered[kind]) * 1000, 1), "ms")
        yield "change_to_applied_p50_s", (round(applied, 2), "s")
        yield "bare_terraform_p50_s", (round(bare, 2), "s")
        yield "applied_to_bare_ratio", (round(median(ratios), 2), "ratio")
        yield "change_to_applied_warm_p50_s", (round(median(warm), 2), "s")
        yield "change_to_applied_warm_p99_s", (round(quantiles(warm, n=100)[98], 2), "s")
        over_bare = median(_ratios(self._terraform, self._bare_apply))
        yield "warm_apply_over_bare_ratio", (round(over_bare, 2), "ratio")
        for lane, task in ("build", "bench"), ("warm", "warm"):
            whole = median(self._applied[task])
            for number, (hop, took) in enumerate(medians(self._hops[task]).items(), 1):
                name = f"hop_{lane}_{number:02}_{hop.replace(' ', '_')}"
                yield f"{name}_ms", (round(took * 1000), "ms")
                yield f"{name}_share", (round(100 * took / whole), "% of change to applied")

    def _next(self, detail_type: str) -> dict[str, Any]:
        """The next event of that type that was put on the bus."""
        found: list[dict[str, Any]] = []

        def come() -> bool:
            for event in self._stack.events(since=self._seen):
                if event["kind"] == "put" and event["detail_type"] == detail_type:
                    self._seen = event["n"]
                    found.append(event)
                    return True
            return False

        wait_until(come, PATIENCE, detail_type)
        return found[0]

    def _object(self, key: str) -> bytes:
        work = self._stack.outputs["WorkBucket"]
        body: bytes = self._s3.get_object(Bucket=work, Key=key)["Body"].read()
        return body


def _ratios(whole: list[float], part: list[float]) -> list[float]:
    return [one / other for one, other in zip(whole, part, strict=True)]


GROUPS: dict[str, Callable[[], Iterator[tuple[str, tuple[float, str]]]]] = {
    "imports": import_costs,
    "rendering": rendering_costs,
    "builds": build_costs,
    "status": status_costs,
    "changes": change_costs,
}

if __name__ == "__main__":
    main(sys.argv[1:])
