"""Terraform's trace log: kept where it was asked for, and nowhere else."""

import json

import pytest

from cts.build import trace
from cts.build.log import Log
from cts.build.trace import Trace
from tests.build.conftest import Place

SECRET = """
resource "terraform_data" "one" {
  provisioner "local-exec" { command = "echo https://deploy:hunter2@example.com/" }
}
"""


@pytest.mark.parametrize("kept", [True, False])
def test_the_trace_is_kept_if_that_is_asked_for(place: Place, kept: bool) -> None:
    archive = place.archive("run-1", SECRET)
    facts = json.loads((archive / "run.json").read_text()) | {"persist_log": kept}
    (archive / "run.json").write_text(json.dumps(facts))
    assert place.build(archive) == 0
    text = (place.record("run-1", "terraform.log") or b"").decode()
    assert ("[TRACE]" in text, "CLI command args" in text) == (kept, kept)
    assert text.count('"apply"') >= kept
    assert "hunter2" not in text
    assert "[TRACE]" not in place.log("run-1")


def test_of_a_long_trace_the_end_is_kept(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trace, "TRACE_BYTES", 12)
    found = Trace(place.folder, Log().shown)
    assert found.body() == b""
    found.file.write_text("0123456789\nabcdef\n")
    assert found.body() == b"[the first 11 bytes are left out]\nabcdef\n"


def test_a_secret_at_the_cut_is_not_shown_in_part(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = Log()
    log.hidden.add("s3cr3t-of-the-task")
    found = Trace(place.folder, log.shown)
    found.file.write_text("begin\npw=s3cr3t-of-the-task\nend\n")
    for number in range(1, 34):
        monkeypatch.setattr(trace, "TRACE_BYTES", number)
        body = found.body()
        assert not any(part in body for part in (b"cr3t", b"of-", b"task"))
        assert body.endswith(b"end\n" if number > 4 else b"\n")
