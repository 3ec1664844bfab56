"""Runs the whole system on one machine: no AWS account, no Docker.

`stack.Stack` starts Consul and *the front*, an AWS emulator behind a layer of ours that executes
CodeBuild builds, records every request and injects faults. `deploy` brings the repository's
template there with the real SAM command line.
"""
