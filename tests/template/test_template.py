"""House rules of template.yaml: least privilege, no lost event, nobody left in the dark."""

import ast
import json
import re
from fnmatch import fnmatchcase
from typing import Any

import pytest

from local.dashboard import resolved
from tests.template.deployed import DEPLOYED, as_list, of_type, statements
from tests.template.written import ROOT, TEMPLATE, properties

PARAMETERS: dict[str, Any] = TEMPLATE["Parameters"]
FUNCTIONS = of_type("AWS::Lambda::Function")
RULES = of_type("AWS::Events::Rule")
SCHEDULES = of_type("AWS::Scheduler::Schedule")
ROLES = of_type("AWS::IAM::Role")
ALARMS = of_type("AWS::CloudWatch::Alarm")
BUCKETS = of_type("AWS::S3::Bucket")
LOG_GROUPS = of_type("AWS::Logs::LogGroup")
DEAD_LETTERS = {"Fn::GetAtt": ["DeadLetters", "Arn"]}
TEXT = (ROOT / "template.yaml").read_text()
FORMER = "BuildRole"
"""Of builds that an earlier version has started."""
BUILDS = ["ContainerRole", "TaskRole", FORMER]


def own(pattern: str) -> str:
    """A resource of `TaskRole` for the run `run-1` of the task `web`."""
    return pattern.replace("${!aws:PrincipalTag/task}", "web").replace(
        "${!aws:PrincipalTag/run}", "run-1"
    )


def targets(name: str) -> list[dict[str, Any]]:
    """The targets of a rule, or the target of a schedule."""
    found: list[dict[str, Any]] = RULES[name]["Targets"] if name in RULES else []
    return found or [SCHEDULES[name]["Target"]]


def invoked_by_events() -> list[str]:
    return sorted(
        {
            target["Arn"]["Fn::GetAtt"][0]
            for name in (*RULES, *SCHEDULES)
            for target in targets(name)
        }
    )


def log_group(function: str) -> dict[str, Any]:
    return LOG_GROUPS[FUNCTIONS[function]["LoggingConfig"]["LogGroup"]["Ref"]]


@pytest.mark.parametrize("name", PARAMETERS)
class TestParameter:
    def test_is_described(self, name: str) -> None:
        assert PARAMETERS[name]["Description"]

    def test_is_used(self, name: str) -> None:
        assert re.search(rf"!Ref {name}\b|\${{{name}}}", TEXT)

    def test_stands_in_a_group_of_the_console(self, name: str) -> None:
        groups = TEMPLATE["Metadata"]["AWS::CloudFormation::Interface"]["ParameterGroups"]
        assert sum(name in group["Parameters"] for group in groups) == 1

    def test_says_what_a_pattern_asks_for(self, name: str) -> None:
        if "AllowedPattern" in PARAMETERS[name]:
            assert PARAMETERS[name]["ConstraintDescription"]


@pytest.mark.parametrize("name", FUNCTIONS)
class TestFunction:
    def test_has_its_own_log_group_with_an_end(self, name: str) -> None:
        assert log_group(name)["RetentionInDays"] == {"Ref": "LogRetentionDays"}
        assert log_group(name)["LogGroupName"]["Fn::Sub"].endswith(f"-{name.lower()}")

    def test_has_its_own_role(self, name: str) -> None:
        assert FUNCTIONS[name]["Role"] == {"Fn::GetAtt": [f"{name}Role", "Arn"]}

    def test_is_named_in_its_logs_and_metrics(self, name: str) -> None:
        variables = FUNCTIONS[name]["Environment"]["Variables"]
        assert variables["POWERTOOLS_SERVICE_NAME"] == name.lower()
        assert variables["CTS_STACK"] == {"Ref": "AWS::StackName"}


def when_invoked(name: str) -> dict[str, Any]:
    (settings,) = (
        each
        for each in of_type("AWS::Lambda::EventInvokeConfig").values()
        if each["FunctionName"] == {"Ref": name}
    )
    return settings


@pytest.mark.parametrize("name", invoked_by_events())
def test_a_function_that_failed_on_an_event_leaves_a_dead_letter(name: str) -> None:
    settings = when_invoked(name)
    assert {"MaximumRetryAttempts", "MaximumEventAgeInSeconds"} <= settings.keys()
    assert settings["DestinationConfig"]["OnFailure"]["Destination"] == DEAD_LETTERS


def test_the_tracker_is_told_which_invocations_of_the_executor_failed() -> None:
    """What is tried again would be another run of the same archive."""
    settings = when_invoked("Executor")
    assert settings["MaximumRetryAttempts"] == 0
    bus = settings["DestinationConfig"]["OnFailure"]["Destination"]
    assert bus == {"Fn::GetAtt": ["Bus", "Arn"]}


def test_people_invoke_the_reader_and_the_api_signed() -> None:
    others = {"Widget", "Button", "Executor"}
    assert set(FUNCTIONS) - set(invoked_by_events()) == {"Reader", "Api"} | others
    urls = of_type("AWS::Lambda::Url")
    assert urls.keys() == {"ReaderUrl", "ApiUrl", "TrackerUrl"}
    assert {urls[name]["AuthType"] for name in ("ReaderUrl", "ApiUrl")} == {"AWS_IAM"}


def test_the_tracker_has_a_public_url_only_if_notifications_are_wanted() -> None:
    assert TEMPLATE["Parameters"]["HcpNotifications"]["Default"] == "no"
    parts = ("TrackerUrl", "TrackerUrlPermission", "TrackerInvokePermission")
    assert {DEPLOYED[name]["Condition"] for name in parts} == {"HcpNotifies"}
    assert DEPLOYED["TrackerUrl"]["Properties"]["AuthType"] == "NONE"


@pytest.mark.parametrize(
    ("policy", "functions"), [("CtsReader", {"Reader"}), ("CtsOperator", {"Reader", "Api"})]
)
def test_people_reach_functions_by_their_urls_only(policy: str, functions: set[str]) -> None:
    """Who may invoke the API directly may claim to be anyone."""
    allowed = of_type("AWS::IAM::ManagedPolicy")[policy]["PolicyDocument"]["Statement"]
    conditions = {
        "lambda:InvokeFunctionUrl": {"StringEquals": {"lambda:FunctionUrlAuthType": "AWS_IAM"}},
        "lambda:InvokeFunction": {"Bool": {"lambda:InvokedViaFunctionUrl": "true"}},
    }
    invoked = [
        each for each in allowed if each["Action"].startswith("lambda:") and "Condition" in each
    ]
    assert {each["Action"] for each in invoked} == conditions.keys()
    for statement in invoked:
        assert statement["Condition"] == conditions[statement["Action"]]
        assert {arn["Fn::GetAtt"][0] for arn in as_list(statement["Resource"])} == functions
    others = [each for each in allowed if each not in invoked]
    [other] = [each for each in others if not each["Action"].startswith("lambda:")]
    assert other["Action"] == "cloudformation:DescribeStacks"
    assert other["Resource"]["Fn::Sub"].endswith(":stack/${AWS::StackName}/*")


def test_only_the_publisher_writes_what_people_make_of_tasks_and_only_there() -> None:
    allowed = [
        each
        for name in ROLES
        for each in statements(name)
        if "s3:DeleteObject" in each["Action"] and "config/" in str(each["Resource"])
    ]
    [writes] = allowed
    assert writes in statements("PublisherRole")
    assert writes["Action"] == ["s3:PutObject", "s3:DeleteObject"]
    assert writes["Resource"] == [{"Fn::Sub": "${WorkBucket.Arn}/config/tasks/*"}]


def test_the_publisher_writes_configurations_and_holds_and_nothing_else_of_the_table() -> None:
    writes = [each for each in statements("PublisherRole") if "dynamodb:PutItem" in each["Action"]]
    assert [each["Condition"] for each in writes] == [
        {"ForAllValues:StringEquals": {"dynamodb:LeadingKeys": ["CONFIG", "STATE"]}}
    ]


@pytest.mark.parametrize(
    ("policy", "functions"), [("CtsReader", ["Widget"]), ("CtsOperator", ["Widget", "Button"])]
)
def test_who_only_sees_the_dashboard_can_press_no_button(policy: str, functions: list[str]) -> None:
    allowed = of_type("AWS::IAM::ManagedPolicy")[policy]["PolicyDocument"]["Statement"]
    directly = [
        each["Resource"]["Fn::GetAtt"][0]
        for each in allowed
        if each["Action"] == "lambda:InvokeFunction" and "Condition" not in each
    ]
    assert directly == functions


@pytest.mark.parametrize("name", ROLES)
def test_no_function_build_or_schedule_invokes_what_people_call(name: str) -> None:
    invoked = [
        resource["Fn::GetAtt"][0]
        for statement in statements(name)
        if "lambda:InvokeFunction" in statement["Action"]
        for resource in statement["Resource"]
    ]
    assert not {"Api", "Reader", "Widget", "Button"} & {*invoked}


def test_the_api_writes_states_and_leaves_all_else_to_the_publisher() -> None:
    writes = [each for each in statements("ApiRole") if "dynamodb:PutItem" in each["Action"]]
    assert [each["Condition"] for each in writes] == [
        {"ForAllValues:StringEquals": {"dynamodb:LeadingKeys": ["STATE"]}}
    ]
    own = statements("ApiRole")
    [invoked] = [each for each in own if "lambda:InvokeFunction" in each["Action"]]
    assert invoked["Resource"] == [{"Fn::GetAtt": ["Publisher", "Arn"]}]
    actions = {action for statement in own for action in statement["Action"]}
    assert actions == {
        "s3:GetObject",
        "s3:ListBucket",
        "dynamodb:GetItem",
        "dynamodb:Query",
        "dynamodb:PutItem",
        "events:PutEvents",
        "lambda:InvokeFunction",
        "sqs:SendMessage",  # SAM's, of asynchronous invocations
    }


@pytest.mark.parametrize("name", [*RULES, *SCHEDULES])
def test_an_event_that_cannot_be_delivered_becomes_a_dead_letter(name: str) -> None:
    for target in targets(name):
        assert target["DeadLetterConfig"]["Arn"] == DEAD_LETTERS
        assert {"MaximumRetryAttempts", "MaximumEventAgeInSeconds"} <= target["RetryPolicy"].keys()


@pytest.mark.parametrize("name", SCHEDULES)
def test_the_next_tick_is_the_retry(name: str) -> None:
    (target,) = targets(name)
    assert target["RetryPolicy"] == {"MaximumRetryAttempts": 0, "MaximumEventAgeInSeconds": 60}


def test_every_rule_may_write_to_the_dead_letter_queue() -> None:
    policy = DEPLOYED["DeadLettersPolicy"]["Properties"]["PolicyDocument"]
    (statement,) = policy["Statement"]
    sources = [arn["Fn::GetAtt"] for arn in statement["Condition"]["ArnEquals"]["aws:SourceArn"]]
    assert sorted(sources) == sorted([rule, "Arn"] for rule in RULES)


@pytest.mark.parametrize("name", invoked_by_events())
def test_only_a_poller_that_failed_is_not_tried_again(name: str) -> None:
    settings = DEPLOYED[f"{name}EventInvokeConfig"]["Properties"]
    assert settings["MaximumRetryAttempts"] == (0 if name == "Poller" else 2)


def test_the_table_can_be_restored_and_forgets_runs() -> None:
    (table,) = of_type("AWS::DynamoDB::Table").values()
    assert table["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": True}
    assert table["TimeToLiveSpecification"] == {"AttributeName": "expires", "Enabled": True}


def test_how_long_a_poller_may_run_is_one_setting() -> None:
    assert FUNCTIONS["Poller"]["Timeout"] == {"Ref": "PollerTimeout"}
    assert PARAMETERS["PollerTimeout"]["Default"] == 900  # what Lambda allows everywhere


@pytest.mark.parametrize("name", ROLES)
class TestRole:
    def test_is_bounded(self, name: str) -> None:
        boundary = {
            "Fn::If": ["HasBoundary", {"Ref": "PermissionsBoundary"}, {"Ref": "AWS::NoValue"}]
        }
        assert ROLES[name]["PermissionsBoundary"] == boundary

    def test_names_its_actions(self, name: str) -> None:
        for statement in statements(name):
            assert not any("*" in action for action in statement["Action"])

    def test_names_its_resources(self, name: str) -> None:
        for statement in statements(name):
            network = all(action.startswith("ec2:") for action in statement["Action"])
            assert "*" not in statement["Resource"] or network, statement

    def test_announces_on_our_bus_and_as_us(self, name: str) -> None:
        for statement in statements(name):
            if "events:PutEvents" in statement["Action"]:
                assert statement["Resource"] == [{"Fn::GetAtt": ["Bus", "Arn"]}]
                if name == "ExecutorRole":
                    continue
                assert statement["Condition"]["ForAllValues:StringEquals"]["events:source"] == [
                    "cts"
                ]

    def test_writes_no_item_of_another_function(self, name: str) -> None:
        for statement in statements(name):
            if {"dynamodb:PutItem", "dynamodb:UpdateItem"} & set(statement["Action"]):
                (condition,) = statement["Condition"].values()
                assert condition["dynamodb:LeadingKeys"]


@pytest.mark.parametrize("name", ["ReaderRole", *BUILDS])
def test_who_only_reads_or_builds_writes_nothing_to_the_table(name: str) -> None:
    actions = {action for statement in statements(name) for action in statement["Action"]}
    assert not actions & {"dynamodb:PutItem", "dynamodb:UpdateItem", "dynamodb:DeleteItem"}


def test_only_builds_read_a_state_that_lies_beside_a_run_or_in_the_state_bucket() -> None:
    readers = {
        name
        for name in ROLES
        for statement in statements(name)
        if "s3:GetObject" in statement["Action"]
        for resource in statement["Resource"]
        for pattern in [resource["Fn::Sub"]]
        if fnmatchcase("${WorkBucket.Arn}/runs/web/run-1/errored.tfstate", own(pattern))
        or fnmatchcase("${StateBucket.Arn}/tasks/web/terraform.tfstate", own(pattern))
    }
    assert readers == {"TaskRole", FORMER}


def test_builds_add_to_the_tools_and_replace_none() -> None:
    puts = [
        statement
        for statement in statements("TaskRole")
        if "s3:PutObject" in statement["Action"]
        for resource in statement["Resource"]
        if fnmatchcase("${WorkBucket.Arn}/tools/x", resource["Fn::Sub"])
    ]
    assert puts
    for statement in puts:
        assert statement["Action"] == ["s3:PutObject"]
        assert statement["Condition"] == {"Null": {"s3:if-none-match": "false"}}


def test_builds_delete_versions_of_locks_only() -> None:
    deleted = [
        resource
        for statement in statements("TaskRole")
        if "s3:DeleteObjectVersion" in statement["Action"]
        for resource in statement["Resource"]
    ]
    assert [own(each["Fn::Sub"]) for each in deleted] == ["${StateBucket.Arn}/tasks/web/*.tflock"]


@pytest.mark.parametrize("name", BUCKETS)
def test_a_bucket_is_private_encrypted_versioned_and_kept(name: str) -> None:
    bucket = BUCKETS[name]
    assert all(bucket["PublicAccessBlockConfiguration"].values())
    assert bucket["BucketEncryption"]
    assert bucket["VersioningConfiguration"] == {"Status": "Enabled"}
    assert DEPLOYED[name]["DeletionPolicy"] == "RetainExceptOnCreate"
    assert DEPLOYED[name]["UpdateReplacePolicy"] == "Retain"


@pytest.mark.parametrize("name", LOG_GROUPS)
def test_logs_end(name: str) -> None:
    assert LOG_GROUPS[name]["RetentionInDays"] == {"Ref": "LogRetentionDays"}


@pytest.mark.parametrize("name", ALARMS)
class TestAlarm:
    def test_says_what_it_means(self, name: str) -> None:
        assert ALARMS[name]["AlarmDescription"].endswith(".")

    def test_tells_somebody(self, name: str) -> None:
        assert ALARMS[name]["AlarmActions"] == [{"Ref": "AlarmTopic"}]

    def test_knows_what_silence_means(self, name: str) -> None:
        silence = "breaching" if name == "PollerSilent" else "notBreaching"
        assert ALARMS[name]["TreatMissingData"] == silence


ANNOUNCING = ["publisher", "runner", "tracker"]
"""The functions that count under `announced` what they have announced."""


@pytest.mark.parametrize("name", ANNOUNCING)
def test_whoever_announces_counts_where_the_alarms_look(name: str) -> None:
    assert (
        'EphemeralMetrics(service="announced")' in (ROOT / f"functions/{name}/app.py").read_text()
    )
    assert {
        alarm["MetricName"]
        for alarm in alarm_metrics()
        if {"Name": "service", "Value": "announced"} in alarm["Dimensions"]
    } == {"RunsFailed", "RunsBusy", "ConfigsRejected"}


def alarm_metrics() -> list[dict[str, Any]]:
    """The alarms on our own metrics."""
    return [alarm for alarm in ALARMS.values() if alarm["Namespace"] == "cts"]


def our_metrics() -> set[tuple[str, str]]:
    """(function, metric) of all of our metrics that an alarm or the dashboard reads."""
    found = {
        (dimensions["service"], metric["MetricName"])
        for metric in alarm_metrics()
        for dimensions in [{each["Name"]: each["Value"] for each in metric["Dimensions"]}]
    }
    for widget in graphs():
        row: list[Any] = []
        for metric in widget["properties"]["metrics"]:
            row = resolved(metric, row)
            if row[0] == "cts":
                found.add((row[3], row[1]))
    return found


def widgets() -> list[dict[str, Any]]:
    body = DEPLOYED["Dashboard"]["Properties"]["DashboardBody"]["Fn::Sub"]
    found: list[dict[str, Any]] = json.loads(body)["widgets"]
    return found


def graphs() -> list[dict[str, Any]]:
    return [widget for widget in widgets() if widget["type"] == "metric"]


UNITS = {"Count", "Seconds"}


def counted_in(name: str) -> set[tuple[str, str]]:
    """(name, unit) of what a module of the workflows counts: tuples of name, unit and value."""
    tree = ast.parse((ROOT / "layers/core/cts/workflow" / name).read_text())
    found = set()
    for each in ast.walk(tree):
        if isinstance(each, ast.Tuple) and len(each.elts) == 3:
            what, unit, _ = each.elts
            if isinstance(unit, ast.Constant) and unit.value in UNITS:
                names = [part for part in ast.walk(what) if isinstance(part, ast.Constant)]
                found |= {(str(part.value), str(unit.value)) for part in names}
    return found


COUNTED = {
    "poller": counted_in("watcher.py"),
    "tracker": counted_in("track.py"),
    "announced": counted_in("announce.py") | counted_in("settle.py"),
}


def test_what_is_watched_is_counted_and_what_is_counted_is_watched() -> None:
    emitted = {(service, name) for service, found in COUNTED.items() for name, _ in found}
    assert our_metrics() == emitted


def test_nothing_else_counts() -> None:
    modules = {path.name for path in (ROOT / "layers/core/cts/workflow").glob("*.py")}
    known = {"watcher.py", "track.py", "announce.py", "settle.py"}
    assert {name for name in modules if counted_in(name)} == known


def test_each_metric_is_documented_with_its_unit() -> None:
    documented = re.findall(
        r"^\| `(\w+)` \| (\w+) \| (\w+) \|", (ROOT / "docs/metrics.md").read_text(), re.MULTILINE
    )
    assert {(service, name, unit) for name, service, unit in documented} == {
        (service, name, unit) for service, found in COUNTED.items() for name, unit in found
    }


def test_the_dashboard_answers_questions() -> None:
    assert all(widget["properties"]["title"].endswith("?") for widget in widgets())


def test_the_dashboard_shows_every_alarm_at_the_top() -> None:
    first = widgets()[0]
    assert (first["type"], first["y"]) == ("alarm", 0)
    assert first["properties"]["alarms"] == [f"${{{name}.Arn}}" for name in ALARMS]


def test_nothing_on_the_dashboard_overlaps() -> None:
    taken: set[tuple[int, int]] = set()
    for each in widgets():
        across = range(each["x"], each["x"] + each["width"])
        cells = {(x, y) for x in across for y in range(each["y"], each["y"] + each["height"])}
        assert not cells & taken
        assert across.stop <= 24
        taken |= cells


def test_our_metrics_have_no_dimension_but_stack_and_function() -> None:
    for metric in alarm_metrics():
        assert {each["Name"] for each in metric["Dimensions"]} == {"stack", "service"}


def test_every_variable_is_set_and_read() -> None:
    read: set[str] = set()
    for path in [ROOT / "layers/core/cts/settings.py", *ROOT.glob("functions/*/app.py")]:
        read |= set(re.findall(r'"(CTS_\w+)"', path.read_text()))
    given = {
        variable
        for function in FUNCTIONS.values()
        for variable in function["Environment"]["Variables"]
        if variable.startswith("CTS_")
    }
    assert given == read


@pytest.mark.parametrize("name", TEMPLATE["Outputs"])
def test_an_output_is_described(name: str) -> None:
    assert TEMPLATE["Outputs"][name]["Description"]


def test_the_command_line_finds_what_it_needs_in_the_outputs() -> None:
    assert {"ReaderUrl", "WorkBucket", "StateBucket", "Bus", "Table", "Project"} <= set(
        TEMPLATE["Outputs"]
    )


def test_what_is_not_of_sam_is_deployed_as_it_is_written() -> None:
    for kind in ("AWS::CloudWatch::Alarm", "AWS::Logs::QueryDefinition"):
        assert of_type(kind) == properties(TEMPLATE["Resources"], kind)
