"""Which lane a run takes."""

from dataclasses import replace

import pytest

from cts.config.compile import Result, compile_bundle
from cts.generation import Generation
from cts.run.lane import (
    AGAIN_AFTER,
    Capacity,
    Choice,
    Needs,
    chosen,
    learned,
    needs_of,
)
from cts.run.model import EXECUTOR, TERRAFORM, End, Run, RunStatus
from tests.fakes import RUN

CAPACITY = Capacity(seconds=900.0, disk=4_000)
FITS = Needs("d", seconds=(450.0, 2.0), disk=2_000)
FAILED = replace(FITS, failed="web-1", failed_at=1_000.0)
NOW = 1_000.0

# what is asked for, obstacles, needs -> lane, and a part of why
CASES = {
    "nothing is known": ("", (), None, "build", "no run has shown yet"),
    "it fits": ("", (), FITS, "warm", "took 450.0 s or less"),
    "it took long once": ("", (), replace(FITS, seconds=(1.0, 450.1)), "build", "took 450 s"),
    "too much to keep": ("", (), replace(FITS, disk=2_001), "build", "2,001 bytes"),
    "no success yet": ("", (), replace(FAILED, seconds=()), "build", "web-1 failed in the warm"),
    "it failed": ("", (), FAILED, "build", "run web-1 failed in the warm lane"),
    "warm": ("warm", (), None, "warm", "the configuration says so"),
    "warm, although it failed": ("warm", (), FAILED, "warm", "the configuration says so"),
    "build": ("build", (), FITS, "build", "the configuration says so"),
    "an obstacle": ("", ("a", "b"), FITS, "build", "a"),
    "warm, with an obstacle": ("warm", ("a",), FITS, "build", "a"),
}


@pytest.mark.parametrize("case", CASES)
def test_a_lane_is_chosen_with_its_reason(case: str) -> None:
    asked, obstacles, needs, lane, why = CASES[case]
    choice = chosen(asked, obstacles, needs, CAPACITY, NOW)
    assert choice.lane == lane
    assert why in choice.why


def test_the_warm_lane_is_tried_again_after_a_day() -> None:
    until = 1_000.0 + AGAIN_AFTER
    assert chosen("", (), FAILED, CAPACITY, until - 1).lane == "build"
    assert chosen("", (), FAILED, CAPACITY, until).lane == "warm"


def test_a_lane_has_a_driver() -> None:
    assert [Choice(lane, "").driver for lane in ("warm", "build")] == [EXECUTOR, TERRAFORM]


def test_needs_are_those_of_one_definition() -> None:
    assert needs_of(FITS, "d") == FITS
    assert needs_of(FITS, "other") is None
    assert needs_of(None, "d") is None


# ---- what runs show -------------------------------------------------------------------------

TIMES = {"started": "2026-11-24T09:00:00Z", "init": "x", "ended": "2026-11-24T09:00:04.500000Z"}
APPLIED = End(RunStatus.APPLIED, apply_began=True, times=TIMES, disk=70)
ERRORED = End(RunStatus.ERRORED, apply_began=True, times=TIMES)


def run(driver: str) -> Run:
    return replace(RUN, id="web-2", definition="d", driver=driver)


@pytest.mark.parametrize("driver", [EXECUTOR, TERRAFORM])
def test_successful_runs_show_how_long_they_take_and_what_they_keep(driver: str) -> None:
    needs = learned(None, run(driver), APPLIED, NOW)
    assert needs == Needs("d", seconds=(4.5,), disk=70)
    known = replace(FITS, seconds=(3.0, 2.0, 1.0))
    after = learned(known, run(driver), replace(APPLIED, status=RunStatus.UNCHANGED), NOW)
    assert after == Needs("d", seconds=(4.5, 3.0, 2.0), disk=70)


def test_what_another_definition_has_shown_is_forgotten() -> None:
    after = learned(replace(FAILED, definition="old"), run(TERRAFORM), APPLIED, NOW)
    assert after == Needs("d", seconds=(4.5,), disk=70)


def test_a_failure_keeps_a_task_out_of_the_warm_lane_unless_a_build_fails_too() -> None:
    after = learned(FITS, run(EXECUTOR), ERRORED, NOW)
    assert after == replace(FITS, failed="web-2", failed_at=NOW)
    built = learned(after, run(TERRAFORM), APPLIED, NOW)
    assert built is not None
    assert (built.failed, built.seconds[0]) == ("web-2", 4.5)
    failed = learned(built, run(TERRAFORM), ERRORED, NOW)
    assert failed is not None
    assert failed.failed == ""
    warm = learned(after, run(EXECUTOR), APPLIED, NOW)
    assert warm is not None
    assert warm.failed == ""


@pytest.mark.parametrize("status", ["busy", "planned", "moved", "canceled"])
def test_what_applied_nothing_shows_nothing(status: str) -> None:
    end = replace(APPLIED, status=RunStatus(status))
    assert learned(FAILED, run(EXECUTOR), end, NOW) == FAILED


def test_a_run_in_hcp_terraform_or_without_times_shows_nothing() -> None:
    assert learned(FITS, run("terraform-cloud"), APPLIED, NOW) == FITS
    assert learned(FITS, run(TERRAFORM), replace(APPLIED, times={}), NOW) == FITS


# ---- the option -----------------------------------------------------------------------------


def result(own: str = "", top: str = "", more: str = "", module: str = "org/web/aws") -> Result:
    block = "serverless {{ {} }}".format
    text = f"""
        {block(top) if top else ""}
        task {{
          name   = "web"
          module = "{module}"
          condition "services" {{ names = ["web"] }}
          {block(own) if own else ""}
        }}
        {more}
    """
    return compile_bundle({"c.hcl": text.encode()})


@pytest.mark.parametrize(
    ("own", "top", "lane"),
    [
        ("", "", ""),
        ('lane = "auto"', "", ""),
        ('lane = "warm"', "", "warm"),
        ("", 'lane = "build"', "build"),
        ('lane = "auto"', 'lane = "build"', ""),
        ("default_tags = true", 'lane = "warm"', "warm"),
    ],
)
def test_the_option_of_the_task_counts_more(own: str, top: str, lane: str) -> None:
    compiled = result(own, top).compiled
    assert compiled is not None
    assert compiled.tasks["web"].lane == lane
    stored = Generation(1, 1, {}, compiled.tasks).to_json()
    assert ('"lane"' in stored) == bool(lane), "the first release takes no new field"
    assert Generation.from_json(stored).tasks == compiled.tasks


def test_a_lane_changes_no_definition() -> None:
    found = [result(own).compiled for own in ("", 'lane = "warm"', 'lane = "build"')]
    assert len({each.tasks["web"].definition for each in found if each}) == 1


SECRET = '{{ env \\"KEY\\" }}'
NOT_WARM = {
    "role_arn": 'role_arn = "arn:aws:iam::111122223333:role/web"',
    "a secret": f'environment {{ KEY = "{SECRET}" }}',
    "a key for Git": f'git_ssh_key = "{SECRET}"',
    "a secret variable": 'variables { key = "{{resolve:secretsmanager:a:SecretString:b}}" }',
    "after_apply": 'after_apply = ["./told.sh"]',
}


@pytest.mark.parametrize("case", NOT_WARM)
def test_a_task_that_the_warm_lane_is_not_for_can_not_have_it(case: str) -> None:
    assert result(NOT_WARM[case]).problems == ()
    [problem] = result(f'{NOT_WARM[case]}\nlane = "warm"').problems
    assert problem.path.endswith("lane")
    assert "can't run in the warm lane" in problem.what
    [problem] = result(NOT_WARM[case], top='lane = "warm"').problems
    assert "can't run in the warm lane" in problem.what


@pytest.mark.parametrize(
    ("module", "is_warm"),
    [
        ("org/web/aws", True),
        ("https://example.com/web.zip", True),
        ("git::https://example.com/web", False),
        ("git@github.com:org/web", False),
        ("github.com/org/web", False),
        ("https://example.com/web.git?ref=v1", False),
        ("s3::https://s3.amazonaws.com/b/web.zip", True),
    ],
)
def test_a_module_that_git_fetches_is_for_builds(module: str, *, is_warm: bool) -> None:
    assert (result('lane = "warm"', module=module).problems == ()) is is_warm


def test_a_lane_that_does_not_exist_is_refused() -> None:
    [problem] = result('lane = "fast"').problems
    assert problem.what == '"fast" is not a lane'


def test_a_run_in_hcp_terraform_has_no_lane() -> None:
    cloud = 'driver "terraform-cloud" { organization = "o" token = "t" }'
    [problem] = result('lane = "warm"', more=cloud).problems
    assert "a run has no lane" in problem.what
