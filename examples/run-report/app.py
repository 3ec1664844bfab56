"""Report a run: its task, its result, what changed in Consul and in the infrastructure, and how
long each step took. All of it is in the event RunFinished."""

import os

STEPS = ("waited", "queued", "start", "init", "plan", "apply")


def lambda_handler(event, _context):
    import boto3

    subject, text = report(event["detail"])
    boto3.client("sns").publish(TopicArn=os.environ["TOPIC"], Subject=subject, Message=text)


def report(run):
    """The subject and the text of a report. `run`: the detail of a RunFinished event."""
    lines = [
        f"Task {run['task']}: {result(run)}",
        "",
        f"In Consul: {in_consul(run['delta'])}",
        *(f"  {each['what']}: {each['name'] or each['view']}" for each in first(run["delta"])),
        f"In the infrastructure: {in_infrastructure(run['counts'])}",
        *(f"  {each['action']}: {each['address']}" for each in run["changes"]),
        f"Time: {times(run['seconds'])}",
        f"Run: {run['run_id']} (cts logs {run['run_id']})",
    ]
    return f"cts: {run['task']} {run['status']}"[:100], "\n".join(lines)


def result(run):
    if run["status"] != "errored":
        return run["status"]
    then = f"it is retried at {run['retry_at']}" if run["retry_at"] else "it is not retried"
    return f"errored, {then}: {run['error'] or run['gave_up']}"


def in_consul(delta):
    if delta is None:
        return "what changed was not recorded"
    return ", ".join(f"{delta[what]} {what}" for what in ("came", "left", "changed"))


def first(delta):
    return delta["first"] if delta else []


def in_infrastructure(counts):
    if counts is None:
        return "there was no plan"
    return ", ".join(f"{number} to {action}" for action, number in counts.items())


def times(seconds):
    took = [f"{step} {seconds[step]:.1f} s" for step in STEPS if step in seconds]
    return ", ".join(took) or "not known"
