"""What is sent arrives: on the fake's list, or through a rule of the bus."""

import itertools
import json
from collections.abc import Callable
from typing import Any

import pytest

from cts.adapters.bus import Bus
from cts.events import Event, TaskTriggered
from tests.fakes import FakeBus

NAMES = itertools.count(1)

Arrived = Callable[[int], list[str]]


@pytest.fixture(params=["fake", "adapter"])
def bus(request: pytest.FixtureRequest) -> tuple[FakeBus | Bus, Arrived]:
    """A bus, and the tasks of so many events that arrived."""
    if request.param == "fake":
        fake = FakeBus()
        return fake, lambda _: [event.task for event in fake.of(TaskTriggered)]
    aws = request.getfixturevalue("aws")
    events, sqs, name = aws("events"), aws("sqs"), f"bus-{next(NAMES)}"
    queue = sqs.create_queue(QueueName=name)["QueueUrl"]
    attributes = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])
    events.create_event_bus(Name=name)
    pattern = json.dumps({"source": ["cts"], "detail-type": ["TaskTriggered"]})
    events.put_rule(Name=name, EventBusName=name, EventPattern=pattern)
    target = {"Id": "queue", "Arn": attributes["Attributes"]["QueueArn"]}
    events.put_targets(Rule=name, EventBusName=name, Targets=[target])
    return Bus(events, name), lambda count: received(sqs, queue, count)


def received(sqs: Any, queue: str, count: int) -> list[str]:
    """Long polls, so a missing event ends as an empty answer."""
    found: list[str] = []
    while len(found) < count:
        answer = sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10, WaitTimeSeconds=5)
        if not answer.get("Messages"):
            return found
        for message in answer["Messages"]:
            sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
            found.append(json.loads(message["Body"])["detail"]["task"])
    return found


def test_all_that_is_sent_arrives(bus: tuple[FakeBus | Bus, Arrived]) -> None:
    sender, arrived = bus
    events: list[Event] = [TaskTriggered(f"task-{n}", "c") for n in range(12)]
    sender.send(events)
    assert sorted(arrived(12)) == sorted(f"task-{n}" for n in range(12))
