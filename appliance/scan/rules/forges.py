"""Tokens of the places where code is kept and built."""

from appliance.domain.vulnerability import Severity
from appliance.scan.rules.rule import Rule, token

_GITHUB = "GitHub personal access token"
_GITLAB = "GitLab personal access token"


def _github(id_: str, title: str, literals: tuple[bytes, ...], body: str) -> Rule:
    return Rule(
        id_,
        _GITHUB,
        title,
        Severity.CRITICAL,
        literals,
        rf"(?<![A-Za-z0-9_])(?P<secret>{body})(?![A-Za-z0-9])",
        distinct=1,
    )


GITHUB = (
    _github("github-pat", "GitHub personal access token", (b"ghp_",), r"ghp_[A-Za-z0-9]{36}"),
    _github(
        "github-fine-grained-pat",
        "GitHub fine-grained personal access token",
        (b"github_pat_",),
        r"github_pat_[A-Za-z0-9]{22}_[A-Za-z0-9]{59}",
    ),
    _github("github-oauth", "GitHub OAuth access token", (b"gho_",), r"gho_[A-Za-z0-9]{36}"),
    _github("github-app-token", "GitHub App token", (b"ghu_", b"ghs_"), r"gh[us]_[A-Za-z0-9]{36}"),
    _github("github-refresh-token", "GitHub refresh token", (b"ghr_",), r"ghr_[A-Za-z0-9]{36,76}"),
)

GITLAB = (
    Rule(
        "gitlab-pat",
        _GITLAB,
        "GitLab personal access token",
        Severity.CRITICAL,
        (b"glpat-",),
        # Since 17.10 a longer body may be followed by two checked parts.
        r"(?<![A-Za-z0-9_])(?P<secret>glpat-[A-Za-z0-9_-]{20,300}(?:\.[a-z0-9]{2}\.[a-z0-9]{9})?)",
        distinct=1,
    ),
)


def _gitlab(id_: str, title: str, literal: str, body: str) -> Rule:
    return token(id_, "GitLab", title, literal, body)


OTHERS = (
    _gitlab("gitlab-deploy-token", "GitLab deploy token", "gldt-", r"[A-Za-z0-9_-]{20,}"),
    _gitlab("gitlab-runner-token", "GitLab runner authentication token", "glrt-", r"[A-Za-z0-9_.-]{20,}"),
    _gitlab("gitlab-runner-registration", "GitLab runner registration token", "GR1348941", r"[A-Za-z0-9_-]{20}"),
    _gitlab("gitlab-job-token", "GitLab CI job token", "glcbt-", r"[A-Za-z0-9]{1,5}_[A-Za-z0-9_-]{20}"),
    _gitlab("gitlab-trigger-token", "GitLab pipeline trigger token", "glptt-", r"[A-Za-z0-9_-]{20,40}"),
    _gitlab("gitlab-feed-token", "GitLab feed token", "glft-", r"[A-Za-z0-9_-]{20}"),
    _gitlab("gitlab-mail-token", "GitLab incoming mail token", "glimt-", r"[A-Za-z0-9_-]{25}"),
    _gitlab("gitlab-agent-token", "GitLab Kubernetes agent token", "glagent-", r"[A-Za-z0-9_-]{50}"),
    _gitlab("gitlab-oauth-secret", "GitLab OAuth application secret", "gloas-", r"[A-Za-z0-9_-]{64}"),
    _gitlab("gitlab-scim-token", "GitLab SCIM token", "glsoat-", r"[A-Za-z0-9_-]{20}"),
    token("bitbucket-app-password", "Bitbucket", "Bitbucket app password", "ATBB", r"[A-Za-z0-9]{32}"),
    token("atlassian-api-token", "Atlassian", "Atlassian API token", "ATATT3", r"[A-Za-z0-9_=-]{180,200}"),
    token(
        "atlassian-access-token",
        "Atlassian",
        "Atlassian repository or project token",
        "ATCTT3",
        r"[A-Za-z0-9_=-]{180,200}",
    ),
    Rule(
        "azure-devops-pat",
        "Azure DevOps",
        "Azure DevOps personal access token",
        Severity.CRITICAL,
        (b"AZDO",),
        r"(?<![A-Za-z0-9])(?P<secret>[A-Za-z0-9]{76}AZDO[A-Za-z0-9]{4})(?![A-Za-z0-9])",
    ),
    token("circleci-token", "CircleCI", "CircleCI personal access token", "CCIPAT_", r"[A-Za-z0-9]{22}_[a-f0-9]{40}"),
    token("circleci-project-token", "CircleCI", "CircleCI project token", "CCIPRJ_", r"[A-Za-z0-9]{22}_[a-f0-9]{40}"),
    token("buildkite-token", "Buildkite", "Buildkite API token", "bkua_", r"[a-z0-9]{40}"),
    Rule(
        "sonar-token",
        "SonarQube",
        "SonarQube token",
        Severity.HIGH,
        (b"squ_", b"sqp_", b"sqa_"),
        r"(?<![A-Za-z0-9_])(?P<secret>sq[upa]_[a-f0-9]{40})(?![A-Za-z0-9])",
    ),
    token(
        "sourcegraph-token", "Sourcegraph", "Sourcegraph access token", "sgp_", r"(?:[a-f0-9]{16}_|local_)?[a-f0-9]{40}"
    ),
    token("prefect-api-key", "Prefect", "Prefect API key", "pnu_", r"[a-z0-9]{36}", Severity.HIGH),
    token(
        "harness-token", "Harness", "Harness access token", "pat.", r"[A-Za-z0-9_-]{22}\.[a-f0-9]{24}\.[A-Za-z0-9]{20}"
    ),
    token(
        "launchdarkly-token",
        "LaunchDarkly",
        "LaunchDarkly access token",
        "api-",
        r"[a-f0-9]{8}-[a-f0-9]{4}-4[a-f0-9]{3}-[a-f0-9]{4}-[a-f0-9]{12}",
        Severity.HIGH,
    ),
)
