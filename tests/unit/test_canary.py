"""Where a secret of a folder may be after a push and a run, and where it is never."""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cts import keys
from cts.build.log import Log
from cts.build.output import Copied
from cts.run.model import RENEW_AFTER
from tests.digging import holding
from tests.unit.cli_fakes import Account, cts, deployed
from tests.unit.publisher import zipped
from tests.unit.reader_fakes import call
from tests.unit.secret_kinds import CANARY, KINDS, MOVED, NUMBERS, Fate, Kind, provider
from tests.unit.system import System

STORED = {"bundle", "definition", "module", "archive"}
"""Where what a module needs is stored: none of it is shown or sent."""
QUESTIONS = ("status", "status/tasks", "tasks", "configuration", "poller", "runs")


@pytest.fixture
def account(monkeypatch: pytest.MonkeyPatch) -> Account:
    return deployed(monkeypatch)


# ---- looking for it ----------------------------------------------------------------------------


def kind_of(key: str) -> str:
    if key == keys.BUNDLE:
        return "bundle"
    folder, name = key.split("/", maxsplit=1)[0], key.rsplit("/", maxsplit=1)[-1]
    of_run = {"archive.zip": "archive", "log": "log", "result.json": "result"}
    return of_run.get(name) or {"definitions": "definition", "modules": "module"}.get(folder, key)


def places(account: Account, system: System, printed: list[str]) -> dict[str, Any]:
    """Everything but the stack's secrets."""
    objects: dict[str, Any] = {}
    for key, versions in account.world.bucket.objects.items():
        objects.setdefault(kind_of(key), []).extend(versions)
    runs = list(account.world.table.stored_runs)
    asked = [*QUESTIONS, *(f"runs/{run}" for run in runs), *(f"runs/{run}/log" for run in runs)]
    answers = [call(f"https://reader/v1/{each}", "GET")[2] for each in asked]
    return {
        **objects,
        "table": vars(account.world.table),
        "events": [*account.bus.events, *system.bus.events],
        "answers": answers,
        "printed": printed,
    }


# ---- what happens -------------------------------------------------------------------------------


def commands(folder: Path) -> list[str]:
    """What every command prints of a folder, the push among them."""
    typed = (["validate"], ["import", "--json"], ["push"])
    results = [cts(*each, folder) for each in typed]
    return [result.stdout + result.stderr for result in results]


def shows() -> list[str]:
    typed = (["status"], ["runs", "--json"], ["logs", "web"])
    return [(result := cts(*each)).stdout + result.stderr for each in typed]


def quoted(kind: Kind) -> str:
    """An error of Terraform with all it could show of what it was given."""
    said = "Error: no\n"
    for name, text in kind.files.items():
        for number, line in enumerate(text.splitlines(), 1):
            if kind.secret in line and line != CANARY:
                said += f"│\n│   on {name} line {number}:\n│  {number}: {line}\n"
        said += "".join(f"+ {line}\n" for line in text.splitlines() if "KEY" in text)
    return said


def fails(account: Account, said: str) -> System:
    """A run of the task `web` whose Terraform says that, unless the task has to wait."""
    world = account.world
    system = System(table=world.table, bucket=world.bucket)
    assert world.table.live
    system.tasks = dict(world.bucket.generation(world.table.live).tasks)
    if not system.tasks:
        return system
    system.web(80)
    system.put(replace(system.table.state("web"), place="stack"))
    run = system.started("web")
    log = Log()
    copied = Copied(log)
    copied.add(said.encode())
    copied.add(b"")
    error = str(copied)
    assert "Error: no" in error
    account.world.write_log(run, log.body().decode())
    system.begins(run)
    system.result(run, "errored", error=error)
    system.ends(run, "FAILED")
    return system


def written(folder: Path, files: Mapping[str, str]) -> Path:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


def test_a_secret_that_was_planted_is_found_wherever_it_is(
    account: Account, tmp_path: Path
) -> None:
    kind = Kind("plain", provider(f'comment = "{CANARY}"'), Fate.KEPT, "a.hcl:7")
    kind.files["m/main.tf"] += f'variable "x" {{ default = "{CANARY}" }}\n'
    printed = [*commands(written(tmp_path, kind.files)), CANARY]
    system = fails(account, f"Error: no {CANARY}\n")
    found = holding(CANARY, places(account, system, printed))
    assert found == {"bundle", "module", "archive", "log", "result", "table", "events", "answers",
                     "printed"}  # fmt: skip
    definition = {keys.definition("x"): [json.dumps({"module": CANARY}).encode()]}
    assert holding(CANARY, definition) == {keys.definition("x")}
    assert kind_of(keys.definition("x")) == "definition"
    assert not holding("absent", places(account, system, printed))
    assert CANARY in "".join(shows())


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_a_secret_is_nowhere_but_where_its_module_needs_it(
    account: Account, tmp_path: Path, kind: Kind
) -> None:
    printed = commands(written(tmp_path, kind.files))
    system = System()
    if kind.fate is Fate.KEPT:  # otherwise it isn't in the bundle, and a run can't show it
        system = fails(account, quoted(kind))
        printed += shows()
    found = holding(kind.secret, places(account, system, printed))
    assert found <= (STORED if kind.fate is Fate.KEPT else set())
    assert bool(found) is (kind.fate is Fate.KEPT)
    held = account.held("arn:task") if "arn:task" in account.versions else {}
    in_task = any(kind.secret in value for value in held.values())
    assert in_task is (kind.fate is Fate.MOVED and "Consul" not in kind.name)


def test_credentials_of_runs_are_nowhere_but_where_their_builds_find_them(
    account: Account, tmp_path: Path
) -> None:
    """Of a run that has ended they are nowhere, and nobody is told the name of their folder."""
    kind = Kind("plain", provider('comment = "x"'), Fate.KEPT, "a.hcl:7")
    printed = commands(written(tmp_path, kind.files))
    system = fails(account, "Error: no\n")
    [ended] = system.table.stored_runs.values()
    system.clock.now += 86_400  # until its retry is due
    run = system.started("web")
    system.clock.now += RENEW_AFTER
    system.sweep()
    places_now = places(account, system, [*printed, *shows()])
    folder = f"builds/{run.folder}"
    assert holding(system.sts.SECRET, places_now) == {f"{folder}/session.json", "archive"}
    kept = account.world.bucket.archive("web", run.id)
    assert not holding(system.sts.SECRET, {"kept": kept})
    assert ended.folder != run.folder
    shown = {name: places_now[name] for name in ("events", "answers", "printed", "log", "result")}
    assert not holding(run.folder, shown) | holding(ended.folder, shown)


NOT_PUSHED = [kind for kind in KINDS if kind.fate in (Fate.REFUSED, Fate.MOVED)]


@pytest.mark.slow
@pytest.mark.parametrize("kind", NOT_PUSHED, ids=lambda kind: kind.name)
def test_a_bundle_that_others_made_is_rejected_without_a_word_of_the_secret(
    account: Account, kind: Kind
) -> None:
    account.world.bucket.write(keys.BUNDLE, zipped(kind.files))
    account.publish()
    refused = account.world.table.refused
    assert refused
    assert {each["code"] for each in refused.problems} == {"literal-secret"}
    found = holding(kind.secret, places(account, System(), [cts("status").stdout]))
    assert found == {"bundle"}


def test_the_table_of_kinds_has_what_the_documents_name() -> None:
    assert len({kind.name for kind in KINDS}) == len(KINDS)
    assert {*MOVED, *(f"number, {each}" for each in NUMBERS)} <= {kind.name for kind in KINDS}
    assert {kind.fate for kind in KINDS} == {*Fate}
