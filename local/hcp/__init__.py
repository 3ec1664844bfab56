"""A test server that speaks HCP Terraform's API and really runs Terraform.

It does what the documented endpoints say that the driver uses: workspaces with tags, locks and
variables, configuration versions, runs with their queue, plans, applies and logs, outputs,
notifications, agent pools, pagination, rate limits, errors.

It does not do: users, teams and projects (a token may do all, or only read), variable sets, VCS,
policies, cost estimates, run tasks, saved plans, targets, refresh-only and destroy runs, runs that
an upload queues, agents (mode `agent` runs here as well), state versions other than the current
one, and versions of Terraform: every run uses the one on PATH.
"""
