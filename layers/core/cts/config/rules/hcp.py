"""Where the token for HCP Terraform may go, which is the deployment's decision alone."""

from collections.abc import Iterator, Mapping

from cts.config.blocks.model import Configuration
from cts.config.rules.problem import Code, Problem


def check_hostname(
    configuration: Configuration, environment: Mapping[str, str]
) -> Iterator[Problem]:
    """Without a deployment, any hostname is accepted."""
    cloud = configuration.driver.terraform_cloud if configuration.driver else None
    address = environment.get("TFC_HOSTNAME", "")
    if cloud and address and cloud.hostname.rstrip("/") != address:
        what = f"the stack sends its token to {address} only (parameter HcpAddress)"
        fix = f'write hostname = "{address}", or deploy with HcpAddress={cloud.hostname}'
        yield cloud.where.problem(Code.INVALID_VALUE, what, fix, option="hostname")
