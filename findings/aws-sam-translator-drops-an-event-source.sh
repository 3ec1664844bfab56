#!/usr/bin/env bash
# aws-sam-translator 1.113.0 (PyPI), the transform AWS::Serverless-2016-10-31.
#
# Guess: two functions that each have an event source get both; if the names of generated resources collide, the
# template is refused, as it is when a function's role has the name of a resource in the template.
# Seen: a generated name is the function's followed by the event's. Function `Task` with event `RunnerSchedule` and
# function `TaskRunner` with event `Schedule` both make `TaskRunnerSchedule`: the later one replaces the other without an
# error, and the first function is never invoked.
# So test that each event source of the template is in the result.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet "aws-sam-translator==1.113.0"
fail() { echo "CHANGED: $1"; exit 1; }

cat > translate.py <<'PY'
import sys

from samtranslator.model.exceptions import InvalidDocumentException
from samtranslator.parser.parser import Parser
from samtranslator.translator.translator import Translator


def function(**events):
    code = {"Handler": "app.handler", "Runtime": "python3.13", "CodeUri": "s3://bucket/key"}
    return {"Type": "AWS::Serverless::Function", "Properties": {**code, "Events": events}}


def schedule(rate):
    return {"Type": "Schedule", "Properties": {"Schedule": rate}}


minute, day = schedule("rate(1 minute)"), schedule("rate(1 day)")
resources = {
    "collision": {"Task": function(RunnerSchedule=minute), "TaskRunner": function(Schedule=day)},
    "none": {"Task": function(Schedule=minute), "TaskRunner": function(Schedule=day)},
    "role": {"Task": function(), "TaskRole": function()},
}[sys.argv[1]]
template = {"Transform": "AWS::Serverless-2016-10-31", "Resources": resources}
try:
    policies = {"AWSLambdaBasicExecutionRole": "arn:aws:iam::aws:policy/p"}
    translated = Translator(policies, Parser()).translate(template, {})
except InvalidDocumentException:
    print("refused")
else:
    rules = [each["Properties"] for each in translated["Resources"].values() if each["Type"] == "AWS::Events::Rule"]
    print(" ".join(sorted(rule["ScheduleExpression"] for rule in rules)))
PY
for case in "none:rate(1 day) rate(1 minute)" "collision:rate(1 day)" role:refused; do
  seen=$(AWS_DEFAULT_REGION=us-east-1 venv/bin/python translate.py "${case%%:*}" 2> log)
  echo "${case%%:*}: $seen"
  [ "$seen" = "${case#*:}" ] || fail "it was: ${case#*:}"
done
