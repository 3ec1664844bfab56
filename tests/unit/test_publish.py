"""The publisher: a pushed bundle becomes the live generation, or is rejected with reasons."""

import json
from collections.abc import Mapping
from dataclasses import asdict, replace

import pytest

from cts import keys
from cts.config import limits
from cts.config.compile import CONTRACT, Result, compile_bundle
from cts.config.rules.problem import Code, Place, Problem
from cts.errors import Unavailable
from cts.events import MOST_LISTED, ConfigPublished, ConfigRejected
from cts.events import entry as entry_of
from cts.workflow import publish as publishing
from cts.workflow import to_publish as workflow
from cts.workflow.announce import MOST_OWED
from cts.workflow.publish import PublishOutcome, publish
from tests.fakes import before_next, failing
from tests.unit.publisher import (
    ENVIRONMENT,
    SECONDS,
    World,
    assert_chain,
    event_id,
    task,
    world,
    zipped,
)

AN_ITEM = 400 * 1024
AN_EVENT = 256 * 1024
"""Bytes that DynamoDB takes."""
AN_ENTRY = 256 * 1024
"""Bytes that EventBridge takes."""
WAITING = """
task {
  name      = "dns"
  module    = "./m"
  providers = ["acmedns"]
  condition "services" {
    names = ["web"]
  }
}
"""


def test_nothing_pushed_is_nothing_published() -> None:
    assert World().publish() is PublishOutcome.NOTHING_PUSHED


def test_a_bundle_becomes_the_live_generation() -> None:
    made = World()
    made.push(task("web"))
    assert made.publish() is PublishOutcome.PUBLISHED
    current = made.current
    assert (current.number, current.sources, current.unannounced) == (1, {keys.BUNDLE: "1"}, [])
    entry = made.bucket.generation(current).tasks["web"]
    definition = made.bucket.definition(entry.definition)
    assert made.bucket.module(definition.module.digest)
    [told] = made.bus.of(ConfigPublished)
    assert (told.id, told.number, told.source_version) == ("1/1/ConfigPublished", 1, "1")
    assert (told.added, told.changed, told.removed) == (["web"], [], [])


def test_the_event_says_what_the_push_does_to_each_task() -> None:
    made = world(task("a"), task("b"), task("c"))
    made.push(task("b", service="api"), task("c"), task("d"))
    made.publish()
    [told] = made.bus.of(ConfigPublished)
    assert (told.number, told.added, told.changed, told.removed) == (2, ["d"], ["b"], ["a"])


def test_what_the_live_generation_names_is_not_put_again() -> None:
    made = world(task("a"), task("b"), task("c", module="./other"))
    assert (made.writes("definitions/"), made.writes("modules/")) == (3, 2)
    made.push(task("b"), task("a", service="api"), task("c", module="./other"), "# a comment\n")
    assert made.publish() is PublishOutcome.PUBLISHED
    assert (made.writes("definitions/"), made.writes("modules/")) == (4, 3)
    assert_chain(made)


def test_each_generation_names_the_one_before_it() -> None:
    made = World()
    digests = [""]
    for name in ("a", "b", "c"):
        made.push(task(name))
        made.publish()
        assert made.bucket.generation(made.current).former == digests[-1]
        digests.append(made.current.digest)


@pytest.mark.usefixtures("without_providers")
def test_a_task_that_has_to_wait_is_in_the_generation_and_a_warning_says_why() -> None:
    made = world(task("web"), WAITING)
    generation = made.bucket.generation(made.current)
    assert (list(generation.tasks), list(generation.waiting)) == (["web"], ["dns"])
    waiting = generation.waiting["dns"]
    assert made.bucket.definition(waiting.definition).task == "dns"
    [warning] = [each for each in made.current.warnings if each["code"] == "not-supported-yet"]
    assert all(reason in warning["what"] for reason in waiting.reasons)
    assert made.current.added == ["dns", "web"]


def test_the_deployments_consul_is_what_an_address_left_out_means(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    given: list[Mapping[str, str]] = []

    def compiled(
        files: Mapping[str, bytes], environment: Mapping[str, str], *_rest: object
    ) -> Result:
        given.append(environment)
        return compile_bundle(files, environment)

    monkeypatch.setattr(workflow, "compile_bundle", compiled)
    made = World()
    made.push(task("web"))
    made.publish()
    assert given == [ENVIRONMENT]


def test_the_same_push_again_is_known() -> None:
    made = world(task("web"))
    before = made.table.live
    assert made.publish() is PublishOutcome.KNOWN
    assert made.table.live == before
    assert made.bus.events == []


def test_a_bad_push_keeps_the_old_configuration_and_says_what_is_wrong() -> None:
    made = world(task("web"))
    made.push('task {\n  name = "web"\n  nmae = "x"\n}\n')
    assert made.publish() is PublishOutcome.REJECTED
    assert made.live == ["web"]
    [told] = made.bus.of(ConfigRejected)
    assert told.id == event_id("2", 2, bad=True)
    assert told.problem_count == len(told.problems) > 0
    assert any(each["line"] == 3 and each["path"].endswith(".nmae") for each in told.problems)
    assert made.table.refused is not None
    assert made.table.refused.problems == json.loads(json.dumps(told.problems))
    assert made.publish() is PublishOutcome.KNOWN


def test_a_secret_in_the_bundle_is_refused_wherever_else_nothing_is_wrong() -> None:
    made = world(task("web"))
    made.push('consul {\n  token = "0b1e6f5c"\n}\n', task("api"))
    report = publish(made.ports, SECONDS)
    assert (report.outcome, report.codes) == (PublishOutcome.REJECTED, ("literal-secret",))
    assert made.live == ["web"]
    [told] = made.bus.of(ConfigRejected)
    [problem] = told.problems
    assert (problem["line"], problem["path"]) == (2, "consul.token")
    assert "0b1e6f5c" not in json.dumps(problem)


def test_the_report_counts_all_problems_and_names_the_first_codes() -> None:
    made = World()
    made.push(*(f'task {{\n  name = "t{n}"\n  odd = 1\n}}\n' for n in range(20)))
    report = publish(made.ports, SECONDS)
    assert made.table.refused is not None
    assert report.problem_count == made.table.refused.problem_count > 20
    assert 1 < len(report.codes) < 20
    assert "unknown-option" in report.codes


def test_after_a_bad_push_a_good_one_goes_live() -> None:
    made = world(task("web"))
    made.push("task {")
    made.publish()
    made.push(task("api"))
    assert made.publish() is PublishOutcome.PUBLISHED
    assert made.live == ["api"]


@pytest.mark.parametrize(
    "bundle",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"no zip at all", id="not-a-zip"),
        pytest.param(zipped({"config.hcl": "x" * 99})[:60], id="cut-off"),
        pytest.param(zipped({"main.tf": ""}), id="no-configuration-in-it"),
    ],
)
def test_what_cannot_be_read_is_rejected(bundle: bytes) -> None:
    made = world(task("web"))
    made.push_bytes(bundle)
    assert made.publish() is PublishOutcome.REJECTED
    assert made.live == ["web"]


def test_a_bundle_that_unpacks_to_too_much_is_rejected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "LARGEST_BUNDLE", 10)
    made = World()
    made.push(task("web"))
    assert made.publish() is PublishOutcome.REJECTED


@pytest.mark.slow
def test_however_much_there_is_to_tell_fits_an_item_and_an_event() -> None:
    made = World()
    odd = "\N{PILE OF POO}" * 400
    made.push(*(f'task {{\n  name = "t{n}"\n  "{odd}{n}" = 1\n}}\n' for n in range(500)))
    assert made.publish() is PublishOutcome.REJECTED
    assert made.table.refused is not None
    assert made.table.refused.problem_count > len(made.table.refused.problems) > 0
    assert len(json.dumps(asdict(made.table.refused))) < AN_ITEM
    [told] = made.bus.of(ConfigRejected)
    assert len(entry_of(told, "bus")["Detail"]) < AN_ENTRY


@pytest.mark.slow
def test_problems_in_the_longest_words_fit_an_item_and_an_event(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    odd = "\N{PILE OF POO}" * 900
    problem = Problem(Place(odd, 1, 1), odd, Code.SYNTAX, odd, odd)

    def compiled(
        files: Mapping[str, bytes], environment: Mapping[str, str], *_rest: object
    ) -> Result:
        return replace(compile_bundle(files, environment), problems=(problem,) * 300)

    monkeypatch.setattr(workflow, "compile_bundle", compiled)
    made = World()
    made.push(task("web"))
    assert made.publish() is PublishOutcome.REJECTED
    [told] = made.bus.of(ConfigRejected)
    assert len(entry_of(told, "bus")["Detail"]) < AN_ENTRY
    assert made.table.refused is not None
    assert len(json.dumps(asdict(made.table.refused))) < AN_ITEM


@pytest.mark.slow
def test_of_many_tasks_with_long_names_the_first_names_are_kept() -> None:
    made = World()
    made.push(*(task("a-long-name-" * 20 + f"{n:03}") for n in range(300)))
    assert made.publish() is PublishOutcome.PUBLISHED
    assert len(made.live) == 300
    first = made.current.added
    assert list(first) == made.live[: len(first)]
    assert AN_EVENT / 10 < len(json.dumps(first)) < AN_EVENT / 5, "an event has five such lists"


def test_whoever_comes_second_reads_and_compiles_again() -> None:
    made = World()
    made.push(task("old"))

    def another_publishes() -> None:
        made.push(task("new"))
        assert made.publish() is PublishOutcome.PUBLISHED

    before_next(made.table, "put_current", another_publishes)
    assert made.publish() is PublishOutcome.KNOWN
    assert made.live == ["new"]
    assert made.table.live is not None
    assert made.table.live.number == 1


def test_a_rejection_that_comes_second_is_decided_again() -> None:
    made = World()
    made.push("task {")

    def another_rejects() -> None:
        made.push("taks {}")
        assert made.publish() is PublishOutcome.REJECTED

    before_next(made.table, "put_rejected", another_rejects)
    assert made.publish() is PublishOutcome.KNOWN
    assert made.table.refused is not None
    assert made.table.refused.sources == {keys.BUNDLE: "2"}


@pytest.mark.parametrize("push", [task("web"), "task {"])
def test_what_could_not_be_sent_is_sent_the_next_time(push: str) -> None:
    made = World()
    made.push(push)
    down = Unavailable("the bus is down")
    with failing(made.bus, "send", down), pytest.raises(Unavailable):
        made.publish()
    assert made.publish() is PublishOutcome.KNOWN
    assert made.publish() is PublishOutcome.KNOWN
    assert len(made.bus.events) == 1


def test_a_bus_that_is_down_keeps_no_push_from_going_live_and_nothing_untold() -> None:
    made = world(task("a"))
    down = Unavailable("the bus is down")
    with failing(made.bus, "send", down):
        for push in (task("b"), "task {", task("c"), "taks {}", task("d")):
            made.push(push)
            with pytest.raises(Unavailable):
                made.publish()
    assert made.live == ["d"]
    assert made.publish() is PublishOutcome.KNOWN
    told = made.bus.of(ConfigPublished)
    assert [(each.number, each.added, each.removed) for each in told] == [
        (2, ["b"], ["a"]),
        (3, ["c"], ["b"]),
        (4, ["d"], ["c"]),
    ]
    first, second = made.bus.of(ConfigRejected)
    assert (first.source_version, first.problems) == ("3", [])
    assert first.problem_count == second.problem_count == len(second.problems) == 1
    assert (made.current.unannounced, made.current.owed) == ([], [])
    assert made.metrics.counted == {"ConfigsPublished": [3], "ConfigsRejected": [2]}
    made.publish()
    assert len(made.bus.events) == 5


@pytest.mark.slow
def test_what_is_owed_for_long_still_fits_an_item() -> None:
    made = World()
    with failing(made.bus, "send", Unavailable("the bus is down")):
        for round_ in range(20):
            made.push(*(task("a-long-name-" * 20 + f"{round_}-{n:02}") for n in range(55)))
            with pytest.raises(Unavailable):
                made.publish()
    assert made.current.number == 20
    assert len(json.dumps(asdict(made.current))) < AN_ITEM
    made.publish()
    numbers = [each.number for each in made.bus.of(ConfigPublished)]
    assert numbers == list(range(1, 21))
    assert made.bus.of(ConfigPublished)[0].added == []
    assert len(made.bus.of(ConfigPublished)[-2].added) == MOST_LISTED


@pytest.mark.slow
def test_of_more_than_can_be_owed_the_newest_are_told() -> None:
    made = World()
    pushes = MOST_OWED + 20
    with failing(made.bus, "send", Unavailable("the bus is down")):
        for number in range(pushes):
            made.push("task {", f"# {number}")
            with pytest.raises(Unavailable):
                made.publish()
    made.publish()
    versions = [int(each.source_version) for each in made.bus.of(ConfigRejected)]
    assert versions == list(range(pushes - MOST_OWED, pushes + 1))


@pytest.mark.parametrize(
    ("push", "kind"), [(task("web"), ConfigPublished), ("t {", ConfigRejected)]
)
def test_a_push_that_a_new_version_answers_anew_has_an_event_of_its_own(
    push: str, kind: type[ConfigPublished | ConfigRejected], monkeypatch: pytest.MonkeyPatch
) -> None:
    made = World()
    made.push(push)
    made.publish()
    for module in (workflow, publishing):
        monkeypatch.setattr(module, "CONTRACT", CONTRACT + 1)
    made.clock.now += 1
    made.publish()
    first, second = made.bus.of(kind)
    assert first.source_version == second.source_version
    assert first.id != second.id
