"""The commands `cts task`: flags, prompts, output and exit codes are those of CTS."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from typer.testing import Result

from cts_cli import client, cts_says, waits
from tests.unit.cli_fakes import Account, cts, deployed

ID = "4f0b8e1c-0000-4000-8000-000000000000"
PLAN = "Plan: 1 to add, 0 to change, 0 to destroy."
RUN = "web-20260101T000000-abcdef"
SKIPPED = "Task is disabled, inspection was skipped."
NONE = "a task with name 'web' does not exist"
LOG = "[2026-01-01T00:00:00Z] terraform plan -no-color\n{}\n[2026-01-01T00:00:01Z] done\n"
PROMPT = "    Only 'yes' will be accepted to approve, enter 'no' or leave blank to reject."


@dataclass
class Cts:
    """Answers as the stack does. `asked`: method, path with query, and body of each request that
    changes something."""

    changes: bool = True
    task: Any = None
    """What is there in the end."""
    fails: str = ""
    """With which error runs fail."""
    looks: list[str] = field(default_factory=lambda: ["pending"])
    """What runs do at first: their statuses, one at each look; "": none has begun."""
    refuses: dict[str, tuple[int, str]] = field(default_factory=dict)
    """Status and message by method and query, such as `POST run=now`."""
    asked: list[tuple[str, str, Any]] = field(default_factory=list)

    def answer(self, request: httpx.Request) -> httpx.Response:
        path, query = request.url.path, request.url.query.decode()
        if request.method == "GET":
            return self._read(path)
        assert request.headers["prefer"] == "respond-async"
        body: Any = json.loads(request.content) if request.content else None
        self.asked.append((request.method, f"{path}?{query}" if query else path, body))
        if refused := self.refuses.get(f"{request.method} {query}".strip()):
            code, message = refused
            error = {"error": {"message": message}, "request_id": ID}
            return httpx.Response(code, json=error)
        self._asks_for = query.rpartition("run=")[2]
        code, found = self._changed(request.method, query, body)
        return httpx.Response(code, json=found)

    def _changed(self, method: str, query: str, body: Any) -> tuple[int, Any]:
        asked = {"asked": {"id": ID}, "request_id": ID}
        is_off = method == "POST" and body["task"].get("enabled") is False
        match method, query:
            case "POST", "run=inspect" if is_off:
                skipped = {"plan": SKIPPED, "changes_present": False}
                return 200, {"task": body["task"], "run": skipped, "request_id": ID}
            case "POST", _:
                created = {"task": body["task"], "request_id": ID}
                return (201, created) if is_off else (202, {**created, **asked})
            case "PATCH", "run=inspect" | "run=now":
                return 202, asked
            case "PATCH", _:
                return 200, {}
            case "DELETE", "destroy=true" | "destroy=true&run=inspect":
                return 202, asked
        return 202, {"request_id": ID}

    def _read(self, path: str) -> httpx.Response:
        if path == "/v1/tasks/web" and self.task is None:
            return httpx.Response(404, json={"error": {"message": NONE}})
        if path == "/v1/tasks/web":
            return httpx.Response(200, json={"task": self.task})
        if path.endswith("/log"):
            said = PLAN if self.changes else "No changes."
            return httpx.Response(200, text=LOG.format(said))
        status = self.looks.pop(0) if self.looks else self._end()
        if not status:
            return httpx.Response(404, json={"error": {"message": NONE}})
        run: Any = {"id": RUN, "task": "web", "request": ID, "status": status, "step": "apply"}
        counts = {"add": int(self.changes), "change": 0, "destroy": 0}
        run |= {"counts": counts, "error": self.fails or None}
        others = [{**run, "id": "web-other", "request": "other"}, {**run, "request": None}]
        return httpx.Response(200, json={"runs": [others[0], run, others[1]]})

    def _end(self) -> str:
        if self.fails:
            return "errored"
        return "planned" if self._asks_for == "inspect" else "applied"


@pytest.fixture
def account(monkeypatch: pytest.MonkeyPatch) -> Account:
    return deployed(monkeypatch)


@pytest.fixture
def server(account: Account, monkeypatch: pytest.MonkeyPatch) -> Cts:
    server = Cts()
    monkeypatch.setattr(client, "transport", lambda: httpx.MockTransport(server.answer))
    monkeypatch.setattr(waits, "every", lambda _seconds: range(9))
    return server


# ---- enable -------------------------------------------------------------------------------


def test_a_task_is_planned_approved_and_run(server: Cts) -> None:
    result = cts("task", "enable", "web", typed="yes\n")
    assert result.exit_code == 0
    assert server.asked == [
        ("PATCH", "/v1/tasks/web?run=inspect", {"enabled": True}),
        ("PATCH", "/v1/tasks/web?run=now", {"enabled": True}),
    ]
    said = result.stdout.splitlines()
    assert said[0] == "==> Inspecting changes to resource if enabling 'web'..."
    assert f"    {PLAN}" in said
    assert "==> Enabling the task will perform the actions described above." in said
    assert "    Do you want to perform these actions for 'web'?" in said
    assert PROMPT in said
    assert said[-2:] == ["==> Enabling and running 'web'...", "==> 'web' enable complete!"]
    assert "\nEnter a value: \n" in result.stdout
    assert result.stderr == ""


def test_a_task_without_changes_is_enabled_without_a_question(server: Cts) -> None:
    server.changes = False
    result = cts("task", "enable", "web")
    assert result.exit_code == 0
    assert server.asked[1:] == [("PATCH", "/v1/tasks/web", {"enabled": True})]
    assert "Do you want" not in result.stdout


@pytest.mark.parametrize("typed", ["no\n", "\n", "YES\n", " yes\n", "yes please\n", "y\n"])
def test_only_yes_approves(server: Cts, typed: str) -> None:
    result = cts("task", "enable", "web", typed=typed)
    assert (result.exit_code, len(server.asked)) == (0, 1)
    assert result.stdout.endswith("==> Cancelled enabling task 'web'\n")


def test_the_end_of_the_input_is_an_error(server: Cts) -> None:
    result = cts("task", "enable", "web")
    assert (result.exit_code, len(server.asked)) == (11, 1)
    assert result.stderr.startswith("==> Error: asking for approval: end of input")


def test_ctrl_c_at_the_question_changes_nothing(
    server: Cts, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupts() -> str:
        raise KeyboardInterrupt

    terminal = SimpleNamespace(stdin=SimpleNamespace(readline=interrupts))
    monkeypatch.setattr(cts_says, "sys", terminal)
    result = cts("task", "enable", "web")
    assert (result.exit_code, len(server.asked)) == (130, 1)
    assert result.stderr == "\nInterrupted. Nothing was changed.\n"


@pytest.mark.parametrize(
    "flags",
    [
        ["-auto-approve"],
        ["--auto-approve"],
        ["-auto-approve=true"],
        ["--auto-approve=1"],
        ["-inspect=false", "-auto-approve"],
    ],
)
def test_flags_have_one_dash_or_two_and_may_have_a_value(server: Cts, flags: list[str]) -> None:
    assert cts("task", "enable", *flags, "web").exit_code == 0
    assert len(server.asked) == 2


def test_a_flag_that_is_false_is_not_set(server: Cts) -> None:
    assert cts("task", "enable", "-auto-approve=false", "web").exit_code == 11


def test_an_inspection_changes_nothing(server: Cts) -> None:
    result = cts("task", "enable", "-inspect", "web")
    assert (result.exit_code, len(server.asked)) == (0, 1)
    assert result.stdout.splitlines()[-2:] == [f"    {PLAN}", ""]


# ---- disable and delete -------------------------------------------------------------------


def test_a_task_is_disabled_without_a_question(server: Cts) -> None:
    result = cts("task", "disable", "web")
    assert (result.exit_code, result.stdout) == (
        0,
        "==> Waiting to disable 'web'...\n==> 'web' disable complete!\n",
    )
    assert server.asked == [("PATCH", "/v1/tasks/web", {"enabled": False})]


def test_a_task_is_deleted_once_that_is_approved(server: Cts) -> None:
    result = cts("task", "delete", "web", typed="no\n")
    assert (result.exit_code, server.asked) == (0, [])
    assert result.stdout.endswith("==> Cancelled deleting task 'web'\n")
    result = cts("task", "delete", "web", typed="yes\n")
    assert (result.exit_code, server.asked) == (0, [("DELETE", "/v1/tasks/web", None)])
    assert result.stdout.splitlines()[-2:] == [
        "==> Marking task 'web' for deletion...",
        "==> Task 'web' has been marked for deletion and will be deleted when not running.",
    ]
    assert cts("task", "delete", "-auto-approve", "a/b").exit_code == 0
    assert server.asked[-1][1] == "/v1/tasks/a/b"  # as httpx shows `a%2Fb`


def test_what_a_task_has_created_is_destroyed_once_that_is_approved(server: Cts) -> None:
    result = cts("task", "delete", "-destroy", "web", typed="no\n")
    assert (result.exit_code, len(server.asked)) == (0, 1)
    said = result.stdout.splitlines()
    assert said[0] == "==> Inspecting changes to resource if destroying 'web'..."
    assert f"    {PLAN}" in said
    assert "==> Deleting the task will perform the actions described above." in said
    assert said[-1] == "==> Cancelled deleting task 'web'"
    result = cts("task", "delete", "-destroy=true", "web", typed="yes\n")
    assert result.exit_code == 0
    paths = [f"/v1/tasks/web?destroy=true{more}" for more in ("&run=inspect", "")]
    assert [(method, path) for method, path, _ in server.asked[1:]] == [
        ("DELETE", path) for path in paths
    ]
    assert result.stdout.splitlines()[-2:] == [
        "==> Task 'web' deleted",
        f"    Request ID: '{ID}'",
    ]


def test_a_plan_of_what_would_be_destroyed_is_all_that_is_wanted(server: Cts) -> None:
    result = cts("task", "delete", "-destroy", "-inspect", "-json", "web")
    assert (result.exit_code, len(server.asked)) == (0, 1)
    assert json.loads(result.stdout) == {"inspected": {"plan": PLAN, "changes_present": True}}
    result = cts("task", "delete", "-inspect", "web")
    assert (result.exit_code, len(server.asked)) == (14, 1)
    assert result.stderr == "==> Error: -inspect needs -destroy\n"


def test_what_was_destroyed_is_printed_as_json(server: Cts) -> None:
    result = cts("task", "delete", "-destroy", "-auto-approve", "-json", "web")
    found = json.loads(result.stdout)
    assert (found["destroyed"]["id"], found["inspected"]["plan"]) == (RUN, PLAN)


def test_a_task_that_stays_although_all_is_destroyed_is_told(server: Cts) -> None:
    """Somebody has changed it meanwhile."""
    server.task = {"name": "web"}
    result = cts("task", "delete", "-destroy", "-auto-approve", "web")
    assert result.exit_code == 11
    assert result.stderr == "==> Error: unable to destroy 'web'\n"
    assert "the task is still there" in result.stdout


# ---- errors -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("command", "refused", "error", "details"),
    [
        (
            ["disable", "web"],
            "PATCH",
            "unable to disable 'web'",
            f"request returned 404 status code with error: {NONE}",
        ),
        (
            ["enable", "web"],
            "PATCH run=inspect",
            "unable to generate plan for 'web'",
            f"request returned 404 status code with error: {NONE}",
        ),
        (
            ["delete", "-destroy", "-auto-approve", "web"],
            "DELETE destroy=true",
            "unable to destroy 'web'",
            f"404 Not Found: {NONE}, see logs for more details (Request ID: {ID})",
        ),
        (
            ["enable", "-auto-approve", "web"],
            "PATCH run=now",
            "unable to enable and run 'web'",
            f"request returned 404 status code with error: {NONE}",
        ),
        (
            ["delete", "-auto-approve", "web"],
            "DELETE",
            "unable to delete 'web'",
            f"404 Not Found: {NONE}, see logs for more details (Request ID: {ID})",
        ),
    ],
)
def test_an_error_answer_has_the_words_of_cts(
    server: Cts, command: list[str], refused: str, error: str, details: str
) -> None:
    server.refuses[refused] = (404, NONE)
    result = cts("task", *command)
    assert (result.exit_code, result.stderr) == (11, f"==> Error: {error}\n")
    assert details in " ".join(result.stdout.split())
    assert max(map(len, result.stdout.splitlines())) <= 82


@pytest.mark.parametrize(
    ("command", "code", "error", "details"),
    [
        (["disable"], 13, "this command requires one argument", "No arguments were passed"),
        (["delete", "a", "b"], 13, "this command requires one", "2 arguments were passed"),
        (["create"], 13, "no task file provided", "-task-file=FILE"),
        (["disable", "-x", "web"], 14, "unsupported arguments in flags '-x, web'", "-x"),
        (
            ["disable", "-auto-approve", "web"],
            14,
            "unsupported arguments in flags '-auto-approve, web'",
            "No such option: -auto-approve",
        ),
        (["delete", "--x=1", "web"], 14, "unsupported arguments in flags '--x=1, web'", "--x"),
        (["create", "-task-file"], 14, "unsupported arguments in flags '-task-file'", "requires"),
        (["enable", "-json", "web"], 11, "with -json there is no question", ""),
    ],
)
def test_wrong_usage_has_the_exit_codes_of_cts(
    server: Cts, command: list[str], code: int, error: str, details: str
) -> None:
    result = cts("task", *command)
    assert result.exit_code == code
    assert result.stderr.startswith(f"==> Error: {error}")
    assert details in result.stdout
    assert server.asked == []


def test_an_error_without_details_prints_one_line(server: Cts) -> None:
    result = cts("task", "enable", "-json", "web")
    assert (result.stdout, result.stderr.count("\n")) == ("", 1)


def test_the_word_task_alone_prints_the_commands(account: Account) -> None:
    result = cts("task")
    assert (result.exit_code, "disable" in result.output) == (1, True)


@pytest.mark.parametrize(
    ("typed", "error"),
    [
        ("nonsense", "No such command 'nonsense'."),
        ("enabel", "No such command 'enabel'. Did you mean 'enable'?"),
    ],
)
def test_a_command_that_is_none_is_told_which_there_are(
    account: Account, typed: str, error: str
) -> None:
    result = cts("task", typed, "web")
    assert (result.exit_code, result.stderr) == (1, f"==> Error: {error}\n")
    assert result.stdout == "    The commands of `cts task` are: create, delete, enable, disable\n"


@pytest.mark.parametrize("name", ["create", "delete", "enable", "disable"])
def test_without_the_word_task_the_command_is_named(account: Account, name: str) -> None:
    result = cts(name, "web")
    assert result.exit_code == 2
    told = f"No such command '{name}'. Did you mean 'cts task {name}'?"
    assert told in " ".join(result.stderr.replace("│", " ").split())


def test_a_stack_that_is_not_there_is_told(server: Cts) -> None:
    result = cts("task", "disable", "-stack=other", "web")
    assert (result.exit_code, result.stderr) == (
        11,
        "==> Error: unable to create client for 'web'\n",
    )
    assert "stack 'other' not found in eu-west-1" in " ".join(result.stdout.split())


def test_a_request_is_made_once(account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    """Creating a task twice is an error, and a run that is asked for twice runs twice."""
    asked: list[str] = []

    def fail(request: httpx.Request) -> httpx.Response:
        asked.append(request.method)
        raise httpx.ReadTimeout("no answer")

    monkeypatch.setattr(client, "transport", lambda: httpx.MockTransport(fail))
    result = cts("task", "disable", "web")
    assert (result.exit_code, asked) == (11, ["PATCH"])
    assert "no answer" in " ".join(result.stdout.split())


# ---- JSON ---------------------------------------------------------------------------------


def as_json(result: Result) -> Any:
    assert result.exit_code == 0
    return json.loads(result.stdout)


def test_scripts_get_one_json_value(server: Cts) -> None:
    found = as_json(cts("task", "enable", "-json", "-auto-approve", "web"))
    assert found == {"inspected": {"plan": PLAN, "changes_present": True}, "enabled": True}
    found = as_json(cts("task", "enable", "-json", "-inspect", "web"))
    assert found == {"inspected": {"plan": PLAN, "changes_present": True}}
    assert as_json(cts("task", "disable", "-json", "web")) == {"enabled": False}
    assert as_json(cts("task", "delete", "-json", "-auto-approve", "web")) == {"request_id": ID}


# ---- create -------------------------------------------------------------------------------

TASK = """task {
  name        = "web"
  description = "the firewall"
  module      = "org/web/cts"
  version     = "1.2.0"
  providers   = ["acmefw.edge"]
  variables = {
    zone = "\\"dmz\\""
  }
  buffer_period {
    min = "90s"
  }
  condition "services" {
    names  = ["web"]
    filter = "\\"v1\\" in Service.Tags"
  }
  module_input "consul-kv" {
    path = "fw/rules"
  }
}
"""


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "web.hcl").write_text(TASK)
    return tmp_path / "web.hcl"


def test_a_task_is_created_after_its_plan_is_approved(server: Cts, file: Path) -> None:
    result = cts("task", "create", f"-task-file={file}", typed="yes\n")
    assert result.exit_code == 0, result.stdout + result.stderr
    [inspected, created] = server.asked
    assert (inspected[:2], created[:2]) == (
        ("POST", "/v1/tasks?run=inspect"),
        ("POST", "/v1/tasks?run=now"),
    )
    assert inspected[2] == created[2]
    said = result.stdout.splitlines()
    assert said[0] == "==> Inspecting changes to resource if creating task 'web'..."
    for line in (f"    Request ID: {ID}", "    Request Payload:", f"    {PLAN}", PROMPT):
        assert line in said
    assert "==> Creating the task will perform the actions described above." in said
    assert "==> Creating and running task 'web'..." in said
    assert said[-2:] == ["==> Task 'web' created", f"    Request ID: '{ID}'"]


def test_the_payload_has_what_the_file_sets(server: Cts, file: Path) -> None:
    cts("task", "create", "-inspect", "--task-file", file)
    [(_, _, body)] = server.asked
    sent = body["task"]
    condition = sent.pop("condition")["services"]
    assert (condition["names"], condition["filter"]) == (["web"], '"v1" in Service.Tags')
    assert sent.pop("module_input")["consul_kv"]["path"] == "fw/rules"
    assert sent == {
        "name": "web",
        "description": "the firewall",
        "module": "org/web/cts",
        "version": "1.2.0",
        "providers": ["acmefw.edge"],
        "variables": {"zone": '"dmz"'},
        "buffer_period": {"min": "1m30s", "max": "0s"},
    }


def test_variable_files_are_read_here_and_sent_as_variables(server: Cts, file: Path) -> None:
    (file.parent / "web.tfvars").write_text('zone = "${x}"\nports = [80, 443]\nopen = true\n')
    file.write_text(TASK.replace("providers ", 'variable_files = ["web.tfvars"]\n  providers '))
    assert cts("task", "create", "-inspect", "-task-file", file).exit_code == 11
    (file.parent / "web.tfvars").write_text('size = "$${x}"\nports = [80, 443]\nopen = true\n')
    assert cts("task", "create", "-inspect", "-task-file", file).exit_code == 0
    assert server.asked[0][2]["task"]["variables"] == {
        "zone": '"dmz"',
        "size": '"$${x}"',
        "ports": "[80, 443]",
        "open": "true",
    }


@pytest.mark.parametrize("is_changed", [False, True])
def test_a_failed_run_is_an_error_and_no_task_is_left_but_what_others_changed(
    server: Cts, file: Path, is_changed: bool
) -> None:
    def fails(request: httpx.Request) -> httpx.Response:
        if request.url.query == b"run=now":
            server.fails = "Error: no route to host"
            server.task = json.loads(request.content)["task"] | (
                {"version": "2"} if is_changed else {}
            )
        return server.answer(request)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(client, "transport", lambda: httpx.MockTransport(fails))
        result = cts("task", "create", "-auto-approve", "-task-file", file)
    assert (result.exit_code, result.stderr) == (11, "==> Error: unable to create 'web'\n")
    told = "500 Internal Server Error: error tf-apply for 'web': Error: no route to host"
    assert told in " ".join(result.stdout.split())
    assert (server.asked[-1][0] == "DELETE") is not is_changed


def test_a_plan_that_fails_is_told_as_by_cts(server: Cts, file: Path) -> None:
    server.fails = "Error: no module"
    result = cts("task", "create", "-inspect", "-task-file", file)
    assert result.stderr == "==> Error: unable to generate plan for 'web'\n"
    assert "400 Bad Request: error tf-apply for 'web'" in result.stdout
    result = cts("task", "enable", "-inspect", "web")
    assert "request returned 500 status code with error: error tf" in result.stdout


def test_a_disabled_task_is_created_without_a_run(server: Cts, file: Path) -> None:
    file.write_text(TASK.replace("task {", "task {\n  enabled = false"))
    server.looks = [""] * 9
    result = cts("task", "create", "-auto-approve", "-task-file", file)
    assert (result.exit_code, SKIPPED in result.stdout) == (0, True), result.stdout


@pytest.mark.parametrize("looks", [["", "pending"], ["busy", "canceled", "pending"]])
def test_a_run_that_has_not_begun_or_did_nothing_is_waited_for(
    server: Cts, looks: list[str]
) -> None:
    server.looks = looks
    assert cts("task", "enable", "-auto-approve", "web").exit_code == 0
    assert server.looks == []


def test_a_run_that_never_begins_is_told(server: Cts, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waits, "every", lambda _seconds: [0, 901])
    server.looks = ["", ""]
    result = cts("task", "enable", "web")
    assert result.exit_code == 11
    assert "the run of task 'web' has not begun: `cts status` shows" in result.stdout
    monkeypatch.setattr(waits, "every", lambda _seconds: [0, 901, 902])
    server.looks = ["pending", "pending"]
    assert cts("task", "enable", "-inspect", "web").exit_code == 0


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (TASK + TASK, "cannot contain more than 1 task, contains 2 tasks"),
        ('log_level = "INFO"\n', "does not contain a task, must contain at least one task"),
        (TASK.replace('name        = "web"', ""), "the task has no name"),
        (TASK.replace("module ", "source "), "source is not accepted here: write module"),
        (TASK.replace("module ", "modul "), "modul"),
        ("task {", "this"),
    ],
)
def test_a_file_that_has_not_one_good_task_is_refused(
    server: Cts, file: Path, text: str, said: str
) -> None:
    file.write_text(text)
    result = cts("task", "create", f"-task-file={file}")
    assert (result.exit_code, result.stderr) == (11, "==> Error: unable to create request\n")
    assert said in " ".join(result.stdout.split())
    assert server.asked == []


@pytest.mark.parametrize("name", ["none.hcl", "web.txt", "."])
def test_what_is_no_file_of_a_task_is_told(server: Cts, file: Path, name: str) -> None:
    result = cts("task", "create", "-task-file", name)
    assert (result.exit_code, result.stderr) == (11, "==> Error: unable to create request\n")
    assert name in result.stdout
