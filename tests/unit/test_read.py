"""The reader: CTS's status API as the reference has it, and what stands beside it."""

import gzip
import json
from base64 import b64decode
from dataclasses import replace

import pytest

from cts import keys
from cts.conditions import services
from cts.errors import Refused, Unavailable
from cts.events import iso
from cts.generation import BufferPeriod, Waiting
from cts.run.model import RunStatus
from cts.run.person import hold
from cts.run.state import Done, TaskState
from cts.watch.fingerprint import fingerprint_of
from cts.watch.lease import Lease
from cts.watch.query import View
from cts.watch.snapshot import of
from cts.workflow import read_runs
from functions.reader import app
from tests.unit.reader_fakes import (
    NOW,
    World,
    applied,
    busy,
    call,
    errored,
    event,
    failure,
    get,
    handled,
    invoke,
    pending,
    problem,
    published,
    refusal,
    rejected,
    run_id,
    running,
    success,
    tick,
    wish,
)


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    made = World()
    monkeypatch.setattr(app, "ports", lambda: made.ports)
    return made


# ---- CTS's status API ---------------------------------------------------------------------


def test_before_the_first_push_there_are_no_tasks(world: World) -> None:
    assert get("/v1/status/tasks") == {}
    assert get("/v1/status")["task_summary"]["enabled"] == {"true": 0, "false": 0}


def test_the_overall_status_counts_tasks_by_status_and_by_enabled(world: World) -> None:
    world.add(TaskState("web", recent=(success("web"),)))
    world.add(TaskState("db", recent=(failure("db"), success("db"))))
    world.add(TaskState("lb", recent=(failure("lb"), failure("lb")), gave_up="why"))
    world.add(TaskState("new"), enabled=False)
    assert get("/v1/status") == {
        "task_summary": {
            "status": {"successful": 1, "errored": 1, "critical": 1, "unknown": 1},
            "enabled": {"true": 3, "false": 1},
            "stale": 0,
            "waiting": 0,
        }
    }


def test_what_is_answered_is_compressed_for_who_asks_for_it(world: World) -> None:
    for number in range(100):
        world.declare(TaskState(f"web-{number}", recent=(success("web"),)))
    world.publish(published())
    plain = call("/v1/status/tasks")[2]
    answer = invoke("/v1/status/tasks", **{"accept-encoding": "gzip, deflate"})
    assert (answer["isBase64Encoded"], answer["headers"]["Content-Encoding"]) == (True, "gzip")
    assert gzip.decompress(b64decode(answer["body"])).decode() == plain
    assert len(answer["body"]) < len(plain) / 10


@pytest.mark.parametrize(
    ("accepted", "is_compressed"),
    [
        ("br, gzip", True),
        ("gzip;q=0.1", True),
        ("", False),
        ("br", False),
        ("gzip;q=0", False),
        ("identity, gzip; q=0.000, br", False),
        ("x-gzip", False),
    ],
)
def test_what_a_client_does_not_take_is_not_compressed(
    world: World, accepted: str, is_compressed: bool
) -> None:
    world.publish(published())
    answer = invoke("/v1/status", **{"accept-encoding": accepted})
    assert answer["isBase64Encoded"] == is_compressed
    assert ("Content-Encoding" in answer["headers"]) == is_compressed


@pytest.mark.parametrize(
    ("sent", "takes"),
    [({}, False), ({"headers": None}, False), ({"headers": {"Accept-Encoding": "gzip"}}, True)],
)
def test_who_invokes_it_by_hand_may_send_other_headers(
    world: World, sent: dict[str, object], takes: bool
) -> None:
    world.publish(published())
    answer = handled({**event("/v1/status"), **sent})
    assert (answer["statusCode"], answer["isBase64Encoded"]) == (200, takes)


def test_a_task_says_what_wakes_it(world: World) -> None:
    world.add(TaskState("web", gave_up="why"))
    world.add(TaskState("all"), regexp="^w")
    found = get("/v1/status/tasks")
    assert found["web"]["woken_by"] == ["service web"]
    assert len(found["all"]["woken_by"]) == 1


def test_the_overall_status_counts_what_waits_and_what_looks_at_a_stale_view(world: World) -> None:
    world.waiting["cron"] = Waiting("definition of cron", ("a schedule",))
    world.add(TaskState("web"))
    world.add(TaskState("db"))
    world.went_stale(View(services.SERVICE, "web"))
    counted = get("/v1/status")["task_summary"]
    assert list(counted) == ["status", "enabled", "stale", "waiting"]
    assert (counted["stale"], counted["waiting"]) == (1, 1)


@pytest.mark.parametrize("path", ["", "nothing", "nothing/more", "taskss", "cluster/"])
def test_any_other_path_below_status_is_the_overall_status(world: World, path: str) -> None:
    world.add(TaskState("web"))
    assert get(f"/v1/status/{path}")["task_summary"] == get("/v1/status")["task_summary"]


def test_a_task_has_the_keys_of_cts(world: World) -> None:
    world.add(TaskState("web", recent=(success("web"),)))
    task = get("/v1/status/tasks/web")["web"]
    assert {key: task[key] for key in list(task)[:6]} == {
        "task_name": "web",
        "status": "successful",
        "enabled": True,
        "providers": [],
        "services": [],
        "events_url": "/v1/status/tasks/web?include=events",
    }
    assert "events" not in task


DONE = Done(run_id("web"), "trigger", "inputs")
IN_FORCE = TaskState("web", recent=(success("web"),), done=DONE)


@pytest.mark.parametrize(
    ("events", "state", "ignored"),
    [
        pytest.param(("removed",), IN_FORCE, True, id="nothing-wants-it"),
        pytest.param((), IN_FORCE, False, id="every-event-triggers-it"),
        pytest.param(("removed",), replace(IN_FORCE, wanted=wish()), False, id="wanted"),
        pytest.param(("removed",), replace(IN_FORCE, done=None), False, id="nothing-in-force"),
        pytest.param(("removed",), replace(IN_FORCE, gave_up="why"), False, id="gave-up"),
    ],
)
def test_what_triggers_a_task_is_told_and_whether_a_change_did_not(
    world: World, events: tuple[str, ...], state: TaskState, ignored: bool
) -> None:
    world.add(state, events=events)
    assert not get("/v1/status/tasks/web")["web"]["ignored"]  # nothing was read
    world.read_services("web")
    task = get("/v1/status/tasks/web")["web"]
    assert (task["trigger_events"], task["ignored"]) == (list(events), ignored)


def test_what_a_task_ran_with_is_not_ignored(world: World) -> None:
    world.add(IN_FORCE, events=("removed",))
    world.read_services("web")
    done = replace(DONE, trigger=fingerprint_of(world.tasks["web"].definition, {}))
    world.add(replace(IN_FORCE, done=done), events=("removed",))
    assert not get("/v1/status/tasks/web")["web"]["ignored"]


def test_events_are_the_last_runs_newest_first(world: World) -> None:
    world.add(TaskState("web", recent=(failure("web", 2), success("web", 1))))
    newest, older = get("/v1/status/tasks/web?include=events")["web"]["events"]
    assert newest.pop("id") != older.pop("id")
    assert older == {
        "success": True,
        "start_time": "2027-01-15T07:58:50.000Z",
        "end_time": "2027-01-15T07:59:00.000Z",
        "task_name": "web",
        "error": None,
        "config": {"providers": [], "services": [], "source": "./modules/web"},
        "run": run_id("web", 1),
    }
    assert "no route to host" in newest["error"]["message"]


def test_a_task_that_never_ran_has_neither_events_nor_their_url(world: World) -> None:
    world.add(TaskState("web"))
    task = get("/v1/status/tasks/web?include=events")["web"]
    assert task["events_url"] == ""
    assert "events" not in task


def test_tasks_are_sorted_by_name_and_only_those_of_the_live_generation(world: World) -> None:
    world.table.stored_states["gone"] = TaskState("gone", recent=(success("gone"),))
    for name in ("web", "api", "db"):
        world.add(TaskState(name))
    assert list(get("/v1/status/tasks")) == ["api", "db", "web"]
    assert list(get("/v1/status/tasks/")) == ["api", "db", "web"]
    assert refusal("/v1/status/tasks/gone")[0] == 404


@pytest.mark.parametrize(
    ("query", "names"),
    [
        pytest.param("status=successful", ["web"], id="successful"),
        pytest.param("status=CRITICAL", ["lb"], id="any-case"),
        pytest.param("status=unknown", ["new"], id="without-events-only-with-unknown"),
        pytest.param("status=errored", [], id="nothing-matches"),
        pytest.param("other=x", ["lb", "new", "web"], id="other-keys-are-ignored"),
    ],
)
def test_a_filter_keeps_the_tasks_with_that_status(
    world: World, query: str, names: list[str]
) -> None:
    world.add(TaskState("web", recent=(success("web"),)))
    world.add(TaskState("lb", recent=(failure("lb"), failure("lb"))))
    world.add(TaskState("new"))
    assert list(get(f"/v1/status/tasks?{query}")) == names


def test_a_filter_leaves_one_task_out_but_never_one_without_events(world: World) -> None:
    world.add(TaskState("web", recent=(success("web"),)))
    world.add(TaskState("new"))
    assert get("/v1/status/tasks/web?status=errored") == {}
    assert list(get("/v1/status/tasks/web?status=successful")) == ["web"]
    assert list(get("/v1/status/tasks/new?status=errored")) == ["new"]


@pytest.mark.parametrize(
    ("url", "code", "message"),
    [
        pytest.param(
            "/v1/status/tasks/x",
            404,
            "a task with name 'x' does not exist or has not been initialized yet",
            id="no-such-task",
        ),
        pytest.param(
            "/v1/status/tasks/a/b",
            400,
            "unsupported path '/v1/status/tasks/a/b'. request must be format 'path/{task-name}'. "
            "task name cannot have '/ ' and api does not support further resources",
            id="below-a-task",
        ),
        pytest.param(
            "/v1/status/tasks/a%2Fb",
            400,
            "unsupported path '/v1/status/tasks/a/b'. request must be format 'path/{task-name}'. "
            "task name cannot have '/ ' and api does not support further resources",
            id="escaped-slash",
        ),
        pytest.param(
            "/v1/status/tasks?status=ok",
            400,
            "unsupported status parameter value. only supporting status values successful, "
            "errored, critical, and unknown but got ok",
            id="unknown-status",
        ),
        pytest.param(
            "/v1/status/tasks?status=",
            400,
            "unsupported status parameter value. only supporting status values successful, "
            "errored, critical, and unknown but got ",
            id="empty-status",
        ),
        pytest.param(
            "/v1/status/tasks?status=a&status=b&include=x",
            400,
            "cannot support more than one status query parameter, got status values: [a b]",
            id="status-twice-comes-before-include",
        ),
        pytest.param(
            "/v1/status/tasks/x?include=Events",
            400,
            "unsupported ?include parameter value. only supporting 'include=events' "
            "but got 'include=Events'",
            id="include-is-checked-before-the-task",
        ),
        pytest.param(
            "/v1/status/tasks?include=events&include=events",
            400,
            "cannot support more than one include parameter, got include values: [events events]",
            id="include-twice",
        ),
        pytest.param("/v1/nothing", 404, "404 page not found", id="no-such-path"),
    ],
)
def test_a_bad_request_is_told_in_the_words_of_cts(
    world: World, url: str, code: int, message: str
) -> None:
    assert refusal(url) == (code, message)


@pytest.mark.parametrize(
    ("path", "api"),
    [
        ("/v1/status", "overallStatus"),
        ("/v1/status/x", "overallStatus"),
        ("/v1/status/tasks", "task status"),
        ("/v1/status/tasks/x", "task status"),
        ("/v1/health", "health"),
    ],
)
def test_other_methods_are_not_allowed(world: World, path: str, api: str) -> None:
    said = f"'PUT' in an unsupported method. The {api} API currently supports the method(s): 'GET'"
    assert refusal(path, "PUT") == (405, said)


# ---- what a task is about -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("state", "enabled", "word", "reason", "at"),
    [
        pytest.param(TaskState("web"), True, "idle", "", None, id="nothing-wanted"),
        pytest.param(TaskState("web", wanted=wish()), True, "due", "change", NOW, id="due"),
        pytest.param(
            TaskState("web", wanted=wish(NOW + 4)), True, "waiting", "change", NOW + 4, id="buffer"
        ),
        pytest.param(
            TaskState("web", wanted=wish(), queued_since=NOW - 20),
            True,
            "queued",
            "change",
            NOW - 20,
            id="no-slot",
        ),
        pytest.param(
            TaskState("web", running=replace(running("web"), waits="waits for ann")),
            True,
            "blocked",
            "waits for ann",
            NOW - 12,
            id="waits-for-people",
        ),
        pytest.param(
            TaskState("web", running=running("web")),
            True,
            "running",
            "change",
            NOW - 12,
            id="running",
        ),
        pytest.param(
            TaskState("web", wanted=wish(NOW + 9), retry_at=NOW + 9, recent=(failure("web"),)),
            True,
            "retrying",
            "change",
            NOW + 9,
            id="retry",
        ),
        pytest.param(
            TaskState("web", wanted=busy(NOW + 40, since=NOW - 90)),
            True,
            "busy",
            "change",
            NOW - 90,
            id="busy",
        ),
        pytest.param(
            TaskState("web", wanted=busy(NOW + 40, since=NOW - 90) | tick(NOW + 9)),
            True,
            "busy",
            "change, schedule",
            NOW - 90,
            id="busy-until-its-next-tick",
        ),
        pytest.param(
            TaskState("web", gave_up="failed 4 times in a row", recent=(failure("web"),)),
            True,
            "gave_up",
            "failed 4 times in a row",
            NOW - 30,
            id="gave-up",
        ),
        pytest.param(
            TaskState("web", wanted=wish(), hold="adopted"),
            True,
            "held",
            "adopted",
            None,
            id="hold",
        ),
        pytest.param(
            hold(TaskState("web", wanted=wish()), "adopted", "ann", NOW - 60),
            True,
            "held",
            "adopted",
            NOW - 60,
            id="hold-of-a-person",
        ),
        pytest.param(
            replace(hold(TaskState("web"), "adopted", "ann", NOW - 60), unplaced="HTTP 403"),
            True,
            "held",
            "adopted; HTTP 403",
            NOW - 60,
            id="hold-of-a-person-and-no-place",
        ),
        pytest.param(TaskState("web", wanted=wish()), False, "idle", "change", None, id="disabled"),
        pytest.param(
            TaskState("web", wanted=tick(NOW + 3600)),
            True,
            "scheduled",
            "schedule",
            NOW + 3600,
            id="scheduled",
        ),
        pytest.param(
            TaskState("web", wanted=tick(NOW + 3600) | wish(NOW + 4)),
            True,
            "waiting",
            "schedule, change",
            NOW + 4,
            id="a-change-before-the-tick",
        ),
        pytest.param(TaskState("web", wanted=tick(NOW)), True, "due", "schedule", NOW, id="tick"),
        pytest.param(
            TaskState("web", wanted=tick(NOW + 9), retry_at=NOW + 9),
            True,
            "retrying",
            "schedule",
            NOW + 9,
            id="a-tick-that-failed",
        ),
        pytest.param(
            TaskState("web", wanted=tick(NOW + 9), gave_up="why", recent=(failure("web"),)),
            True,
            "gave_up",
            "why",
            NOW - 30,
            id="gave-up-until-the-next-tick",
        ),
        pytest.param(
            TaskState("web", wanted=tick(NOW), gave_up="why"),
            True,
            "due",
            "schedule",
            NOW,
            id="no-longer-given-up",
        ),
    ],
)
def test_one_word_says_what_a_task_is_about(
    world: World, state: TaskState, enabled: bool, word: str, reason: str, at: float | None
) -> None:
    world.add(state, enabled=enabled)
    world.read_services("web")
    task = get("/v1/status/tasks/web")["web"]
    when = iso(at) if at is not None else None
    assert (task["state"], task["reason"], task["at"]) == (word, reason, when)


def test_a_task_whose_view_was_never_read_says_which(world: World) -> None:
    world.add(TaskState("web"))
    task = get("/v1/status/tasks/web")["web"]
    assert (task["state"], task["reason"]) == ("not_read", "service web")


def test_a_regular_expression_needs_the_catalogs_names_and_then_each_service(world: World) -> None:
    world.add(TaskState("all"), regexp="^web")
    assert get("/v1/status/tasks/all")["all"]["reason"] == "the list of services"
    world.read_view(View(services.LISTING), of(["db", "web-1", "web-2"]))
    world.read_services("web-1")
    assert get("/v1/status/tasks/all")["all"]["reason"] == "service web-2"
    world.read_services("web-2")
    assert get("/v1/status/tasks/all")["all"]["state"] == "idle"


def test_a_task_shows_its_run_its_wishes_and_its_last_run(world: World) -> None:
    world.add(
        TaskState("web", running=running("web"), wanted=wish(NOW + 5), recent=(success("web"),))
    )
    task = get("/v1/status/tasks/web")["web"]
    assert task["run"] == run_id("web")
    assert task["wanted"] == [
        {
            "reason": "change",
            "since": "2027-01-15T07:59:55.000Z",
            "due_at": "2027-01-15T08:00:05.000Z",
            "by": None,
        }
    ]
    assert task["last_run"]["counts"] == {"add": 1, "change": 0, "destroy": 0}


# ---- runs ---------------------------------------------------------------------------------


def test_runs_come_newest_first_of_all_tasks_or_of_one(world: World) -> None:
    world.ran(applied("web", 1), pending("db", 2), pending("web", 3))
    ids = [run["id"] for run in get("/v1/runs")["runs"]]
    assert ids == [run_id("web", 3), run_id("db", 2), run_id("web", 1)]
    assert [run["id"] for run in get("/v1/runs?task=web&limit=1")["runs"]] == [run_id("web", 3)]


def test_a_task_without_runs_has_none_and_an_unknown_task_is_told(world: World) -> None:
    world.add(TaskState("web"))
    assert get("/v1/runs?task=web") == {"runs": []}
    assert refusal("/v1/runs?task=wbe")[0] == 404


@pytest.mark.parametrize("limit", ["0", "201", "-1", "ten", ""])
def test_a_limit_is_a_whole_number_within_bounds(world: World, limit: str) -> None:
    message = f"limit must be a whole number from 1 to 200, not '{limit}'"
    assert refusal(f"/v1/runs?limit={limit}") == (400, message)


def test_a_run_shows_its_whole_row_and_how_long_each_step_took(world: World) -> None:
    world.ran(replace(applied(), build="cts:1", attempt=2))
    run = get(f"/v1/runs/{run_id('web')}")
    assert run["seconds"] == {
        "waited": 3.5,
        "queued": 4.0,
        "start": 1.5,
        "init": 2.5,
        "plan": 1.0,
        "apply": 4.0,
        "total": 14.0,
    }
    assert (run["claimed_at"], run["build"]) == ("2027-01-15T07:59:01.000Z", "cts:1")
    assert (run["correlation_id"], run["why"], run["attempt"]) == ("correlation", ["change"], 2)
    assert run["counts"] == {"add": 2, "change": 1, "destroy": 0}


def test_a_run_that_goes_on_has_no_end_yet(world: World) -> None:
    world.ran(pending())
    run = get(f"/v1/runs/{run_id('web')}")
    assert (run["status"], run["ended_at"], run["counts"]) == ("pending", None, None)
    assert run["seconds"] == {"waited": 3.5}


def test_a_run_shows_what_differed_in_its_input(world: World) -> None:
    world.ran(run := applied())
    counts = {"former": run_id("web", 0), "came": 1, "left": 0, "changed": 2, "unknown": 0}
    first = [{"view": "service web", "what": "came", "name": "a/web-1", "attributes": []}]
    body = json.dumps({**counts, "first": first, "views": {}}).encode()
    world.bucket.write(keys.run_object("web", run.id, "delta.json"), body)
    assert get(f"/v1/runs/{run.id}")["delta"] == {**counts, "first": first}


def test_a_run_without_a_record_has_no_delta(world: World) -> None:
    world.ran(applied())
    assert get(f"/v1/runs/{run_id('web')}")["delta"] is None


@pytest.mark.parametrize("name", ["nothing", run_id("web", 9), "a%2Fb"])
def test_an_unknown_run_is_told(world: World, name: str) -> None:
    code, message = refusal(f"/v1/runs/{name}")
    assert code == 404
    assert "does not exist" in message


def test_a_log_is_plain_text(world: World) -> None:
    world.ran(applied())
    world.write_log(applied(), "Plan: 2 to add\n")
    code, kind, body = call(f"/v1/runs/{run_id('web')}/log")
    assert (code, kind, body) == (200, "text/plain; charset=utf-8", "Plan: 2 to add\n")


def test_a_run_without_log_says_so(world: World) -> None:
    world.ran(pending())
    code, message = refusal(f"/v1/runs/{run_id('web')}/log")
    assert code == 404
    assert message.endswith("has no log yet: its build writes it after its first step")


def test_a_log_too_long_for_an_answer_keeps_its_end(world: World) -> None:
    world.ran(applied())
    world.write_log(applied(), "x" * read_runs.LONGEST_LOG + "the end")
    _, _, body = call(f"/v1/runs/{run_id('web')}/log")
    assert body.startswith("[first 7 bytes omitted]\nxxx")
    assert body.endswith("the end")


def test_the_longest_log_is_within_what_lambda_returns(world: World) -> None:
    world.ran(applied())
    world.write_log(applied(), "\\" * read_runs.LONGEST_LOG)
    answer = call(f"/v1/runs/{run_id('web')}/log")
    assert len(json.dumps(answer)) < 6_000_000


# ---- configuration and poller -------------------------------------------------------------


def test_the_configuration_shows_what_is_live_and_a_newer_rejected_push(world: World) -> None:
    world.add(TaskState("web"))
    world.add(TaskState("dns"), enabled=False, buffer=BufferPeriod(1, 4))
    world.waiting["cron"] = Waiting("definition of cron", ("a schedule",))
    world.publish(published(3, "v1", NOW - 200, added=["web"]))
    world.table.refused = rejected("v2", NOW - 100)
    live = world.table.live
    assert live is not None
    assert get("/v1/configuration") == {
        "live": {
            "generation": 3,
            "digest": live.digest,
            "contract": live.contract,
            "source_version": "v1",
            "published_at": "2027-01-15T07:56:40.000Z",
            "added": ["web"],
            "changed": [],
            "removed": [],
            "warnings": [],
            "tasks": {
                "dns": {
                    "definition": world.tasks["dns"].definition,
                    "enabled": False,
                    "buffer": {"min": 1.0, "max": 4.0},
                    "created": False,
                },
                "web": {
                    "definition": world.tasks["web"].definition,
                    "enabled": True,
                    "buffer": None,
                    "created": False,
                },
            },
            "waiting": {
                "cron": {
                    "definition": "definition of cron",
                    "reasons": ["a schedule"],
                    "created": False,
                }
            },
        },
        "rejected": {
            "source_version": "v2",
            "rejected_at": "2027-01-15T07:58:20.000Z",
            "problem_count": 1,
            "problems": [problem()],
        },
    }


def test_a_task_that_has_to_wait_has_no_status(world: World) -> None:
    world.add(TaskState("web"))
    world.waiting["cron"] = Waiting("definition of cron", ("a schedule",))
    world.publish(published())
    assert list(get("/v1/status/tasks")) == ["web"]
    assert refusal("/v1/status/tasks/cron")[0] == 404


def test_a_rejected_push_is_forgotten_once_another_was_published(world: World) -> None:
    world.publish(published(3, "v2", NOW - 50))
    world.table.refused = rejected("v1", NOW - 100)
    assert get("/v1/configuration")["rejected"] is None


def test_a_first_push_may_be_rejected(world: World) -> None:
    world.table.refused = rejected()
    configuration = get("/v1/configuration")
    assert configuration["live"] is None
    assert configuration["rejected"]["problems"] == [problem()]


def test_the_poller_is_shown_with_the_age_of_its_heartbeat(world: World) -> None:
    assert get("/v1/poller")["poller"] is None
    world.table.leased = Lease(4, "owner", 3, NOW - 100, NOW - 8, NOW - 100)
    poller = get("/v1/poller")["poller"]
    assert (poller["epoch"], poller["generation"], poller["heartbeat_age"]) == (4, 3, 8.0)


# ---- errors -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "code"),
    [(Unavailable("reading: slow down"), 503), (Refused("reading: access denied"), 500)],
)
def test_trouble_behind_the_reader_is_told_as_cts_tells_errors(
    world: World, monkeypatch: pytest.MonkeyPatch, error: Exception, code: int
) -> None:
    def fail() -> None:
        raise error

    monkeypatch.setattr(world.table, "current", fail)
    assert refusal("/v1/status") == (code, str(error))


def test_a_run_that_was_given_up_shows_its_error(world: World) -> None:
    world.ran(errored())
    run = get(f"/v1/runs/{run_id('web')}")
    assert (run["status"], run["apply_began"]) == (RunStatus.ERRORED, False)
    assert "no route to host" in run["error"]
