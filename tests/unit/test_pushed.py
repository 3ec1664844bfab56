"""Tasks that are pushed to be held: from before they are live until a person releases them."""

import json
from dataclasses import replace

import pytest

from cts.config import bundle
from cts.config.api_tasks import ApiTask
from cts.config.bundle import HELD, UnreadableBundle
from cts.errors import Unavailable
from cts.run.person import HOLDS, hold, release
from cts.run.place import PROGRAM, StatePlace, place
from cts.run.pushed import PUSH, WHY, held_by_push
from cts.run.state import Hold, TaskState
from cts.workflow.publish import PublishOutcome
from tests.fakes import before_next, failing
from tests.unit.publisher import MODULE, World, task, world, zipped

ANN = "arn:aws:iam::111122223333:user/ann"
NEW = TaskState("web")


# ---- the state ----------------------------------------------------------------------------


def test_a_push_holds_a_task_once() -> None:
    held = held_by_push(NEW, "v1", 5.0)
    assert held.held == Hold(WHY, PUSH, 5.0, push="v1")
    assert held_by_push(held, "v1", 6.0) == held
    released = release(held, ANN, 7.0)
    assert held_by_push(released, "v1", 8.0) == released
    assert held_by_push(released, "v2", 9.0).held == Hold(WHY, PUSH, 9.0, push="v2")


def test_a_person_goes_on_holding_a_task() -> None:
    held = hold(NEW, "the firewall is replaced", ANN, 1.0)
    assert held_by_push(held, "v1", 5.0) == held


def test_a_task_whose_state_was_not_found_does_not_run_once_it_is() -> None:
    unsure = place(NEW, "Consul refused", "", 1.0)
    assert unsure.held
    assert unsure.held.by == PROGRAM
    held = held_by_push(unsure, "v1", 5.0)
    assert place(held, StatePlace.CONSUL, "p", 6.0).held == held.held


# ---- the bundle ---------------------------------------------------------------------------


def test_a_bundle_names_what_it_holds() -> None:
    files = bundle.holding({"a.hcl": b""}, ["web", "a\nb"])
    assert bundle.held(files) == {"web", "a\nb"}
    assert bundle.holding(files, []) == {"a.hcl": b""}
    assert bundle.held({}) == frozenset()


@pytest.mark.parametrize("text", [b"{", b"{}", b"[1]", b"[" * 100_000])
def test_what_is_no_list_of_names_is_refused(text: bytes) -> None:
    with pytest.raises(UnreadableBundle, match="must be a list of task names"):
        bundle.held({HELD: text})


def test_what_is_held_is_no_part_of_a_module() -> None:
    files = {"main.tf": b"", HELD: b"[]"}
    assert bundle.module_files(files, ".") == {"main.tf": b""}


# ---- the publisher ------------------------------------------------------------------------


def push(made: World, *tasks: str, held: object) -> None:
    files = {"config.hcl": "".join(tasks), "m/main.tf": MODULE, HELD: json.dumps(held)}
    made.push_bytes(zipped(files))


def test_a_task_is_held_before_it_is_live() -> None:
    made = world(task("old"))
    push(made, task("old"), task("new"), held=["new"])
    with failing(made.table, "put_current", Unavailable("DynamoDB")), pytest.raises(Unavailable):
        made.publish()
    assert made.live == ["old"]
    state = made.table.state("new")
    assert state.hold == WHY
    assert made.publish() is PublishOutcome.PUBLISHED
    assert made.live == ["new", "old"]
    assert made.table.state("new") == state
    assert made.table.state("old").hold is None


def test_it_stays_held_over_further_pushes_and_is_not_held_again() -> None:
    made = world(task("old"))
    push(made, task("new"), held=["new"])
    made.publish()
    made.push(task("new"), task("more"))
    made.publish()
    assert made.table.state("new").hold == WHY
    made.table.put_state(release(made.table.state("new"), ANN, 9.0))
    # As after an upgrade of the compiler, which publishes the same bundle again.
    push(made, task("new"), held=["new"])
    made.publish()
    assert made.table.state("new").hold == WHY  # another push
    made.table.put_state(release(made.table.state("new"), ANN, 10.0))
    made.table.live = replace(made.current, contract=0)
    assert made.publish() is PublishOutcome.PUBLISHED
    assert made.table.state("new").hold is None


@pytest.mark.parametrize("holds", [0, HOLDS + 1])
def test_a_push_that_is_live_holds_nothing_again(holds: int) -> None:
    """When a change through the API publishes it once more, however often it was held since."""
    made = world(task("old"))
    made.table.put_state(hold(NEW, "the firewall is replaced", ANN, 1.0))
    push(made, task("web"), held=["web"])
    made.publish()
    for number in range(holds):
        made.table.put_state(release(made.table.state("web"), ANN, 2.0 + number))
        made.table.put_state(hold(made.table.state("web"), "again", ANN, 2.0 + number))
    made.table.put_state(release(made.table.state("web"), ANN, 90.0))
    made.api_tasks.put(
        ApiTask("web", fields={"description": "new"}, over={"description": ""}), None
    )
    assert made.publish() is PublishOutcome.PUBLISHED
    assert made.table.state("web").hold is None


def test_somebody_writes_the_state_at_the_same_time() -> None:
    made = world(task("old"))
    push(made, task("new"), held=["new"])

    def other() -> None:
        made.table.put_state(replace(made.table.state("new"), queued_since=7.0))

    before_next(made.table, "put_state", other)
    made.publish()
    state = made.table.state("new")
    assert (state.hold, state.queued_since) == (WHY, 7.0)


def test_a_name_without_a_task_is_no_state() -> None:
    made = world(task("old"))
    push(made, task("old"), held=["other"])
    made.publish()
    assert "other" not in made.table.stored_states


def test_a_push_that_is_rejected_holds_nothing() -> None:
    made = world(task("old"))
    push(made, task("new", module="./absent"), held=["new"])
    assert made.publish() is PublishOutcome.REJECTED
    assert "new" not in made.table.stored_states


def test_an_unreadable_list_is_a_problem_of_the_push() -> None:
    made = world(task("old"))
    push(made, task("old"), held={"old": 1})
    assert made.publish() is PublishOutcome.REJECTED
    assert made.table.refused
    assert "must be a list of task names" in made.table.refused.problems[0]["what"]
