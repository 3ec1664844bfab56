"""What a bundle's files can't be called: it is rejected, once, with a sentence."""

import io
import stat
import warnings
import zipfile
from collections.abc import Sequence

import pytest

from cts.config.bundle import UnreadableBundle, unpacked
from cts.events import ConfigRejected
from cts.workflow.publish import PublishOutcome
from tests.unit.publisher import World, event_id, task, world

CONFIGURATION = "config.hcl"
Entries = Sequence[tuple[str, int]]
"""Names, and the Unix mode of each."""


def bundle(*entries: str | tuple[str, int]) -> bytes:
    buffer = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(buffer, "w") as archive:
        warnings.simplefilter("ignore", UserWarning)  # doubled names
        for entry in (CONFIGURATION, *entries):
            name, mode = entry if isinstance(entry, tuple) else (entry, 0o100644)
            info = zipfile.ZipInfo("x")
            info.filename, info.external_attr = name, mode << 16
            archive.writestr(info, "" if name.endswith("/") else "x = 1\n")
    return buffer.getvalue()


REFUSED: list[tuple[list[str | tuple[str, int]], str]] = [
    (["../x"], """the name '../x' contains "..\""""),
    (["m/../../x"], 'contains ".."'),
    (["m/.."], 'contains ".."'),
    (["../"], 'contains ".."'),
    (["/etc/x"], "the name '/etc/x' is absolute"),
    (["//x"], "is absolute"),
    (["C:/x"], "the name 'C:/x' is absolute"),
    (["c:x"], "is absolute"),
    (["m\\x"], "the name 'm\\\\x' contains a backslash"),
    (["..\\x"], "contains a backslash"),
    (["./x"], """the name './x' has a part that is empty or "."""),
    (["m//x"], "has a part that is empty"),
    (["m/./x"], "has a part that is empty"),
    (["m//"], "has a part that is empty"),
    (["."], "has a part that is empty"),
    (["/"], "has a part that is empty"),
    (["x\0y"], "the name 'x\\x00y' contains a control character"),
    (["x\ny"], "contains a control character"),
    (["x\x1b[2J"], "the name 'x\\x1b[2J' contains a control character"),
    (["x\x9b"], "contains a control character"),
    ([CONFIGURATION], "the name 'config.hcl' occurs twice"),
    (["m/x", "m/y", "m/x"], "the name 'm/x' occurs twice"),
    (["m/", "m/"], "the name 'm/' occurs twice"),
    (["m", "m/x"], "'m' is both a file and a folder"),
    (["m/x/y/z", "m-x", "m/x"], "'m/x' is both a file and a folder"),
    (["m", "m/"], "'m' is both a file and a folder"),
    ([("m/x", stat.S_IFLNK | 0o777)], "'m/x' is a link"),
    ([("m/x", stat.S_IFIFO | 0o644)], "'m/x' is neither a file nor a folder"),
    ([("m/x", stat.S_IFCHR | 0o644)], "'m/x' is neither a file nor a folder"),
]


@pytest.mark.parametrize(("entries", "told"), REFUSED)
def test_a_bundle_with_such_a_name_is_rejected_once(
    entries: list[str | tuple[str, int]], told: str
) -> None:
    made = world(task("web"))
    made.push_bytes(bundle(*entries))
    assert made.publish() is PublishOutcome.REJECTED
    assert made.live == ["web"]
    [event] = made.bus.of(ConfigRejected)
    assert event.id == event_id("2", 2, bad=True)
    [problem] = event.problems
    assert told in problem["what"]
    assert problem["what"].startswith("the pushed object is not a bundle: ")
    assert made.table.refused is not None
    assert made.table.refused.problems == [problem]
    assert made.publish() is PublishOutcome.KNOWN
    assert len(made.bus.of(ConfigRejected)) == 1


def test_other_names_are_fine() -> None:
    names = ["m/", "m/main.tf", "m/..x/a..b", "m/.x", "m-x", "m.x", "ä/日本.tf", "m/a:b", "m/c:/x"]
    modes = [("m/run.sh", stat.S_IFREG | 0o755), ("d/", stat.S_IFDIR | 0o755), ("dos", 0)]
    found = unpacked(bundle(*names, *modes))
    assert {*found} == {CONFIGURATION, *names, "m/run.sh", "dos"} - {"m/"}


@pytest.mark.slow
def test_many_names_are_looked_at_in_time() -> None:
    """Not each with each, nor each with all of its parents."""
    deep = "a/" * 490
    names = [*(f"m/{number}" for number in range(5_000)), f"{deep}x", f"{deep}y"]
    assert len(unpacked(bundle(*names))) == len(names) + 1


def test_a_bundle_of_one_file_under_two_names_has_no_second_meaning() -> None:
    with pytest.raises(UnreadableBundle, match="empty or"):
        unpacked(bundle("./config.hcl"))


def test_the_first_push_may_be_such_a_bundle() -> None:
    made = World()
    made.push_bytes(bundle("../x"))
    assert made.publish() is PublishOutcome.REJECTED
    assert made.table.live is None
