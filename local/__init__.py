"""Runs the whole system on one machine, without an AWS account or Docker.

`stack.Stack` starts Consul and *the front*: an AWS emulator behind our own layer, which executes
CodeBuild builds, records every request and injects faults. `deploy` brings the repository's
template to it with the real SAM CLI.
"""
