"""What errors of the poller and of runs mean, and what to do about them. Pure."""

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple


class Cause(NamedTuple):
    pattern: str
    """Of errors with this cause. The texts may have `{NAME}` for what its group NAME matched."""
    what: str
    fix: str
    """With `{task}` for a task's name, `{retry}` for the commands that try its tasks again, or
    `{token}` for the place of Consul's token."""


CONSUL = (
    Cause(
        r"ACL not found|ACL token not found|token not found",
        "Consul does not know the stack's token: it is wrong, was deleted or has expired",
        "store a valid token {token}",
    ),
    Cause(
        r"HTTP 403|Permission denied|filtered by ACLs",
        "the stack's token may not read everything that the tasks watch",
        "give the token's policy service:read and node:read, and key:read for watched keys "
        "(docs/operations.md, Consul's token)",
    ),
    Cause(
        r"too many concurrent connections|HTTP 429",
        "Consul refuses more connections from the poller's address",
        "raise limits.http_max_conns_per_client in Consul's configuration, to at least 200",
    ),
    Cause(
        r"CERTIFICATE_VERIFY_FAILED|certificate verify failed",
        "the poller does not trust Consul's certificate",
        "put the CA's certificates into a secret and deploy with its ARN as ConsulCaArn "
        "(docs/operations.md, Consul's certificate)",
    ),
    Cause(
        r"WRONG_VERSION_NUMBER|HTTP request to an HTTPS server|SSL",
        "Consul and the stack disagree about HTTP and HTTPS",
        "correct the scheme, or the port, of the parameter ConsulAddress",
    ),
    Cause(
        r"reading (?:the Consul token|the client certificate|Consul's CA)",
        "the secret for the connection to Consul can't be used",
        "correct the secret that the message names",
    ),
    Cause(
        r"No cluster leader|HTTP 500",
        "Consul has no leader, or can't answer the query",
        "check Consul's servers, and the `filter` of the tasks that are stale",
    ),
    Cause(
        r"no answer|asking Consul at",
        "the poller can't reach Consul",
        "check that Consul is up, and that ConsulAddress, SubnetIds and SecurityGroupIds lead "
        "to it",
    ),
)
RUN = (
    Cause(
        r"does not let this account run CodeBuild|Cannot have more than 0 builds",
        "AWS does not let this account run builds",
        "ask AWS Support (account and billing) to enable CodeBuild, then run {retry}",
    ),
    Cause(
        r"the state is locked by|acquiring the state lock",
        "its state has been locked by someone else",
        "if that user or build is gone, remove the lock: docs/operations.md, State locks",
    ),
    Cause(
        r"assuming the task's role",
        "its role can't be assumed",
        "correct role_arn, and let the role's trust policy allow the stack's TaskRole "
        "(docs/operations.md, A role for one task)",
    ),
    Cause(
        r"the stack's \w+ secret has no (?P<name>[\w.-]+)",
        "gave up because {name} was not stored",
        "store it with `cts secret set {name}`, unless it is stored by now, then run {retry}",
    ),
    Cause(
        r"Unreadable module directory|Failed to download module|accessing remote module registry"
        r"|Module not found|Could not download module|Unresolvable module version",
        "its module can't be fetched",
        "correct `module` and `version`, and let builds reach the module's address, with "
        "git_ssh_key if it is private",
    ),
    Cause(
        r"Failed to (?:query available provider packages|install provider)",
        "a provider can't be fetched",
        "correct required_providers, and let builds reach the provider's registry",
    ),
    Cause(
        r"fetching https?://\S+(?:terraform|tofu)",
        "its version of Terraform can't be fetched",
        "correct TerraformVersion or terraform_version, and let builds reach the release's address",
    ),
    Cause(
        r"the token is not valid",
        "HCP Terraform does not know the stack's token: it was revoked or has expired",
        "store a valid one with `cts secret set TFC_TOKEN`, or in the secret of the parameter "
        "HcpSecretArn, then run {retry}",
    ),
    Cause(
        r"the token is not allowed to do this",
        "HCP Terraform has no such organization or workspace, or keeps the stack's token from it",
        "correct the names, or give the token's team the permissions in docs/hcp-terraform.md, "
        "then run {retry}",
    ),
    Cause(
        r"with an explicit deny|because no (?:permissions boundary|session policy"
        r"|service control policy|resource control policy|VPC endpoint policy) allows",
        "a policy in AWS forbids what it has to do",
        "correct the policy of the kind that the message names, such as a bucket's or an SCP: "
        "another policy for the stack's TaskRole does not help",
    ),
    Cause(
        r"AccessDenied|not authorized to perform",
        "it lacks a permission in AWS",
        "attach a policy for its module to the stack's TaskRole, or name a role with role_arn",
    ),
)


def find(error: str, causes: Sequence[Cause]) -> Cause | None:
    """The first cause whose pattern is in the error, its texts with what the groups matched."""
    for each in causes:
        if match := re.search(each.pattern, error):
            what, fix = (_naming(text, match.groupdict()) for text in (each.what, each.fix))
            return Cause(each.pattern, what, fix)
    return None


def _naming(text: str, names: Mapping[str, str]) -> str:
    """Other places in the text are left for the caller to fill."""
    for group, name in names.items():
        text = text.replace(f"{{{group}}}", name)
    return text
