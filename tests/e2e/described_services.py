"""Reads what boto3 knows of the services that the command uses, when imported (`commands`)."""

from __future__ import annotations

from local.sandboxes import make_clients

make_clients(
    ("cloudformation", "events", "iam", "lambda", "s3", "scheduler", "secretsmanager",
     "service-quotas", "sqs", "sts")
)  # fmt: skip
